"""What a request spends while its actions run: time, engine calls, and tokens seen and unseen.

How many tokens an answer has is told by its engine. Of a call that is lost (it failed, or was
stopped) so much is known as was told before; the rest of what it was granted may have been
generated unseen and stays taken from the cap. So does all that is granted once more to work which
is done again although it may have been begun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from glore.engines.ports import (
    NOTHING_BEGUN,
    EngineError,
    FaultReason,
    Generation,
    NoCallLeftError,
    spending,
)
from glore.refinement.types import DegradedReason

_T = TypeVar("_T")


class NothingError(Exception):
    """A call that gave nothing, and why. `explanation` is that of an EngineError."""

    def __init__(self, reason: FaultReason | DegradedReason, explanation: str = "") -> None:
        super().__init__(reason)
        self.reason: FaultReason | DegradedReason = reason
        self.explanation = explanation


@dataclass(slots=True)
class Purse:
    """What the actions of one request may take beyond what was promised to them, and took.

    `deadline` is the request's, in seconds from its start.
    """

    deadline: float
    calls: int = 0
    tokens: int = 0
    calls_taken: int = 0  # by actions that have not ended
    tokens_taken: int = 0  # likewise


@dataclass(slots=True)
class Meter:
    """What one action has used so far."""

    purse: Purse
    engine_calls: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0  # known
    lost_tokens: int = 0  # perhaps generated, unseen
    calls_taken: int = 0
    tokens_taken: int = 0

    @contextmanager
    def calling(self, granted: int) -> Iterator[None]:
        """Around one call of a port that may generate `granted` tokens.

        The tokens of its answer are for `add`; those of a call that ends with an error are
        counted here.
        """
        self.engine_calls += 1
        call = _Call(self, granted)
        try:
            with spending(call):
                yield
        except NoCallLeftError:  # before any was made
            self.engine_calls -= 1
            raise
        except EngineError as error:
            call.lose(unseen=error.reason not in NOTHING_BEGUN)
            raise
        except BaseException:  # stopped, or out of time
            call.lose(unseen=True)
            raise

    def add(self, generation: Generation) -> None:
        """Count the tokens of an answer."""
        self.prompt_tokens += generation.prompt_tokens
        self.generated_tokens += generation.generated_tokens

    def close(self) -> None:
        """The action has ended: from here on what it took is told by its cost."""
        self.purse.calls_taken -= self.calls_taken
        self.purse.tokens_taken -= self.tokens_taken


@dataclass(slots=True)
class _Call:
    """One call of a port: fills `Allowance`."""

    meter: Meter
    granted: int
    written: int = 0

    @property
    def deadline(self) -> float:
        """That of the request."""
        return self.meter.purse.deadline

    def more_calls(self, count: int, *, repeated: bool) -> bool:
        """Take them from what the request has to spare, with their tokens if `repeated`."""
        purse, tokens = self.meter.purse, self.granted * count if repeated else 0
        if purse.calls < count or purse.tokens < tokens:
            return False
        purse.calls -= count
        purse.tokens -= tokens
        for each in (purse, self.meter):
            each.calls_taken += count
            each.tokens_taken += tokens
        self.meter.engine_calls += count
        self.meter.lost_tokens += tokens
        return True

    def not_made(self) -> None:
        """Count a call less. What was taken for it is given back once the action has ended."""
        self.meter.engine_calls -= 1

    def has_written(self, tokens: int) -> None:
        """More than was granted is not believed: the answer that claims it is refused."""
        self.written = min(max(self.written, tokens), self.granted)

    def lose(self, *, unseen: bool) -> None:
        """The call gave nothing: what it has written is spent, and the rest too if `unseen`."""
        self.meter.generated_tokens += self.written
        if unseen or self.written:
            self.meter.lost_tokens += self.granted - self.written


async def call_within(
    seconds: float, meter: Meter, call: Callable[[float], Awaitable[_T]], granted: int = 0
) -> _T:
    """One engine call, stopped after `seconds`; not made when there are none.

    It may generate as many tokens as are `granted`. Raises NothingError for whatever a
    well-behaved engine may do wrong.
    """
    if seconds <= 0:
        raise NothingError(DegradedReason.DEADLINE)
    limit = asyncio.timeout(seconds)
    try:
        with meter.calling(granted):
            async with limit:
                return await call(seconds)
    except EngineError as error:
        raise NothingError(error.reason, error.explanation) from error
    except NoCallLeftError as error:
        raise NothingError(DegradedReason.CALL_CAP) from error
    except TimeoutError:
        if not limit.expired():
            raise
        raise NothingError(DegradedReason.DEADLINE) from None
