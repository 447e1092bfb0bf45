"""Scoring the steps of a draft while it streams, against scoring them once it is whole.

`python -m loadtest.scoring_while_drafting`. The gateway scores the draft once it is whole
(`after`); the other way (`while`) is in `loadtest.early_scores`. A question takes until its answer
is there, the scores of all its draft's steps among it.

On simulated engines, with timing as of a GPU per engine and as of two CPU cores that share
everything; or on real ones: `--generation URL --scoring URL`.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from pydantic import AnyHttpUrl

from glore.app import connect_vllm
from glore.engines.ports import Lease, Scores, StepScorer
from glore.refinement.runner import Engines, refine
from glore.refinement.types import Budget, Job, Sampling, Strategy
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.early_scores import EarlyScores
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated, Timing

_PATIENCE_S: Final = 600.0
_MOST_CALLS: Final = 16
_MOST_TOKENS: Final = 8192
_HEAD: Final = (
    "| strategy | in flight | after, s | while, s | ratio "
    "| began early | after, s | while, s | ratio | SORM calls, after | while |"
)

# On a CPU, scoring a draft takes as long as writing seven of its tokens (results/benchmarks.md).
_GPU_WRITES: Final = Timing(first_token=0.02, between_tokens=0.008, per_request=0.01, spread=0.1)
_GPU_SCORES: Final = Timing(
    first_token=0.015, per_prompt_token=0.0001, per_request=0.02, spread=0.1
)
_CPU: Final = Timing(
    first_token=0.02, per_prompt_token=0.0025, between_tokens=0.03, per_request=0.25, spread=0.1
)


@dataclass(frozen=True, slots=True)
class Profile:
    """How fast simulated engines are; `scores` None: scoring is done by the engine that writes."""

    writes: Timing
    scores: Timing | None


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {"gpu": Profile(_GPU_WRITES, _GPU_SCORES), "cpu": Profile(_CPU, None)}
)


class CountingSorm:
    """The SORM, and how often it was asked."""

    def __init__(self, inner: StepScorer) -> None:
        self._inner = inner
        self.calls = 0

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
    ) -> Scores:
        """As the SORM."""
        self.calls += 1
        return await self._inner.score_steps(question, steps, lease=lease)


@dataclass(frozen=True, slots=True)
class Measured:
    """One question, one way: seconds, and whether the local refinement began early."""

    seconds: float
    early: bool


Way = Callable[[Job, Engines], Awaitable[Measured]]


async def after(job: Job, engines: Engines) -> Measured:
    """The gateway's own way."""
    started = time.perf_counter()
    await refine(job, engines, time.monotonic, lambda _: None)
    return Measured(time.perf_counter() - started, early=False)


async def meanwhile(job: Job, engines: Engines) -> Measured:
    """The other way."""
    early = EarlyScores(engines.student, engines.sorm, job)
    started = time.perf_counter()
    chosen = replace(engines, student=early, sorm=early)
    await refine(job, chosen, time.monotonic, lambda _: None)
    await early.finish()
    return Measured(time.perf_counter() - started, early.early)


WAYS: Final[Mapping[str, Way]] = MappingProxyType({"after": after, "while": meanwhile})


async def ask_all(
    way: Way, jobs: Sequence[Job], engines: Engines, in_flight: int
) -> list[Measured]:
    """Every question, `in_flight` of them at a time."""
    places = asyncio.Semaphore(in_flight)

    async def ask(job: Job) -> Measured:
        async with places:
            return await way(job, engines)

    return await asyncio.gather(*(ask(job) for job in jobs))


