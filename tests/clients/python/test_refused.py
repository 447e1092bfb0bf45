"""Questions that cannot be sent: a ValueError alone, and `Failed` among others, which go on."""

from typing import Any

import pytest

from glore_client import Answered, Failed, InvalidQuestionError, Outcome, Question, Sampling
from tests.clients.python import samples
from tests.clients.python.fakes import LINES, Connect, Gateway, ok, streamed

SURROGATE = "emoji \ud83d"
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
# A question, and the reason.
REFUSED: list[tuple[Any, str]] = [
    (SURROGATE, r"the question cannot be encoded: it holds '\\ud83d'"),
    ("\udcff", r"the question cannot be encoded: it holds '\\udcff'"),
    (None, r"a question is a text \(str\), not NoneType"),
    (5, r"a question is a text \(str\), not int"),
    (b"1+1?", r"a question is a text \(str\), not bytes"),
    ({"question": "1+1?"}, r"a question is a text \(str\), not dict"),
    (Question(SURROGATE), "the question cannot be encoded"),
    (Question(None), r"a question is a text \(str\), not NoneType"),  # type: ignore[arg-type]
    (Question("1+1?", id=SURROGATE), "the id cannot be encoded"),
    (Question("1+1?", id=5), r"the id of a question is a text \(str\), not int"),  # type: ignore[arg-type]
    (Question("1+1?", strategy=SURROGATE), "the strategy cannot be encoded"),  # type: ignore[arg-type]
    (Question("1+1?", strategy=ENDLESS), "the strategy cannot be encoded"),  # type: ignore[arg-type]
    (Question("1+1?", sampling={"n": 2}), "sampling is a Sampling, not dict"),  # type: ignore[arg-type]
    (Question("1+1?", sampling=Sampling(top_p=float("nan"))), "the sampling cannot be encoded"),
    (Question("1+1?", max_engine_calls=object()), "the max_engine_calls cannot be"),  # type: ignore[arg-type]
]
MIXED = ["1+1?", *(question for question, _ in REFUSED), Question("2+2?", id="b"), "3+3?"]
GOOD = [0, len(MIXED) - 2, len(MIXED) - 1]
BAD = list(range(1, len(MIXED) - 2))


def assert_complete(outcomes: list[Outcome]) -> None:
    """Each question once: the good ones answered, of the others why not."""
    assert sorted(each.index for each in outcomes) == list(range(len(MIXED)))
    for outcome in outcomes:
        given: Any = MIXED[outcome.index]
        assert outcome.question == (given if isinstance(given, Question) else Question(given))
        if outcome.index in GOOD:
            assert isinstance(outcome, Answered)
            continue
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, InvalidQuestionError)
        assert outcome.error.request_id == ""
        assert str(outcome.error).isprintable()


@pytest.mark.parametrize(("question", "text"), REFUSED)
def test_a_single_one_is_a_value_error_with_the_reason(
    connect: Connect,
    question: Any,
    text: str,
) -> None:
    gateway = Gateway([ok()])
    client = connect(gateway)
    for call in (client.stream, client.solve):
        with pytest.raises(ValueError, match=text):
            call(question)
    assert gateway.requests == []


@pytest.mark.parametrize("ordered", [True, False])
def test_many_continue_without_them(connect: Connect, *, ordered: bool) -> None:
    gateway = Gateway([ok() for _ in GOOD])
    outcomes = list(connect(gateway).solve_many(MIXED, ordered=ordered, concurrency=2))
    assert_complete(outcomes)
    assert [each.index for each in outcomes] == list(range(len(MIXED))) or not ordered
    sent = [gateway.body(i)["question"] for i in range(len(gateway.requests))]
    assert sorted(sent) == ["1+1?", "2+2?", "3+3?"]


@pytest.mark.parametrize("key", [None, "k-1"])
def test_a_batch_continues_without_them(connect: Connect, key: str | None) -> None:
    lines = [samples.line(index, result=samples.result()) for index in (2, 0, 1)]
    gateway = Gateway([streamed(LINES, *lines, samples.last_line(ok=3))])
    outcomes: list[Outcome] = []
    outcomes.extend(connect(gateway).solve_batch(MIXED, idempotency_key=key))
    assert_complete(outcomes)
    assert [each.index for each in outcomes] == [*BAD, GOOD[2], GOOD[0], GOOD[1]]
    assert gateway.body()["questions"] == [
        {"question": "1+1?"},
        {"question": "2+2?", "id": "b"},
        {"question": "3+3?"},
    ]


def test_a_batch_that_is_cut_off_gives_them_once(connect: Connect) -> None:
    first, second, third = (samples.line(i, result=samples.result()) for i in range(3))
    whole = streamed(LINES, first + second + third + samples.last_line(ok=3))
    outcomes: list[Outcome] = []
    outcomes.extend(
        connect(Gateway([streamed(LINES, second), whole])).solve_batch(MIXED, idempotency_key="k-1")
    )
    assert_complete(outcomes)


def test_a_batch_of_nothing_else_is_not_sent(connect: Connect) -> None:
    gateway = Gateway([ok()])
    outcomes: list[Outcome] = []
    outcomes.extend(connect(gateway).solve_batch(MIXED[1:-2]))
    assert [type(each) for each in outcomes] == [Failed] * len(BAD)
    assert gateway.requests == []


@pytest.mark.parametrize(
    "options",
    [{"strategy": SURROGATE}, {"sampling": {"n": 2}}, {"max_engine_calls": object()}],
)
def test_options_for_all_that_cannot_be_sent_are_refused_by_the_call(
    connect: Connect, options: dict[str, Any]
) -> None:
    gateway = Gateway([ok()])
    client = connect(gateway)
    for call in (client.solve_many, client.solve_batch):
        with pytest.raises(ValueError, match=r"cannot be encoded|is a Sampling"):
            call(["1+1?"], **options)
    with pytest.raises(ValueError, match=r"cannot be encoded|is a Sampling"):
        client.stream("1+1?", **options)
    assert gateway.requests == []
