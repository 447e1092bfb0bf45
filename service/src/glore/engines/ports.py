"""What the algorithm needs from the models: three ports of one method each.

Every call is a coroutine. It is cancelled when its result is no longer needed. Every failure is
an `EngineError`; nothing else leaves an adapter, and its text holds nothing of the upstream's.

Every call takes a `Lease`: its share of the request's budget. An adapter that needs more than one
engine call reserves them first, gives back those that it did not make, and reports tokens as soon
as it knows of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias

from glore.formats.writing import OnText, Prompt

Role: TypeAlias = Literal["student", "sorm", "global_refiner", "local_refiner", "orm"]
FaultReason: TypeAlias = Literal[
    "unreachable",  # There was no connection, or it broke.
    "timeout",  # The engine took longer than the call may take, or says so (408, 504).
    "rejected",  # The engine refuses the request, and would again: another 4xx.
    "overloaded",  # The engine says that it is busy (429, 503).
    "failed",  # The engine reports an error of its own (another 5xx, an error in a stream).
    "bad_response",  # The answer cannot be read, or is larger than any answer to this call.
    "wrong_scores",  # There are more or fewer scores than steps.
    "circuit_open",  # The engine was not called: it failed too often just now.
]
# After these the engine has done nothing: no connection, an answer that says so, or no call.
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


@dataclass(slots=True)
class Lease:
    """What one call of a port may use: `timeout` seconds, one call to an engine, its tokens.

    This one belongs to no request, so nothing but the timeout binds. That of a request is
    `glore.refinement.budget.CallLease`.
    """

    timeout: float
    # Headers by which the engine goes on with the trace of the request, if there is one.
    trace_context: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def deadline(self) -> float | None:
        """Seconds that the whole request has, from its start; None without a request."""
        return None

    def new_call_id(self) -> str | None:
        """An id for the next engine call, which no other call has; None without a request.

        The engine logs the call by it.
        """
        return None

    def within(self, seconds: float) -> "Lease":
        """The same lease with another timeout."""
        return replace(self, timeout=seconds)

    def reserve_calls(self, count: int = 1, *, repeated: bool = False) -> bool:
        """Whether `count` more engine calls may be made; if so, they count as made.

        `repeated`: each does work again that may have begun. The tokens of the call must then be
        left once more, and count as used.
        """
        del count, repeated
        return True

    def refund_call(self) -> None:
        """The engine was not called after all: one call less counts as made."""

    def report_tokens(self, tokens: int) -> None:
        """The engine has generated so many tokens in all for this call, as far as is known.

        They count if the call fails. If it succeeds, its Generation counts.
        """


# The `finish_reason` of a text that was ended by its `OnText`.
STOPPED: Final = "stopped"


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text.

    `finish_reason` is vLLM's, "stop", or "length" when cut off; or STOPPED.
    """

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
        lease: Lease,
        on_text: OnText | None = None,
    ) -> Generation:
        """`n` completions of `prompt`. Raises EngineError.

        `on_text` gets the text as it is written (n = 1), in pieces that make up the completion's
        text. EngineError may follow pieces. Once it returns True, the engine stops writing; the
        tokens of what came until then count.
        """
        ...


class StepScorer(Protocol):
    """Says for each step how likely a right answer still is after it: the SORM."""

    async def score_steps(
        self,
        question: str,
        steps: Sequence[str],
        *,
        lease: Lease,
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
        lease: Lease,
    ) -> Scores:
        """One score per solution. Raises EngineError."""
        ...
