"""A service that answers at once, and what it is asked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from glore_client import GloreError, Sampling, SolveResult, Strategy
from glore_models.data.problems import Problem
from glore_models.evaluation.run import EvaluationPlan
from tests.clients.python import samples

PROBLEMS = [Problem(f"p{i}", f"Question {i}?", "10", "#### 10", "test") for i in range(4)]


def answer_of(strategy: str, question: str) -> dict[str, Any]:
    """`glore` and `gated` are always right; draft and best_of_n are on even questions."""
    even = int(question.split()[1].rstrip("?")) % 2 == 0
    draft = samples.candidate("draft", "10" if even else "9", 0.3)
    refined = samples.candidate("global_refinement", "10", 0.9)
    if strategy == "glore":
        return samples.result(candidates=[draft, refined], selected=1, first_error=None)
    if strategy == "gated":
        candidates = [draft] if even else [draft, refined]
        stages = samples.GLORE_STAGES[:1] if even else samples.GLORE_STAGES
        chosen = len(candidates) - 1
        return samples.result(
            strategy=strategy, candidates=candidates, selected=chosen, stages=stages
        )
    sample = samples.candidate("sample", "10", 0.1)
    candidates = [draft, sample] if strategy == "best_of_n" else [draft]
    stages = samples.GLORE_STAGES[:1]
    return samples.result(strategy=strategy, candidates=candidates, stages=stages)


@dataclass
class FakeSolver:
    """Answers at once; `fault` may raise instead."""

    fault: Callable[[str, str], GloreError | None] = lambda _strategy, _question: None
    requested: list[tuple[str, str]] = field(default_factory=list)
    options: list[dict[str, object]] = field(default_factory=list)
    samplings: dict[str, Sampling | None] = field(default_factory=dict)  # by strategy
    running: int = 0
    most_running: int = 0

    async def solve(
        self,
        question: str,
        *,
        strategy: Strategy = "glore",
        sampling: Sampling | None = None,
        deadline: float = 60.0,
        **options: object,
    ) -> SolveResult:
        assert deadline == 120.0
        self.options.append(options)
        self.requested.append((question, strategy))
        self.samplings[strategy] = sampling
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            error = self.fault(strategy, question)
            if error is not None:
                raise error
            return SolveResult.model_validate(answer_of(strategy, question))
        finally:
            self.running -= 1


def plan(**parts: Any) -> EvaluationPlan:
    return EvaluationPlan(**{"source": "easy", "seed": 7, **parts})
