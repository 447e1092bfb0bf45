"""The port that every rollout goes through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled completion. `finished` is False when it was cut off at the token limit."""

    text: str
    finished: bool
    tokens: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """How rollouts are drawn: `n` for each prompt, at most `max_tokens` tokens each."""

    n: int
    temperature: float
    max_tokens: int


class Sampler(Protocol):
    """Draws completions; the same prompt is computed once for all its `n` rollouts."""

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        """`n` rollouts for each prompt, in order; temperature 0 is greedy."""
        ...


# (checkpoint folder, seed) -> something that samples from it
MakeSampler: TypeAlias = Callable[[Path, int], Sampler]
