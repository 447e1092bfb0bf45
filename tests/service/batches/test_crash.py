"""Real gateway processes that are killed in the middle of a batch, and what is run again then.

A question whose result the store has is never run again. One that was being answered when its
gateway was killed is run once more, by whoever goes on; nothing else is run twice.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Final

from tests.service.batches.asking import (
    CONCURRENCY,
    COUNT,
    Line,
    Moment,
    assert_whole,
    engine,
    finished,
    gateway,
    once,
    rows,
    until_killed,
    whole,
)

ALL: Final = set(range(COUNT))
KILLS: Final[tuple[Moment, ...]] = ("told", "asked", "answered")
AFTER: Final = 6


async def test_a_gateway_killed_again_and_again_runs_again_what_it_had_not_finished_alone(
    location: str,
) -> None:
    reported: dict[int, Line] = {}
    stored: dict[int, str] = {}
    runs: Counter[int] = Counter()
    broken_off: Counter[int] = Counter()
    for moment in KILLS:
        async with engine() as student, gateway(student, location) as served:
            heard = await until_killed(served, student, "crash", moment, AFTER)
        before, stored = stored, await finished(location, "crash")
        assert stored.items() >= before.items()  # nothing that was finished is lost
        reported |= heard
        assert stored.keys() >= reported.keys()
        assert {i: line["result"] for i, line in reported.items()} == _parsed(stored, reported)
        new = stored.keys() - before.keys()
        claimed = (await rows(location, "crash")).keys() - stored.keys()
        running = student.requested.keys() - stored.keys()
        assert new <= student.answered.keys()
        assert student.requested == once(new | running)  # none of `before`, and none of them twice
        assert running <= claimed
        assert len(running) <= CONCURRENCY
        assert len(stored) < COUNT
        runs += student.requested
        broken_off += once(running)
    async with engine() as student, gateway(student, location) as served:
        results = assert_whole(await whole(served.url, "crash"), reported)
        assert {i: results[i]["result"] for i in stored} == _parsed(stored, stored)
        assert student.requested == once(ALL - stored.keys())
        assert_whole(await whole(served.url, "crash"), results)
        assert student.requested == once(ALL - stored.keys())  # all of it came from the store
        runs += student.requested
    assert runs == once(ALL) + broken_off


async def test_two_gateways_that_are_requested_at_once_run_no_question_twice(location: str) -> None:
    async with (
        engine() as one,
        engine() as other,
        gateway(one, location) as first,
        gateway(other, location) as second,
    ):
        students = (one, other)
        for student in students:
            student.may.clear()
        work = [asyncio.create_task(whole(each.url, "both")) for each in (first, second)]
        for student in students:  # both are at work before anything is answered
            await student.came.wait()
        for student in students:
            student.may.set()
        results = [assert_whole(each, {}) for each in await asyncio.gather(*work)]
    assert results[0] == results[1]
    assert one.requested + other.requested == once(ALL)


async def test_of_two_gateways_one_goes_on_when_the_other_is_killed(postgres: str) -> None:
    async with (
        engine() as one,
        engine() as other,
        gateway(one, postgres) as first,
        gateway(other, postgres) as second,
    ):
        work = asyncio.create_task(whole(second.url, "two"))
        reported = await until_killed(first, one, "two", "told", AFTER)
        assert not work.done()
        assert_whole(await work, reported)
    by_holder: dict[str, set[int]] = {}
    for position, row in (await rows(postgres, "two")).items():
        by_holder.setdefault(row.holder, set()).add(position)
    seconds = set(other.requested)
    assert other.requested == once(seconds)
    assert one.requested == once(set(one.requested))
    assert seconds in by_holder.values()  # what the second ran was its own to finish, all of it
    assert ALL - seconds <= one.requested.keys()
    assert len(one.requested.keys() & seconds) <= CONCURRENCY  # what the first was answering


def _parsed(stored: dict[int, str], questions: Iterable[int]) -> dict[int, object]:
    """Their results as the store has them."""
    return {index: json.loads(stored[index]) for index in questions}
