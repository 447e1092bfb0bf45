"""What selectors, strategies and rounds give on one set: the gateway's algorithm, run in batches.

Every way to answer sees the same texts (`glore_models.evaluation.batches`), so ways compare
question by question. Candidate sets are ranked by the ORM alone, by the likelihood under the other
student, by verifiers and then the ORM, and by a perfect selector; strategies are counted as the
gateway runs them.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from glore.engines.ports import Lease
from glore.formats.answers import parse_answer, same_answer
from glore.formats.prompts import student_prompt
from glore.refinement.runner import Solved, refine
from glore.refinement.selection import select
from glore.refinement.types import (
    Budget,
    Candidate,
    CandidateKind,
    Job,
    Sampling,
    State,
    Strategy,
    gate_of,
)
from glore.verifiers.checking import RefutedStepStop, check_solution
from glore.verifiers.ports import Finding, Verifier
from glore_models.data.problems import Problem
from glore_models.data.rollouts import steps_of
from glore_models.data.run_folder import Thresholds
from glore_models.evaluation.batches import Batches, TextRow, engines_of, written
from glore_models.evaluation.intervals import Estimate, auc_within

QUESTIONS: Final = "questions.jsonl"  # beside texts and scores
MAX_TOKENS: Final = 256  # of a text, as in the paper's tables
TEMPERATURE: Final = 0.7
_AT_ONCE: Final = 3  # samples of `Resampled`
_DEADLINE_S: Final = 1e7
_PLENTY_OF_TOKENS: Final = 10**6
_ORM, LIKELIHOOD, _BOTH, _PERFECT = "ORM", "likelihood", "verifiers, ORM", "perfect"
SELECTORS: Final = (_ORM, LIKELIHOOD, _BOTH, _PERFECT)
DRAFT: Final = "draft"


@dataclass(frozen=True, slots=True)
class SelectedAnswer:
    """One question answered in one way: `tokens` and `calls` are those of generated texts."""

    right: bool
    tokens: int
    texts: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """The different candidates of one question with their ORM scores, and which are right.

    `likelihoods` are their scores under the other student.
    """

    state: State
    right: tuple[bool, ...]
    tokens: int
    likelihoods: tuple[float, ...]

    def picked(self, selector: str) -> SelectedAnswer:
        """What a selector makes of them."""
        if selector == _PERFECT:
            right = any(self.right)
        else:
            known = self.state.candidates
            if selector in {_ORM, LIKELIHOOD}:
                known = tuple(replace(each, findings=()) for each in known)
            if selector == LIKELIHOOD:
                known = tuple(
                    replace(each, outcome_score=score)
                    for each, score in zip(known, self.likelihoods, strict=True)
                )
            winner = select(replace(self.state, candidates=known))
            right = winner is not None and self.right[winner.candidate]
        return SelectedAnswer(right, self.tokens, len(self.right))


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer: a strategy of the gateway with what a request may ask of it."""

    strategy: Strategy
    rounds: int = 1
    verify: bool = True
    temperature: float = 0.0
    max_calls: int = 1000


@dataclass(frozen=True, slots=True)
class Resampled:
    """A way that is not of the gateway: samples beside the draft, until no verifier refutes one."""

    samples: int  # at most


