"""What waits to be read, the signs of life, and how a telling ends."""

import asyncio

import pytest

from service.api.schemas import SolveResponse
from service.api.telling import Silence, Telling, Turn
from service.errors import NoDraftInTimeError
from service.refinement.progress import Advanced, Delta
from service.refinement.types import Reranked, Stage, State
from tests.service.refinement.builders import task

PATIENT = 60.0
EVENT = Advanced(Reranked(()), State(task()))


def delta(text: str, stage: Stage = Stage.DRAFT) -> Delta:
    return Delta(stage, text)


async def ended(telling: Telling, error: Exception | None = None) -> SolveResponse:
    """End a telling with a response or an error."""
    response = SolveResponse.model_construct(id="solve_1")

    async def work() -> SolveResponse:
        if error is not None:
            raise error
        return response

    working = asyncio.create_task(work())
    working.add_done_callback(telling.end)
    await asyncio.wait([working])
    return response


async def test_what_is_read_at_once_comes_as_it_was_told() -> None:
    telling = Telling(PATIENT)
    for item in (delta("a"), delta("b"), EVENT, delta("c")):
        telling.tell(item)
        assert await anext(telling) == item


async def test_what_is_read_late_is_joined_between_events() -> None:
    telling = Telling(PATIENT)
    for _ in range(100):
        telling.tell(delta("a"))
    telling.tell(EVENT)
    for _ in range(100):
        telling.tell(delta("b", Stage.REFINE_GLOBALLY))
        telling.tell(delta("c", Stage.REFINE_LOCALLY))
    telling.tell(EVENT)
    response = await ended(telling)
    assert [item async for item in telling] == [
        delta("a" * 100),
        EVENT,
        delta("b" * 100, Stage.REFINE_GLOBALLY),
        delta("c" * 100, Stage.REFINE_LOCALLY),
        EVENT,
        response,
    ]


async def test_a_turn_comes_before_what_is_told_in_it() -> None:
    telling = Telling(0.01)
    assert await anext(telling) == Silence()
    telling.begin()
    telling.tell(delta("a"))
    telling.tell(delta("b"))
    response = await ended(telling)
    assert [item async for item in telling] == [Turn(), delta("ab"), response]


async def test_a_reader_waits_for_news() -> None:
    telling = Telling(PATIENT)
    reader = asyncio.ensure_future(anext(telling))
    await asyncio.sleep(0)
    assert not reader.done()
    telling.tell(delta("a"))
    assert await reader == delta("a")


async def test_silence_is_told_again_and_again() -> None:
    telling = Telling(0.01)
    assert [await anext(telling), await anext(telling)] == [Silence(), Silence()]
    telling.tell(delta("a"))
    assert await anext(telling) == delta("a")
    response = await ended(telling)
    assert [item async for item in telling] == [response]


async def test_an_error_comes_after_what_was_told() -> None:
    telling = Telling(PATIENT)
    telling.tell(delta("a"))
    await ended(telling, NoDraftInTimeError("no draft"))
    assert await anext(telling) == delta("a")
    with pytest.raises(NoDraftInTimeError):
        await anext(telling)
    with pytest.raises(StopAsyncIteration):
        await anext(telling)