async def compare(engines: Engines, jobs: Sequence[Job], in_flight: int, rounds: int) -> str:
    """A row of the table: each way once a round, by turns."""
    measured: dict[str, list[Measured]] = {name: [] for name in WAYS}
    counting = {name: CountingSorm(engines.sorm) for name in WAYS}
    for turn in range(rounds):
        for name in sorted(WAYS, reverse=bool(turn % 2)):
            counted = replace(engines, sorm=counting[name])
            measured[name] += await ask_all(WAYS[name], jobs, counted, in_flight)
    pairs = list(zip(measured["after"], measured["while"], strict=True))
    calls = " | ".join(f"{counting[name].calls / len(pairs):.1f}" for name in WAYS)
    helped = [pair for pair in pairs if pair[1].early]
    return (
        f"| {jobs[0].strategy.value} | {in_flight} | {_means(pairs)} "
        f"| {len(helped)}/{len(pairs)} | {_means(helped)} | {calls} |"
    )


def _means(pairs: Sequence[tuple[Measured, Measured]]) -> str:
    """Mean seconds of both ways, and the second's share of the first."""
    if not pairs:
        return "- | - | -"
    first, second = (
        statistics.fmean(one.seconds for one in way) for way in zip(*pairs, strict=True)
    )
    return f"{first:.3f} | {second:.3f} | {second / first:.2f}"


def jobs_of(strategy: Strategy, count: int, threshold: float) -> list[Job]:
    """So many questions, the same every time."""
    return [
        Job(
            question=(
                f"Tom has {3 + number % 7} boxes with {5 + number} pens each. "
                f"He gives away {1 + number % 5} pens. How many pens are left?"
            ),
            strategy=strategy,
            sampling=Sampling(),
            budget=Budget(
                deadline=_PATIENCE_S,
                max_calls=_MOST_CALLS,
                max_generated_tokens=_MOST_TOKENS,
            ),
            threshold=threshold,
            gate=threshold,
        )
        for number in range(count)
    ]


@asynccontextmanager
async def simulated(profile: Profile) -> AsyncIterator[Engines]:
    """Engines that are as fast as the profile says, and right in six drafts of ten."""
    async with AsyncExitStack() as stack:
        _, writes = await stack.enter_async_context(running(Simulated(timing=profile.writes)))
        scores = writes
        if profile.scores is not None:
            scoring = running(Simulated(timing=profile.scores))
            _, scores = await stack.enter_async_context(scoring)
        yield await stack.enter_async_context(connected(writes, scores))


@asynccontextmanager
async def connected(generation: str, scoring: str) -> AsyncIterator[Engines]:
    """The gateway's own adapters on these two servers."""
    settings = Settings(
        generation=EngineSettings(url=AnyHttpUrl(generation), timeout=_PATIENCE_S),
        scoring=EngineSettings(url=AnyHttpUrl(scoring), timeout=_PATIENCE_S),
    )
    async with connect_vllm(settings) as found:
        yield found.engines


async def compare_all(given: argparse.Namespace) -> None:
    """Print a table for each pair of engines."""
    threshold = Settings().first_error_threshold
    pairs = (
        {"real": connected(given.generation, given.scoring)}
        if given.generation
        else {name: simulated(profile) for name, profile in PROFILES.items()}
    )
    for name, pair in pairs.items():
        _say(f"{name}: {given.questions} questions, {given.rounds} rounds\n")
        _say(_HEAD)
        _say("|---" + "|---:" * (_HEAD.count("|") - 2) + "|")
        async with pair as engines:
            for strategy in given.strategies:
                jobs = jobs_of(strategy, given.questions, threshold)
                for in_flight in given.in_flight:
                    _say(await compare(engines, jobs, in_flight, given.rounds))
        _say("")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.scoring_while_drafting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--generation", metavar="URL", help="needs --scoring too")
    parser.add_argument("--scoring", metavar="URL")
    parser.add_argument(
        "--strategies",
        type=Strategy,
        choices=(Strategy.LOCAL, Strategy.GLORE, Strategy.GATED),
        nargs="+",
        default=[Strategy.LOCAL, Strategy.GLORE],
    )
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args(arguments)
    if bool(given.generation) != bool(given.scoring):
        parser.error("give both engines or none")
    asyncio.run(compare_all(given))
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
