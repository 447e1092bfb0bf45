import json
import shlex

import pytest

from glore.formats.math_shepherd import MathShepherdScores
from glore.formats.qwen_prm import SEPARATOR
from glore.role_settings import ROLES
from glore.settings import load_settings
from glore_models.serving import presets
from glore_models.serving.errors import ServingError
from glore_models.serving.preset_engines import (
    preset_gateway,
    preset_named,
    preset_servers,
    preset_settings,
)
from glore_models.serving.presets import PRESETS, Preset
from glore_models.serving.processes import Launch

PORTS = {"generation": 9101, "sorm": 9102, "orm": 9103}


def option(launch: Launch, name: str) -> str:
    return launch.command[launch.command.index(name) + 1]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_a_presets_models_fit_on_its_gpu(preset: Preset) -> None:
    servers = preset.servers.values()
    assert sum(server.share for server in servers) <= 0.9
    for server in servers:
        assert server.weights * 1.2 < server.share * preset.memory  # room for a cache
        assert server.licence
        assert server.model.count("/") == 1


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_its_servers_run_on_a_gpu(preset: Preset) -> None:
    servers = preset_servers(preset, PORTS, environment={"PATH": "/bin"})
    assert {name: launch.port for name, launch in servers.items()} == PORTS
    for name, launch in servers.items():
        assert option(launch, "--model") == preset.servers[name].model
        assert option(launch, "--served-model-name") == name
        assert option(launch, "--dtype") == "bfloat16"
        assert float(option(launch, "--gpu-memory-utilization")) == preset.servers[name].share
        assert "--enforce-eager" not in launch.command
        assert launch.environment["PATH"] == "/bin"
        assert "HF_HUB_OFFLINE" not in launch.environment


def test_qwens_prm_is_scored_at_its_separator() -> None:
    sorm = preset_servers(PRESETS["qwen-math"], PORTS, environment={})["sorm"]
    assert SEPARATOR == "<extra_0>"
    assert json.loads(option(sorm, "--pooler-config")) == {
        "task": "token_classify",
        "tok_pooling_type": "STEP",
        "step_tag_id": 151651,
    }


def test_math_shepherd_has_a_head_of_its_two_tokens() -> None:
    sorm = preset_servers(PRESETS["math-shepherd"], PORTS, environment={})["sorm"]
    assert MathShepherdScores.separator == "▁ки"
    assert json.loads(option(sorm, "--pooler-config"))["step_tag_id"] == 12902
    assert json.loads(option(sorm, "--hf-overrides")) == {
        "classifier_from_token": ["▁-", "▁+"],
        "method": "from_2_way_softmax",
    }
    assert option(sorm, "--convert") == "classify"


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_the_gateway_understands_what_a_preset_tells_it(
    preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = preset_servers(preset, PORTS, environment={})
    gateway = preset_gateway(preset, "127.0.0.1", 8000, servers, environment={})
    for name, value in gateway.environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.threshold == preset.threshold
    assert settings.families.sorm == preset.sorm_family
    assert settings.families.orm == "sequence"
    assert None not in settings.families.model_dump().values()
    for role in ROLES:
        name, engine = settings.engine_of(role)
        assert name == (role if role in {"sorm", "orm"} else "generation")
        assert engine.url.port == PORTS[name]
        assert settings.models.of(role) == name


def test_what_is_set_goes_before_the_preset_and_its_engine_is_not_started() -> None:
    preset = PRESETS["qwen-math"]
    given = {"GLORE_THRESHOLD": "0.7", "GLORE_ENGINES__SORM__URL": "https://scores.example"}
    servers = preset_servers(preset, PORTS, environment=given)
    assert list(servers) == ["generation", "orm"]
    gateway = preset_gateway(preset, "127.0.0.1", 8000, servers, environment=given)
    assert gateway.environment["GLORE_THRESHOLD"] == "0.7"
    assert gateway.environment["GLORE_ENGINES__SORM__URL"] == "https://scores.example"
    assert gateway.environment["GLORE_ENGINES__ORM__URL"] == "http://127.0.0.1:9103"


def test_a_preset_that_is_not_there_is_reported_with_those_that_are() -> None:
    with pytest.raises(ServingError) as caught:
        preset_named("qwen")
    assert "no preset 'qwen'" in caught.value.problem
    assert all(name in caught.value.way_out for name in PRESETS)


def test_flags_survive_a_shell() -> None:
    flags = (*presets.step_pooling(7), *presets.two_token_head("▁-", "▁+"))
    assert tuple(shlex.split(shlex.join(flags))) == flags


def test_a_presets_settings_name_every_role() -> None:
    names = preset_settings(PRESETS["qwen-math"])
    assert {f"GLORE_FAMILIES__{role.upper()}" for role in ROLES} <= set(names)
