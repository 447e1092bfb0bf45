"""The choice of a sampler: what contradicts itself, and what is made and ended."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glore_models.sampling.choice import ChoiceError, SamplerChoice, make
from glore_models.sampling.vllm import SamplingError, VllmSampler
from tests.models.sampling.fake_engine import fake_engine


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kind": "magic"}, "no sampler 'magic'; the samplers are local, vllm, ray"),
        ({"kind": "vllm", "ray_address": "auto"}, "knows no Ray"),
        ({"kind": "vllm", "engines": 2}, "asks one engine"),
        ({"kind": "local", "engine_urls": ("http://a",)}, "asks 0 engines, not 1"),
        ({"kind": "vllm", "engine_urls": ("http://a", "http://b")}, "asks 1 engines, not 2"),
        ({"kind": "ray", "engine_urls": ("http://a",), "engines": 1}, "not both"),
        ({"kind": "ray", "ray_address": "ray://a:10001"}, "run it on a node of the cluster"),
    ],
)
def test_a_choice_that_contradicts_itself_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ChoiceError, match=text):
        SamplerChoice(**options)


def test_rays_folder_is_absolute_and_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChoiceError, match=rf"there is no folder {tmp_path}/rr for Ray's files"):
        SamplerChoice("ray", ray_dir=Path("rr"))
    Path("rr").mkdir()
    assert SamplerChoice("ray", ray_dir=Path("rr")).ray_dir == tmp_path / "rr"


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(SamplerChoice("vllm", api_key="secret"))


@pytest.mark.parametrize("kind", ["local", "vllm", "ray"])
def test_a_run_remembers_the_sampler_by_its_name_and_nothing_is_started_yet(kind: str) -> None:
    with make(SamplerChoice(kind)) as created:
        assert created.__qualname__ == f"{kind}_sampler"


def test_a_named_engine_is_requested_under_the_name_it_serves_the_checkpoint(
    tmp_path: Path,
) -> None:
    with fake_engine(Path("/elsewhere") / tmp_path.name) as engine:
        choice = SamplerChoice("vllm", engine_urls=(engine.url,), api_key="k", concurrency=3)
        with make(choice) as created:
            sampler = created(tmp_path, 1)
            assert isinstance(sampler, VllmSampler)
            assert (sampler.url, sampler.model, sampler.concurrency) == (engine.url, "student", 3)
            with pytest.raises(SamplingError, match=r"not .*merged_1"):
                created(tmp_path / "merged_1", 1)


def test_a_server_of_its_own_ends_with_its_sampler_and_at_the_latest_with_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events: list[str] = []

    @contextmanager
    def server(checkpoint: Path, name: str) -> Iterator[tuple[str, str]]:
        with fake_engine(checkpoint) as engine:
            events.append(f"{name} started")
            yield engine.url, "key"
        events.append(f"{name} ended")

    monkeypatch.setattr("glore_models.sampling.server.own_server", server)
    torch = SimpleNamespace(
        cuda=SimpleNamespace(empty_cache=lambda: events.append("memory given back"))
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    with make(SamplerChoice("vllm")) as created:
        first = created(tmp_path / "merged_0", 1)
        drawn = first.sample(["a"], n=2, temperature=0.8, max_tokens=9)
        assert [rollout.tokens for rollout in drawn[0]] == [3, 3]
        assert events == ["memory given back", "merged_0 started"]
        del first
        assert events[2:] == ["merged_0 ended"]
        second = created(tmp_path / "merged_1", 2)
        assert events[3:] == ["memory given back", "merged_1 started"]
    assert events[5:] == ["merged_1 ended"]
    del second
    assert len(events) == 6


def test_the_driver_of_a_ray_loads_no_torch() -> None:
    program = (
        "import sys\n"
        "import glore_models.sampling.choice, glore_models.sampling.ray.sampler\n"
        "sys.exit(', '.join({'torch', 'vllm', 'transformers'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
