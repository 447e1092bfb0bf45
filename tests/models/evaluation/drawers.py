"""Models in batches that answer by rule: the same arguments give the same texts."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from glore_models.sampling.port import Rollout
from tests.models.evaluation.paper.fakes import KilledError


@dataclass
class FakeDrawer:
    """Writes `write(prompt, number)`, where 0 is the greedy text and samples count from 1."""

    write: Callable[[str, int], str]
    rows: int = 100
    batches: list[int] = field(default_factory=list)
    die_at: int | None = None  # the batch that is not drawn

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int,
        temperature: float,
        max_tokens: int,
        salt: str = "",
    ) -> list[list[Rollout]]:
        assert (n, max_tokens) == (1, 256)
        if self.die_at == len(self.batches):
            raise KilledError
        self.batches.append(len(prompts))
        numbers = [int(index) + (temperature > 0) for index in salt.split()]
        texts = [self.write(prompt, at) for prompt, at in zip(prompts, numbers, strict=True)]
        return [[Rollout(text, finished=True, tokens=len(text))] for text in texts]


@dataclass
class FakeScorer:
    """Scores by a hash of question and steps."""

    rows: int = 100
    batches: list[int] = field(default_factory=list)

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        self.batches.append(len(solutions))
        return [
            tuple(
                hashlib.sha256(f"{question} {steps[: i + 1]}".encode()).digest()[0] / 255
                for i in range(len(steps))
            )
            for question, steps in solutions
        ]
