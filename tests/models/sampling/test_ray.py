"""The rollout stage on a local Ray of two workers, one of which is killed while it draws."""

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from glore_models.data.files import read_jsonl
from glore_models.data.problems import Problem
from glore_models.data.rollouts import PrefixRollouts, StudentSample
from glore_models.recipes.sampling import roll_out_prefixes, sample_solutions
from glore_models.sampling.choice import SamplerChoice, make
from glore_models.sampling.port import MakeSampler, Rollout, SamplingParams
from glore_models.sampling.vllm import SamplingError
from tests.models.sampling.fake_engine import FakeEngine, fake_engine

pytestmark = pytest.mark.timeout(900)  # Ray takes seconds to start, minutes on a busy machine

K = 3
DRAWING = SamplingParams(K, 0.8, 50)
PROBLEMS = [Problem(f"p{i}", "q" * (i + 1), str(i % K), "", "made") for i in range(40)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "merged_0"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def engines(checkpoint: Path) -> Iterator[tuple[FakeEngine, FakeEngine]]:
    with fake_engine(checkpoint) as one, fake_engine(checkpoint) as other:
        yield one, other


@pytest.fixture(scope="module")
def make_sampler(engines: tuple[FakeEngine, FakeEngine]) -> Iterator[MakeSampler]:
    urls = tuple(engine.url for engine in engines)
    before = set(psutil.Process().children(recursive=True))
    with make(SamplerChoice("ray", engine_urls=urls, concurrency=4)) as created:
        yield created
    left = [child for child in psutil.Process().children(recursive=True) if child not in before]
    _, alive = psutil.wait_procs(left, timeout=60)
    assert not alive


@pytest.fixture(autouse=True)
def _fresh(engines: tuple[FakeEngine, FakeEngine]) -> None:
    for engine in engines:
        engine.forget()


class FakeRay:
    """Where actors are nothing but the GPUs they ask for."""

    def remote(self, _kind: type) -> "FakeRay":
        return self

    def options(self, *, num_gpus: int, **_: object) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *_, **__: num_gpus)

    def is_initialized(self) -> bool:
        return False


def test_a_killed_worker_loses_no_solution_and_doubles_none(
    make_sampler: MakeSampler,
    engines: tuple[FakeEngine, FakeEngine],
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    sampler = make_sampler(checkpoint, 1)
    sample_solutions(PROBLEMS, sampler, tmp_path / "whole.jsonl", DRAWING)
    assert sampler.trouble == type(sampler.trouble)()  # type: ignore[attr-defined] # RaySampler's
    assert set(engines[0].asked.values()) | set(engines[1].asked.values()) == {1}

    for engine in engines:
        engine.forget()
    engines[1].kills_at = 6  # in the middle of its second batch of four
    counts = sample_solutions(PROBLEMS, sampler, tmp_path / "killed.jsonl", DRAWING)

    (killed,) = engines[1].killed
    assert not psutil.pid_exists(killed)
    assert sampler.trouble.revived > 0  # type: ignore[attr-defined] # Ray started it again
    requested = engines[0].asked + engines[1].asked
    assert sum(requested.values()) > len(PROBLEMS)  # what it had not delivered was drawn again
    rows = list(read_jsonl(tmp_path / "killed.jsonl", StudentSample))
    assert Counter(row.problem for row in rows) == {problem.id: K for problem in PROBLEMS}
    assert counts["samples"] == len(PROBLEMS) * K
    assert counts["tokens"] == len(PROBLEMS) * K * 3
    whole = (tmp_path / "whole.jsonl").read_text().splitlines()  # each as they were finished
    assert sorted((tmp_path / "killed.jsonl").read_text().splitlines()) == sorted(whole)


def test_prefixes_are_rolled_out_by_the_same_stage(
    make_sampler: MakeSampler,
    engines: tuple[FakeEngine, FakeEngine],
    checkpoint: Path,
    tmp_path: Path,
) -> None:
    samples = [
        StudentSample(f"p{i}", "q" * (i + 1), "1", "one\ntwo\n#### 1", right=True)
        for i in range(10)
    ]
    engines[0].kills_at = 3
    roll_out_prefixes(samples, make_sampler(checkpoint, 1), tmp_path / "out.jsonl", DRAWING)
    rows = list(read_jsonl(tmp_path / "out.jsonl", PrefixRollouts))
    assert len(engines[0].killed) == 1
    assert Counter((row.problem, row.kept) for row in rows) == {
        (sample.problem, stored): 1 for sample in samples for stored in (1, 2)
    }
    assert all(len(row.continuations) == K for row in rows)


def test_what_an_engine_failed_to_answer_is_requested_of_the_next(
    make_sampler: MakeSampler, engines: tuple[FakeEngine, FakeEngine], checkpoint: Path
) -> None:
    engines[0].fails_once.add("aa")
    sampler = make_sampler(checkpoint, 1)
    drawn = sampler.sample(["a", "aa", "a"], n=2, temperature=0.8, max_tokens=5)
    assert drawn == [_expected("a", 2), _expected("aa", 2), _expected("a", 2)]
    assert engines[0].asked["aa"] == engines[1].asked["aa"] == 1


def test_prompts_that_stay_without_rollouts_are_an_error(
    make_sampler: MakeSampler,
    engines: tuple[FakeEngine, FakeEngine],
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from glore_models.sampling.ray import sampler as ray_sampler

    monkeypatch.setattr(ray_sampler, "_ROUNDS", 2)
    monkeypatch.setattr(ray_sampler, "_PAUSE", 0.01)
    for engine in engines:
        monkeypatch.setattr(engine, "takes", lambda prompt, _asker: prompt != "b")
    with pytest.raises(SamplingError, match=r"1 of 9 prompts .* no completion from http"):
        make_sampler(checkpoint, 1).sample([*"acdefghi", "b"], n=1, temperature=0, max_tokens=5)


def test_an_engine_of_another_checkpoint_is_refused(
    make_sampler: MakeSampler, tmp_path: Path
) -> None:
    other = tmp_path / "merged_0"
    other.mkdir()
    with pytest.raises(SamplingError, match=r"serves .*merged_0, not .*merged_0"):
        make_sampler(other, 1)


@pytest.mark.usefixtures("make_sampler")
def test_more_engines_than_gpus_are_refused(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glore_models.sampling.ray import cluster, engines

    monkeypatch.setattr(cluster, "connected", lambda *_, **__: nullcontext())
    monkeypatch.setattr(engines, "ray", FakeRay())
    with make(SamplerChoice("ray", engines=4)) as created:
        for there, text in ((1, "1 GPU"), (2, "2 GPUs")):
            monkeypatch.setattr(cluster, "gpus", lambda there=there: there)
            with pytest.raises(SamplingError, match=rf"^4 engines .* the cluster has {text}$"):
                created(checkpoint, 1)
        for there, each in ((4, 1), (0, 0)):  # without any, servers run on the CPU
            monkeypatch.setattr(cluster, "gpus", lambda there=there: there)
            sampler = created(checkpoint, 1)
            assert [engine.host for engine in sampler.engines] == [each] * 4  # type: ignore[attr-defined] # RaySampler's


def _expected(prompt: str, n: int) -> list[Rollout]:
    return [Rollout(f"{len(prompt)} is {i}\n#### {i}", finished=True, tokens=3) for i in range(n)]
