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
    told: dict[int, Line] = {}
    kept: dict[int, str] = {}
    runs: Counter[int] = Counter()
    broken_off: Counter[int] = Counter()
    for moment in KILLS:
        async with engine() as student, gateway(student, location) as served:
            heard = await until_killed(served, student, "crash", moment, AFTER)
        before, kept = kept, await finished(location, "crash")
        assert kept.items() >= before.items()  # nothing that was finished is lost
        told |= heard
        assert kept.keys() >= told.keys()
        assert {i: line["result"] for i, line in told.items()} == _parsed(kept, told)
        new = kept.keys() - before.keys()
        claimed = (await rows(location, "crash")).keys() - kept.keys()
        running = student.asked.keys() - kept.keys()
        assert new <= student.answered.keys()
        assert student.asked == once(new | running)  # none of `before`, and none of them twice
        assert running <= claimed
        assert len(running) <= CONCURRENCY
        assert len(kept) < COUNT
        runs += student.asked
        broken_off += once(running)
    async with engine() as student, gateway(student, location) as served:
        results = assert_whole(await whole(served.url, "crash"), told)
        assert {i: results[i]["result"] for i in kept} == _parsed(kept, kept)
        assert student.asked == once(ALL - kept.keys())
        assert_whole(await whole(served.url, "crash"), results)
        assert student.asked == once(ALL - kept.keys())  # all of it came from the store
        runs += student.asked
    assert runs == once(ALL) + broken_off


async def test_two_gateways_that_are_asked_at_once_run_no_question_twice(location: str) -> None:
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
    assert one.asked + other.asked == once(ALL)


async def test_of_two_gateways_one_goes_on_when_the_other_is_killed(postgres: str) -> None:
    async with (
        engine() as one,
        engine() as other,
        gateway(one, postgres) as first,
        gateway(other, postgres) as second,
    ):
        work = asyncio.create_task(whole(second.url, "two"))
        told = await until_killed(first, one, "two", "told", AFTER)
        assert not work.done()
        assert_whole(await work, told)
    by_holder: dict[str, set[int]] = {}
    for place, row in (await rows(postgres, "two")).items():
        by_holder.setdefault(row.holder, set()).add(place)
    seconds = set(other.asked)
    assert other.asked == once(seconds)
    assert one.asked == once(set(one.asked))
    assert seconds in by_holder.values()  # what the second ran was its own to finish, all of it
    assert ALL - seconds <= one.asked.keys()
    assert len(one.asked.keys() & seconds) <= CONCURRENCY  # what the first was answering


def _parsed(kept: dict[int, str], questions: Iterable[int]) -> dict[int, object]:
    """Their results as the store has them."""
    return {index: json.loads(kept[index]) for index in questions}
