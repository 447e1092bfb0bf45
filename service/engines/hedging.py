"""A call that is late is made once more beside itself; the first answer counts.

Off unless it is set: it helps where one address stands for several servers (a balancer), one of
which is slow, and costs the work of both calls (Dean and Barroso, "The Tail at Scale", 2013).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")


async def hedged(
    work: Callable[[], Awaitable[_T]], after: float | None, again: Callable[[], bool]
) -> _T:
    """What the first call of `work` to succeed gives; the other one is cancelled.

    The second is made when the first has not ended after `after` seconds and `again` grants it;
    never when `after` is None. Raises what the first call raised when none succeeds.
    """
    if after is None:
        return await work()
    first = asyncio.ensure_future(work())
    calls = [first]
    try:
        await asyncio.wait(calls, timeout=after)
        if not first.done() and again():
            calls.append(asyncio.ensure_future(work()))
        running = set(calls)
        while running:
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for call in ended:
                if call.exception() is None:
                    return call.result()
        return first.result()
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
