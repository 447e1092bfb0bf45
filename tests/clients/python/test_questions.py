"""The bodies and headers of requests."""

import pytest

from glore_client import Question, Sampling
from glore_client.questions import BatchCall, shared_options, solve_call
from tests.clients.python.samples import QUESTION


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_invalid_times_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="deadline must be a positive number of seconds"):
        solve_call(QUESTION, {"deadline": seconds}, "r")
    with pytest.raises(ValueError, match="timeout must be a positive number of seconds"):
        solve_call(QUESTION, {"timeout": seconds}, "r")
    with pytest.raises(ValueError, match="deadline must be a positive number of seconds"):
        Question(QUESTION, deadline=seconds)


def test_no_silence_lasts_longer_than_the_call() -> None:
    call = solve_call(QUESTION, {"timeout": 15.0}, "r")
    assert call.request(4.0, silence=30.0).silence == 11.0
    assert call.request(4.0, silence=5.0).silence == 5.0
    assert call.request(4.0).silence is None


def test_options_of_a_question_replace_those_for_all() -> None:
    question = Question(
        QUESTION,
        strategy="draft",
        deadline=3.0,
        max_engine_calls=1,
        sampling=Sampling(top_p=0.5),
        verify=False,
        rounds=2,
    )
    call = solve_call(
        question,
        {
            "strategy": "glore",
            "deadline": 9.0,
            "max_engine_calls": 5,
            "max_generated_tokens": 7,
            "rounds": 3,
            "verify": True,
            "correct": False,
        },
        "r",
    )
    assert call.request(0.0).body == {
        "question": QUESTION,
        "strategy": "draft",
        "sampling": {"top_p": 0.5},
        "deadline_ms": 3000,
        "max_engine_calls": 1,
        "max_generated_tokens": 7,
        "rounds": 2,
        "verify": False,
        "correct": False,
    }
    assert call.timeout == 8.0


def test_a_batch_sends_only_the_own_options_of_a_question() -> None:
    call = BatchCall(
        [
            Question("One?", id="a", strategy="draft", correct=True),
            Question("Two?", max_generated_tokens=5, verify=True),
        ],
        shared_options({"deadline": 9.0, "max_engine_calls": 4, "rounds": 2, "verify": False}),
        "key-1",
        100.0,
        30.0,
        "r",
    )
    send = call.request(80.0)
    assert send.body == {
        "questions": [
            {"question": "One?", "id": "a", "strategy": "draft", "correct": True},
            {"question": "Two?", "max_generated_tokens": 5, "verify": True},
        ],
        "deadline_ms": 9000,
        "max_engine_calls": 4,
        "rounds": 2,
        "verify": False,
    }
    assert send.body == call.request(0.0).body
    assert send.headers["Idempotency-Key"] == "key-1"
    assert send.headers["Glore-Deadline-Ms"] == "19750"
    assert send.silence == 20.0
