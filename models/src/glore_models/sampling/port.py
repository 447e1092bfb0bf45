"""The port that every rollout goes through."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from glore_models.sampling.prefixes import chunk_by_prefix


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled completion. `finished` is False when it was cut off at the token limit.

    `tokens` are those of the text: the end token, drawn where `finished`, is not counted.
    """

    text: str
    finished: bool
    tokens: int


@dataclass(frozen=True, slots=True)
class SamplingParams:
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


@runtime_checkable
class StreamingSampler(Sampler, Protocol):
    """A sampler that wants all prompts at once and hands back what is finished."""

    def stream(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """The place of a prompt and its `n` rollouts, each once, as they are finished."""
        ...

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        """As `Sampler.sample`, and raises what `stream` raises."""
        drawn = dict(self.stream(prompts, n=n, temperature=temperature, max_tokens=max_tokens))
        return [drawn[place] for place in range(len(prompts))]


def finished(
    sampler: Sampler, prompts: Sequence[str], drawing: SamplingParams, at_once: int
) -> Iterator[list[tuple[int, list[Rollout]]]]:
    """Places and rollouts of up to `at_once` prompts, as they are finished, until all are.

    A streaming sampler gets all prompts together, another one up to `at_once` at a time: as
    many as leave those that go on from one another in one call.
    """
    how = asdict(drawing)
    if isinstance(sampler, StreamingSampler):
        several: list[tuple[int, list[Rollout]]] = []
        for one in sampler.stream(prompts, **how):
            several.append(one)
            if len(several) == at_once:
                yield several
                several = []
        if several:
            yield several
        return
    for places in chunk_by_prefix(prompts, at_once):
        drawn = sampler.sample([prompts[place] for place in places], **how)
        yield list(zip(places, drawn, strict=True))


# (checkpoint folder, seed) -> something that samples from it
MakeSampler: TypeAlias = Callable[[Path, int], Sampler]
