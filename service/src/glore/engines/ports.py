"""What the algorithm needs from the models: three ports of one method each.

Every call is a coroutine that is cancelled when its answer is no longer wanted, and takes
`timeout` in seconds, the share of the request's one budget it may use. Every failure is an
`EngineError`; nothing else leaves an adapter, and its text holds nothing of the upstream's.

A call of a port is promised one call to an engine and the tokens that it names. An adapter that
needs more, to ask again or for many things that fit into no single call, first asks `more_calls`,
tells of each that came to nothing (`not_made`), and of what was generated as soon as it knows
(`has_written`). The request's budget goes past the
layers between in a context variable, as a trace does: they have no use for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias

from glore.formats.writing import Prompt

Role: TypeAlias = Literal["student", "sorm", "global_refiner", "local_refiner", "orm"]
FaultReason: TypeAlias = Literal[
    "unreachable",
    "timeout",
    "rejected",
    "overloaded",
    "failed",
    "bad_response",
    "wrong_scores",
    "circuit_open",  # not asked: it failed too often just now
]
# After these the engine has done nothing: no connection, an answer that says so, or not asked.
NOTHING_BEGUN: Final[frozenset[FaultReason]] = frozenset(
    {"unreachable", "overloaded", "circuit_open"}
)


class EngineError(Exception):
    """An engine gave no usable answer.

    `reason` and `explanation` are safe to show to a client. `explanation` goes on after "the
    engine". `details` are for the log alone: HTTP status, problem, beginning of the body.
    """

    def __init__(
        self,
        role: Role,
        reason: FaultReason,
        explanation: str = "",
        details: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(f"{role}: {reason}")
        self.role = role
        self.reason: FaultReason = reason
        self.explanation = explanation
        self.details = details


class NoCallLeftError(Exception):
    """The request may not make the engine calls that this needs."""


class Allowance(Protocol):
    """What one call of a port may use of its request's budget, and where it tells what it used."""

    @property
    def deadline(self) -> float:
        """Seconds that the whole request has, from its start."""
        ...

    def more_calls(self, count: int, *, repeated: bool) -> bool:
        """As the function of this name."""
        ...

    def not_made(self) -> None:
        """As the function of this name."""
        ...

    def has_written(self, tokens: int) -> None:
        """As the function of this name."""
        ...


_allowance: ContextVar[Allowance] = ContextVar("allowance")


@contextmanager
def spending(allowance: Allowance) -> Iterator[None]:
    """The call of a port in the block has this allowance."""
    token = _allowance.set(allowance)
    try:
        yield
    finally:
        _allowance.reset(token)


def more_calls(count: int = 1, *, repeated: bool = False) -> bool:
    """Whether `count` engine calls may be made beyond those promised; they then count as made.

    `repeated`: each of them does work again that may have been begun, so the tokens granted to
    the call must be there once more, and count as spent. For whoever calls a port on behalf of no
    request there is no bound.
    """
    allowance = _allowance.get(None)
    return allowance is None or allowance.more_calls(count, repeated=repeated)


def not_made() -> None:
    """Tell that the engine was not asked after all: one call fewer counts as made."""
    allowance = _allowance.get(None)
    if allowance is not None:
        allowance.not_made()


def request_deadline() -> float | None:
    """Seconds that the whole request has, from its start; None on behalf of no request."""
    allowance = _allowance.get(None)
    return None if allowance is None else allowance.deadline


def has_written(tokens: int) -> None:
    """Tell that the engine has generated so many tokens in all for this call, as far as is known.

    It counts for a call that is then lost; of one that succeeds its Generation is believed.
    """
    allowance = _allowance.get(None)
    if allowance is not None:
        allowance.has_written(tokens)


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text. `finish_reason` is vLLM's: "stop", or "length" when cut off."""

    text: str
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Generation:
    """What one generate call gave and cost (tokens are summed over its completions)."""

    completions: tuple[Completion, ...]
    prompt_tokens: int
    generated_tokens: int


@dataclass(frozen=True, slots=True)
class Scores:
    """One score in 0..1 per step (StepScorer) or per solution (OutcomeScorer), in order."""

    values: tuple[float, ...]
    prompt_tokens: int


class Generator(Protocol):
    """Writes text: the student and both refiners."""

    async def generate(
        self,
        prompt: Prompt,
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        timeout: float,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """`n` completions of `prompt`. Raises EngineError.

        `on_text` asks for the text as it is written (n = 1): it is called with pieces, none of
        them empty, that make up the completion's text. EngineError may follow pieces.
        """
        ...


class StepScorer(Protocol):
    """Says for each step how likely a right answer still is after it: the SORM."""

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        timeout: float,
    ) -> Scores:
        """One score per step. Raises EngineError; a count that differs is `wrong_scores`."""
        ...


class OutcomeScorer(Protocol):
    """Says for each solution how likely its final answer is right: the ORM."""

    async def score_outcomes(
        self,
        question: str,
        solutions: Sequence[str],
        *,
        timeout: float,
    ) -> Scores:
        """One score per solution. Raises EngineError."""
        ...
