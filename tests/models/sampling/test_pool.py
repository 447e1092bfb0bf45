"""Local samplers in processes of their own, on a toy model."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from glore_models.sampling.choice import SamplerChoice, make
from glore_models.sampling.local import LocalSampler
from glore_models.sampling.pool import PooledSampler
from glore_models.sampling.port import StreamingSampler
from glore_models.sampling.vllm import SamplingError

PROMPTS = [f"Question: {'a' * size}\nSolution:\n" for size in (1, 9, 4, 4, 7, 2)]
OWNER = """
import sys, time
from pathlib import Path
from glore_models.sampling.pool import PooledSampler

if __name__ == "__main__":
    sampler = PooledSampler(Path(sys.argv[1]), seed=1, processes=2, rows=1)
    sampler.sample(["x", "y"], n=1, temperature=0.0, max_tokens=1)
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def two(tiny_base: Path) -> Iterator[PooledSampler]:
    sampler = PooledSampler(tiny_base, seed=5, processes=2, rows=4)
    yield sampler
    sampler.close()


def test_greedy_rollouts_are_those_of_one_process_in_order(
    two: PooledSampler, tiny_base: Path
) -> None:
    alone = LocalSampler(tiny_base, seed=1)
    how = {"n": 2, "temperature": 0.0, "max_tokens": 6}
    drawn = two.sample(PROMPTS, **how)  # type: ignore[arg-type] # each of its own type
    assert drawn == alone.sample(PROMPTS, **how)  # type: ignore[arg-type]


def test_draws_do_not_depend_on_the_number_of_processes(
    two: PooledSampler, tiny_base: Path
) -> None:
    def draw(sampler: PooledSampler) -> list[list[str]]:
        drawn = sampler.sample(PROMPTS, n=2, temperature=1.0, max_tokens=5)
        return [[rollout.text for rollout in rollouts] for rollouts in drawn]

    one = PooledSampler(tiny_base, seed=5, processes=1, rows=4)
    other = PooledSampler(tiny_base, seed=6, processes=1, rows=4)
    try:
        assert draw(two) == draw(one) == draw(two) != draw(other)
        assert draw(one)[2] != draw(one)[3]  # one question asked twice, not answered twice alike
    finally:
        one.close()
        other.close()


def test_each_place_comes_once_as_batches_are_finished(two: PooledSampler) -> None:
    assert isinstance(two, StreamingSampler)
    indices = [index for index, _ in two.stream(PROMPTS, n=2, temperature=1.0, max_tokens=3)]
    assert sorted(indices) == list(range(len(PROMPTS)))


def test_a_process_that_is_killed_is_an_error(tiny_base: Path) -> None:
    sampler = PooledSampler(tiny_base, seed=1, processes=1)
    sampler.sample(["x"], n=1, temperature=0.0, max_tokens=1)
    for worker in list(sampler._pool._processes or ()):
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(SamplingError, match="ended before its work"):
        sampler.sample(["x"], n=1, temperature=0.0, max_tokens=1)
    sampler.close()


def test_the_processes_end_with_their_owner(tiny_base: Path, tmp_path: Path) -> None:
    program = tmp_path / "owner.py"
    program.write_text(OWNER)
    owner = subprocess.Popen(
        [sys.executable, str(program), str(tiny_base)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    workers = [
        child
        for child in psutil.Process(owner.pid).children()
        if "spawn_main" in str(child.cmdline())
    ]
    assert len(workers) == 2
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until = time.monotonic() + 20
    while any(worker.is_running() for worker in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(worker.is_running() for worker in workers)


def test_a_run_that_asks_for_several_engines_gets_a_pool_which_ends_with_it(
    tiny_base: Path,
) -> None:
    with make(SamplerChoice("local", engines=1)) as make_sampler:
        sampler = make_sampler(tiny_base, 3)
        assert isinstance(sampler, PooledSampler)
        assert len(sampler.sample(["x"], n=2, temperature=1.0, max_tokens=2)[0]) == 2
        pool = sampler._pool
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(len, ())
