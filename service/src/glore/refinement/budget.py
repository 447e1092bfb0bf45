"""What a request uses while its actions run: time, engine calls and tokens.

An engine says how many tokens its answer has. If a call fails or is stopped, only the tokens that
were reported before are known. The rest of its allowance may have been generated unseen, so it
still counts against the cap. The same holds for the allowance of a retry of work that had begun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from glore.engines.ports import (
    NOTHING_BEGUN,
    EngineError,
    FaultReason,
    Generation,
    Lease,
    NoCallLeftError,
)
from glore.refinement.types import DegradedReason

_T = TypeVar("_T")


class StageFailedError(Exception):
    """A call that gave nothing, and why. `explanation` is that of an EngineError."""

    def __init__(self, reason: FaultReason | DegradedReason, explanation: str = "") -> None:
        super().__init__(reason)
        self.reason: FaultReason | DegradedReason = reason
        self.explanation = explanation


@dataclass(slots=True)
class SpareBudget:
    """What actions in flight may reserve beyond what they were promised, and what they reserved.

    `deadline` is the request's, in seconds from its start.
    """

    deadline: float
    calls: int = 0
    tokens: int = 0
    reserved_calls: int = 0  # by actions that have not ended
    reserved_tokens: int = 0


@dataclass(slots=True)
class ActionUsage:
    """What one action has used so far.

    `new_call_id` names its engine calls for the engines, if they are named.
    """

    spare: SpareBudget
    new_call_id: Callable[[], str | None] = lambda: None
    engine_calls: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0  # known
    lost_tokens: int = 0  # perhaps generated, unseen
    reserved_calls: int = 0
    reserved_tokens: int = 0

    @contextmanager
    def lease(self, timeout: float, granted: int) -> Iterator[Lease]:
        """The lease of one call of a port that may generate `granted` tokens.

        `add` counts the tokens of its answer. The tokens of a call that fails are counted here.
        """
        self.engine_calls += 1
        lease = CallLease(timeout, self, _Reported(granted))
        try:
            yield lease
        except NoCallLeftError:  # before any was made
            self.engine_calls -= 1
            raise
        except EngineError as error:
            lease.lose(unseen=error.reason not in NOTHING_BEGUN)
            raise
        except BaseException:  # stopped, or out of time
            lease.lose(unseen=True)
            raise

    def add(self, generation: Generation) -> None:
        """Count the tokens of an answer."""
        self.prompt_tokens += generation.prompt_tokens
        self.generated_tokens += generation.generated_tokens

    def close(self) -> None:
        """The action has ended: from here on its cost holds what it reserved."""
        self.spare.reserved_calls -= self.reserved_calls
        self.spare.reserved_tokens -= self.reserved_tokens


@dataclass(slots=True)
class _Reported:
    """The tokens that a call may generate, and those that its engine has reported."""

    granted: int
    tokens: int = 0


@dataclass(slots=True)
class CallLease(Lease):
    """The lease of one call of a port, on the budget of its request."""

    usage: ActionUsage
    reported: _Reported

    @property
    def deadline(self) -> float:
        """Seconds that the whole request has, from its start."""
        return self.usage.spare.deadline

    def new_call_id(self) -> str | None:
        """An id of the request, the stage and a number."""
        return self.usage.new_call_id()

    def within(self, seconds: float) -> "CallLease":
        """The same lease with another timeout."""
        return replace(self, timeout=seconds)

    def reserve_calls(self, count: int = 1, *, repeated: bool = False) -> bool:
        """Take them from the spare budget of the request, with their tokens if `repeated`."""
        spare, tokens = self.usage.spare, self.reported.granted * count if repeated else 0
        if spare.calls < count or spare.tokens < tokens:
            return False
        spare.calls -= count
        spare.tokens -= tokens
        for each in (spare, self.usage):
            each.reserved_calls += count
            each.reserved_tokens += tokens
        self.usage.engine_calls += count
        self.usage.lost_tokens += tokens
        return True

    def refund_call(self) -> None:
        """Count a call less. What it reserved is given back when the action ends."""
        self.usage.engine_calls -= 1

    def report_tokens(self, tokens: int) -> None:
        """More than was granted does not count: the answer that claims it is refused."""
        self.reported.tokens = min(max(self.reported.tokens, tokens), self.reported.granted)

    def lose(self, *, unseen: bool) -> None:
        """The call failed: its reported tokens are used, and the others too if `unseen`."""
        self.usage.generated_tokens += self.reported.tokens
        if unseen or self.reported.tokens:
            self.usage.lost_tokens += self.reported.granted - self.reported.tokens


async def call_within(
    seconds: float, usage: ActionUsage, call: Callable[[Lease], Awaitable[_T]], granted: int = 0
) -> _T:
    """One call of a port, stopped after `seconds`; not made when there are none.

    It may generate `granted` tokens. Raises StageFailedError for everything that a well-behaved
    adapter may raise.
    """
    if seconds <= 0:
        raise StageFailedError(DegradedReason.DEADLINE)
    limit = asyncio.timeout(seconds)
    try:
        with usage.lease(seconds, granted) as lease:
            async with limit:
                return await call(lease)
    except EngineError as error:
        raise StageFailedError(error.reason, error.explanation) from error
    except NoCallLeftError as error:
        raise StageFailedError(DegradedReason.CALL_CAP) from error
    except TimeoutError:
        if not limit.expired():
            raise
        raise StageFailedError(DegradedReason.DEADLINE) from None
