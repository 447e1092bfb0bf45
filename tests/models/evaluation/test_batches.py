import asyncio
from pathlib import Path

import pytest

from glore.engines.ports import Generation, Lease
from glore_models.evaluation.batches import Batches, MissingTextError, engines_of
from tests.models.evaluation.drawers import FakeDrawer, FakeScorer
from tests.models.evaluation.paper.fakes import KilledError

QUESTIONS = [f"q{number}" for number in range(7)]


def batches(folder: Path, drawer: FakeDrawer, scorer: FakeScorer | None = None) -> Batches:
    return Batches({"student": drawer}, {"orm": scorer or FakeScorer()}, folder, 256)


def drawer(rows: int = 100, die_at: int | None = None) -> FakeDrawer:
    return FakeDrawer(lambda prompt, number: f"{prompt} {number}", rows, die_at=die_at)


async def ask(
    created: Batches, question: str, *, n: int = 1, temperature: float = 0.0, times: int = 1
) -> list[Generation]:
    student = engines_of(created, ()).student
    return [
        await student.generate(
            question, n=n, temperature=temperature, top_p=1.0, max_tokens=256, lease=Lease(1.0)
        )
        for _ in range(times)
    ]


def texts_of(found: list[Generation]) -> list[str]:
    return [completion.text for each in found for completion in each.completions]


def test_what_many_questions_wait_for_is_one_batch(tmp_path: Path) -> None:
    model = drawer()
    created = batches(tmp_path, model)
    found = asyncio.run(created.run([ask(created, question) for question in QUESTIONS]))
    assert model.batches == [7]
    assert [texts_of(each) for each in found] == [[f"{question} 0"] for question in QUESTIONS]


def test_a_batch_is_no_larger_than_the_model_wants(tmp_path: Path) -> None:
    model = drawer(rows=3)
    created = batches(tmp_path, model)
    asyncio.run(created.run([ask(created, question) for question in QUESTIONS]))
    assert model.batches == [3, 3, 1]


def test_two_ways_share_their_texts_and_one_way_draws_each_sample_once(tmp_path: Path) -> None:
    model = drawer()
    created = batches(tmp_path, model)
    first, second, greedy = asyncio.run(
        created.run(
            [
                ask(created, "q", n=2, temperature=0.7, times=2),
                ask(created, "q", temperature=0.7, times=3),
                ask(created, "q", times=2),
            ]
        )
    )
    assert texts_of(first) == ["q 1", "q 2", "q 3", "q 4"]
    assert texts_of(second) == ["q 1", "q 2", "q 3"]
    assert texts_of(greedy) == ["q 0", "q 0"]
    assert sum(model.batches) == 5
    assert first[0].generated_tokens == 6


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    model = drawer(rows=2, die_at=2)
    created = batches(tmp_path, model)
    with pytest.raises(ExceptionGroup) as killed:
        asyncio.run(created.run([ask(created, question) for question in QUESTIONS]))
    assert killed.group_contains(KilledError)
    again = drawer(rows=2)
    created = batches(tmp_path, again)
    found = asyncio.run(created.run([ask(created, question) for question in QUESTIONS]))
    assert sum(again.batches) == 3
    assert [texts_of(each) for each in found] == [[f"{question} 0"] for question in QUESTIONS]


def test_scores_are_stored_too_and_a_text_without_steps_has_none(tmp_path: Path) -> None:
    async def scored(created: Batches) -> tuple[float, ...]:
        orm = engines_of(created, ()).orm
        return (await orm.score_outcomes("q", ["a\nb", " \n", "a\nb"], lease=Lease(1.0))).values

    scorer = FakeScorer()
    created = batches(tmp_path, drawer(), scorer)
    (first,) = asyncio.run(created.run([scored(created)]))
    assert first[0] == first[2] > 0.0
    assert first[1] == 0.0
    assert scorer.batches == [1]
    created = Batches({}, {}, tmp_path, 256)
    assert asyncio.run(created.run([scored(created)])) == [first]


def test_without_models_what_is_missing_is_an_error(tmp_path: Path) -> None:
    created = Batches({}, {}, tmp_path, 256)
    with pytest.raises(ExceptionGroup) as missing:
        asyncio.run(created.run([ask(created, "q")]))
    assert missing.group_contains(MissingTextError)


async def test_what_a_row_does_not_say_is_refused(tmp_path: Path) -> None:
    student = engines_of(batches(tmp_path, drawer()), ()).student
    with pytest.raises(ValueError, match="one token limit"):
        await student.generate("q", n=1, temperature=0.0, top_p=1.0, max_tokens=9, lease=Lease(1.0))
    with pytest.raises(ValueError, match="top_p 1"):
        await student.generate(
            "q", n=1, temperature=0.0, top_p=0.5, max_tokens=256, lease=Lease(1.0)
        )