SETS_OF_CANDIDATES: Final[Mapping[str, Way]] = {
    "3 samples": Way(Strategy.BEST_OF_N, temperature=TEMPERATURE),
    "draft, 2 samples": Way(Strategy.BEST_OF_N),
    "GLoRe, SORM's first error": Way(Strategy.GLORE, verify=False),
    "GLoRe, verifier's first error": Way(Strategy.GLORE),
}
WAYS: Final[Mapping[str, Way | Resampled]] = {
    DRAFT: Way(Strategy.DRAFT),
    "best_of_n, no verifier": Way(Strategy.BEST_OF_N, verify=False),
    "best_of_n": Way(Strategy.BEST_OF_N),
    "glore, no verifier": Way(Strategy.GLORE, verify=False),
    "glore": Way(Strategy.GLORE),
    "glore, 2 rounds": Way(Strategy.GLORE, rounds=2),
    "gated, no verifier": Way(Strategy.GATED, verify=False),
    "gated": Way(Strategy.GATED),
    "adaptive, 3 calls": Way(Strategy.ADAPTIVE, max_calls=3),
    "adaptive, no verifier": Way(Strategy.ADAPTIVE, verify=False),
    "adaptive": Way(Strategy.ADAPTIVE),
    "adaptive, 2 rounds": Way(Strategy.ADAPTIVE, rounds=2),
    "adaptive, 3 rounds": Way(Strategy.ADAPTIVE, rounds=3),
    "draft, then up to 3 samples": Resampled(3),
    "draft, then up to 6 samples": Resampled(6),
    "draft, then up to 9 samples": Resampled(9),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on one set, question by question, in the order of the questions."""

    candidates: Mapping[str, Sequence[Candidates]]  # by candidate set
    answered: Mapping[str, Sequence[SelectedAnswer]]  # by way


_Job: TypeAlias = Coroutine[Any, Any, "Candidates | SelectedAnswer"]


async def find(
    problems: Sequence[Problem],
    batches: Batches,
    thresholds: Thresholds,
    verifiers: tuple[Verifier, ...],
    strategies: Collection[Strategy] | None = None,
) -> Found:
    """Answer every question in every way, or only in those of `strategies` beside the draft.

    Raises what `Batches.run` does.
    """
    if thresholds.gate is None:
        message = "the run's thresholds have no gate, which `gated` needs"
        raise ValueError(message)
    once = tuple(_Once(each) for each in verifiers)
    known = _Known(batches, thresholds.first_error, thresholds.gate, once)
    sets = {name: way for name, way in SETS_OF_CANDIDATES.items() if _wanted(way, strategies)}
    ways = {name: way for name, way in WAYS.items() if name == DRAFT or _wanted(way, strategies)}
    jobs: list[_Job] = [
        known.candidates(problem, way) for way in sets.values() for problem in problems
    ]
    jobs += [known.answered(problem, way) for way in ways.values() for problem in problems]
    found: Iterator[Any] = iter(await batches.run(jobs))
    candidates, answered = (
        {name: [next(found) for _ in problems] for name in names} for names in (sets, ways)
    )
    return Found(candidates, answered)


def _wanted(way: Way | Resampled, strategies: Collection[Strategy] | None) -> bool:
    return strategies is None or (isinstance(way, Way) and way.strategy in strategies)


@dataclass(frozen=True, slots=True)
class _Once:
    """A verifier that checks a text once, however many ways to answer read it."""

    verifier: Verifier
    found: dict[tuple[str, ...], tuple[Finding, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The verifier's."""
        return self.verifier.name

    def check(self, question: str, steps: Sequence[str]) -> tuple[Finding, ...]:
        """What the verifier finds."""
        key = (question, *steps)
        if key not in self.found:
            self.found[key] = self.verifier.check(question, steps)
        return self.found[key]


@dataclass(frozen=True, slots=True)
class _Known:
    """What every question is answered with."""

    batches: Batches
    threshold: float
    gate: float
    verifiers: tuple[Verifier, ...]

    async def candidates(self, problem: Problem, way: Way) -> Candidates:
        """Those of a strategy that ranks, all checked and all scored, the winner aside."""
        state = (await self._refined(problem, way)).state
        orm = engines_of(self.batches, self.verifiers).orm
        checked = [await self._checked(each, problem.question) for each in state.candidates]
        solutions = [each.solution for each in checked]
        scores = await orm.score_outcomes(problem.question, solutions, lease=Lease(math.inf))
        scored = tuple(
            replace(each, outcome_score=score)
            for each, score in zip(checked, scores.values, strict=True)
        )
        likelihoods = await asyncio.gather(
            *(self._likelihood(problem.question, solution) for solution in solutions)
        )
        return Candidates(
            replace(state, candidates=scored, round=1),
            tuple(same_answer(each.answer, problem.answer) for each in scored),
            state.generated_tokens,
            tuple(likelihoods),
        )

    async def _likelihood(self, question: str, solution: str) -> float:
        steps = steps_of(solution)
        return (await self.batches.scores(LIKELIHOOD, question, steps))[0] if steps else 0.0

    async def answered(self, problem: Problem, way: "Way | Resampled") -> SelectedAnswer:
        """The answer that wins."""
        if isinstance(way, Resampled):
            return await self._resampled(problem, way.samples)
        outcome = await self._refined(problem, way)
        state = outcome.state
        right = same_answer(outcome.selected.answer, problem.answer)
        return SelectedAnswer(right, state.generated_tokens, len(state.candidates))

    async def _refined(self, problem: Problem, way: Way) -> Solved:
        engines = engines_of(self.batches, self.verifiers)
        return await refine(self._task(problem, way), engines, lambda: 0.0)

    def _task(self, problem: Problem, way: Way) -> Job:
        verified = way.verify and bool(self.verifiers)
        return Job(
            question=problem.question,
            strategy=way.strategy,
            sampling=Sampling(
                temperature=way.temperature,
                max_tokens=MAX_TOKENS,
                sample_temperature=TEMPERATURE,
            ),
            budget=Budget(_DEADLINE_S, way.max_calls, _PLENTY_OF_TOKENS),
            threshold=self.threshold,
            gate=gate_of(way.strategy, self.gate, verified=verified),
            rounds=way.rounds,
            verify=way.verify,
        )

    async def _checked(self, candidate: Candidate, question: str) -> Candidate:
        findings = await check_solution(
            self.verifiers, question, candidate.solution, candidate.finish_reason
        )
        return replace(candidate, findings=findings)

    async def _resampled(self, problem: Problem, most: int) -> SelectedAnswer:
        """The draft, then samples until one is not refuted; else the draft.

        As in the gateway, a sample ends at its first refuted step.
        """
        question = problem.question
        prompt = student_prompt(question)
        draft = await self.batches.text("student", prompt, 0.0, 0)
        samples: list[TextRow] = []
        tokens = 0
        for index in range(most + 1):
            if index > len(samples):  # several at once, so that batches are large
                samples += await asyncio.gather(
                    *(
                        self.batches.text("student", prompt, TEMPERATURE, number)
                        for number in range(index - 1, min(index - 1 + _AT_ONCE, most))
                    )
                )
            stop = RefutedStepStop(self.verifiers, question, "", str.strip) if index else None
            text, used = written(samples[index - 1] if index else draft, stop)
            tokens += used
            candidate = await self._checked(
                Candidate(CandidateKind.SAMPLE, text.text.strip(), None, text.finish_reason),
                question,
            )
            if not candidate.findings:
                break
        solution = draft.text if candidate.findings else candidate.solution
        right = same_answer(parse_answer(solution.strip()), problem.answer)
        return SelectedAnswer(right, tokens, index + 1)


def within_questions(found: Found, score: Callable[[Candidate, float], float]) -> Estimate | None:
    """The AUC within questions: how often the right one of two texts of a question scores higher.

    `score` is that of a candidate and its likelihood. Over all pairs of different texts of all
    candidate sets; a tie counts half. None without pairs.
    """
    questions = []
    for question in zip(*found.candidates.values(), strict=True):
        texts = {
            each.solution: (score(each, likelihood), right)
            for candidates in question
            for each, right, likelihood in zip(
                candidates.state.candidates, candidates.right, candidates.likelihoods, strict=True
            )
        }
        questions.append(list(texts.values()))
    return auc_within(questions)
