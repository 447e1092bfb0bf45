"""How many requests a client may make: a token bucket each."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MINUTE: Final = 60.0
_WHOLE: Final = 1.0 - 1e-9  # a token, but for what rounding takes


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_minute` requests in the long run, `burst` of them at once. Both are at least 1."""

    per_minute: int
    burst: int


class TokenBucket:
    """One client's bucket: `burst` tokens at first, `per_minute` of them drip in evenly.

    `clock` gives monotonic seconds. It keeps two numbers, whatever comes. Tokens may be owed.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._most = float(rate.burst)
        self._per_second = rate.per_minute / _MINUTE
        self._clock = clock
        self._tokens = self._most
        self._filled = clock()

    def take(self) -> int:
        """Take a token: 0, or the whole seconds until there is one (none is taken then)."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._per_second)
        self._filled = now
        if self._tokens >= _WHOLE:
            self._tokens -= 1.0
            return 0
        return max(1, math.ceil((1.0 - self._tokens) / self._per_second))

    def owe(self, count: int) -> None:
        """Take `count` tokens, there or not: those that are not there are waited for later."""
        self._tokens -= count
