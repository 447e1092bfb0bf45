import json
from pathlib import Path

import pytest

from glore_models.serving import engines
from glore_models.serving.bundle import Bundle
from glore_models.serving.cache import Cache
from glore_models.serving.guard import GRACE
from glore_models.serving.processes import Launch


@pytest.fixture
def cache(tmp_path: Path, paper_bundle: Bundle) -> Cache:
    return Cache(tmp_path / "cache", paper_bundle)


def option(launch: Launch, name: str) -> str:
    return launch.command[launch.command.index(name) + 1]


def test_generation_serves_the_student_and_both_refiners(cache: Cache) -> None:
    launch = engines.generation_engine(cache, 8101, environment={"PATH": "/bin"})
    assert option(launch, "--model") == str(cache.part("student"))
    assert option(launch, "--served-model-name") == "student"
    assert option(launch, "--dtype") == engines.generation_dtype()
    assert json.loads(option(launch, "--speculative-config"))["method"] == "ngram"
    assert option(launch, "--host") == "127.0.0.1"
    assert option(launch, "--max-lora-rank") == "16"
    at = launch.command.index("--lora-modules")
    assert launch.command[at + 1 : at + 3] == (
        f"global_refiner={cache.bundle.adapter('global_refiner')}",
        f"local_refiner={cache.bundle.adapter('local_refiner')}",
    )
    assert launch.environment["PATH"] == "/bin"
    assert launch.environment["HF_HUB_OFFLINE"] == "1"


def test_scoring_pools_at_newlines(cache: Cache) -> None:
    launch = engines.scoring_engine(cache, 8102, environment={})
    assert option(launch, "--runner") == "pooling"
    assert json.loads(option(launch, "--pooler-config")) == {
        "tok_pooling_type": "STEP",
        "step_tag_id": 198,
    }
    assert option(launch, "--dtype") == "float32"
    assert "--speculative-config" not in launch.command
    assert option(launch, "--max-lora-rank") == "8"
    assert option(launch, "--model") == str(cache.part("scorer"))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16 amx_tile", "bfloat16"),
        ("fpu avx2 amx_bf16", "bfloat16"),
        ("fpu avx2 avx512f avx512_bf16x", "float32"),
        ("", "float32"),
    ],
)
def test_texts_are_generated_in_bfloat16_where_the_processor_multiplies_it(
    tmp_path: Path, flags: str, expected: str
) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(f"processor\t: 0\nmodel name\t: amx_bf16\nflags\t\t: {flags}\n")
    assert engines.generation_dtype(cpu_info) == expected


def test_texts_are_generated_in_float32_on_an_unknown_processor(tmp_path: Path) -> None:
    assert engines.generation_dtype(tmp_path / "none") == "float32"


def test_the_openmp_runtime_of_intel_is_loaded_before_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "libiomp5.so"
    monkeypatch.setattr(engines, "_OPENMP", runtime)
    assert "LD_PRELOAD" not in engines.cpu_environment({})
    runtime.touch()
    assert engines.cpu_environment({})["LD_PRELOAD"] == str(runtime)
    mine = engines.cpu_environment({"LD_PRELOAD": "mine.so"})
    assert mine["LD_PRELOAD"] == f"{runtime}:mine.so"


def test_the_gateway_is_reported_where_local_engines_are(cache: Cache) -> None:
    scoring = engines.scoring_engine(cache, 9102, environment={})
    given = {"GLORE_GENERATION__URL": "https://models.example"}
    launch = engines.gateway("127.0.0.1", 8000, [scoring], cache.bundle, environment=given)
    assert launch.environment["GLORE_GENERATION__URL"] == "https://models.example"
    assert launch.environment["GLORE_SCORING__URL"] == "http://127.0.0.1:9102"
    assert launch.environment["GLORE_THRESHOLDS_FILE"] == str(cache.bundle.thresholds)


def test_a_gateway_whose_every_role_is_the_bundles_is_reported_so(cache: Cache) -> None:
    both = [
        engines.generation_engine(cache, 9101, environment={}),
        engines.scoring_engine(cache, 9102, environment={}),
    ]

    def reported(launches: list[Launch], environment: dict[str, str]) -> tuple[str | None, ...]:
        launch = engines.gateway("::1", 8000, launches, cache.bundle, environment=environment)
        return tuple(launch.environment.get(f"GLORE_{name}") for name in ("SERVES", "STRATEGY"))

    assert reported(both, {}) == (cache.bundle.fingerprint, "adaptive")
    assert reported(both[:1], {}) == (None, None)
    assert reported(both, {"GLORE_ENGINES__ORM__URL": "http://127.0.0.1:1"}) == (None, None)
    mine = {"GLORE_SERVES": "mine", "GLORE_STRATEGY": "gated"}
    assert reported(both, mine) == ("mine", "gated")


def test_thresholds_of_the_environment_win(paper_bundle: Bundle) -> None:
    given = {"GLORE_THRESHOLDS_FILE": "mine.json"}
    launch = engines.gateway("127.0.0.1", 8000, [], paper_bundle, environment=given)
    assert launch.environment["GLORE_THRESHOLDS_FILE"] == "mine.json"


def test_nobody_waits_long_for_a_gateway_whose_engines_stop(paper_bundle: Bundle) -> None:
    given = {"GLORE_GRACE": "2"}
    launch = engines.gateway("127.0.0.1", 8000, [], paper_bundle, environment=given)
    assert float(launch.environment["GLORE_DRAIN_DELAY"]) == 0
    assert launch.environment["GLORE_GRACE"] == "2"
    assert float(engines.STOPPING["GLORE_GRACE"]) < GRACE


def test_an_engine_has_at_least_one_thread() -> None:
    assert engines.threads_per_engine() >= 1
