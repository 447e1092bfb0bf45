"""What each strategy made of each question, from its own responses or from those of `glore`.

A `glore` response holds what `draft`, `global` and `local` would have answered: the draft and
both refinements of that draft. So their rows can be derived: the answer from the candidate,
tokens and seconds from the stages the strategy would have run, one after the other.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from glore.formats.answers import same_answer
from glore_client import Candidate, SolveResult, StageUsage


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """One question, one strategy. A failed one is wrong and has used nothing known."""

    correct: bool
    failed: bool = False
    degraded: bool = False  # a stage it needed gave nothing, so it answered with less
    generated_tokens: int = 0
    seconds: float = 0.0


FAILED = JudgedAnswer(correct=False, failed=True)

Judge: TypeAlias = Callable[[SolveResult, str], JudgedAnswer]  # result, right answer


def as_answered(result: SolveResult, answer: str) -> JudgedAnswer:
    """The response taken as it is; seconds are the gateway's, from question to answer."""
    return JudgedAnswer(
        correct=same_answer(result.answer, answer),
        degraded=bool(result.degraded),
        generated_tokens=result.usage.generated_tokens,
        seconds=result.usage.seconds,
    )


def any_candidate(result: SolveResult, answer: str) -> JudgedAnswer:
    """A perfect selector: right if any candidate is. Its cost is the response's."""
    return JudgedAnswer(
        correct=any(same_answer(c.answer, answer) for c in result.candidates),
        degraded=any(d.stage not in {"score", "rerank"} for d in result.degraded),
        generated_tokens=result.usage.generated_tokens,
        seconds=result.usage.seconds,
    )


def derived_draft(result: SolveResult, answer: str) -> JudgedAnswer:
    """What `draft` would have answered, from a `glore` response."""
    return _derived(_draft(result), answer, _stages(result, ["draft"]), degraded=False)


def derived_global(result: SolveResult, answer: str) -> JudgedAnswer:
    """What `global` would have answered; the draft, degraded, if that stage gave nothing."""
    refined = _of_kind(result, "global_refinement")
    stages = _stages(result, ["draft", "refine_globally"])
    return _derived(refined or _draft(result), answer, stages, degraded=refined is None)


def derived_local(result: SolveResult, answer: str) -> JudgedAnswer:
    """What `local` would have answered.

    The draft if no error was found in it; the draft, degraded, if scoring or refining gave
    nothing.
    """
    refined = _of_kind(result, "local_refinement")
    unscored = any(step.score is None for step in result.draft.steps)
    nothing_to_refine = result.draft.first_error is None and not unscored
    return _derived(
        refined or _draft(result),
        answer,
        _stages(result, ["draft", "score", "refine_locally"]),
        degraded=refined is None and not nothing_to_refine,
    )


DERIVED: Mapping[str, Judge] = MappingProxyType(
    {"draft": derived_draft, "global": derived_global, "local": derived_local}
)


def _derived(
    candidate: Candidate, answer: str, stages: Iterable[StageUsage], *, degraded: bool
) -> JudgedAnswer:
    path = list(stages)
    return JudgedAnswer(
        correct=same_answer(candidate.answer, answer),
        degraded=degraded,
        generated_tokens=sum(stage.generated_tokens for stage in path),
        seconds=sum(stage.seconds for stage in path),
    )


def _draft(result: SolveResult) -> Candidate:
    return _of_kind(result, "draft") or result.candidates[0]


def _of_kind(result: SolveResult, kind: str) -> Candidate | None:
    return next((c for c in result.candidates if c.kind == kind), None)


def _stages(result: SolveResult, names: list[str]) -> list[StageUsage]:
    """The first run of each stage: without an ORM, `score` runs again for the candidates."""
    by_start = sorted(result.usage.stages, key=lambda stage: stage.started)
    found = (next((s for s in by_start if s.stage == name), None) for name in names)
    return [stage for stage in found if stage is not None]
