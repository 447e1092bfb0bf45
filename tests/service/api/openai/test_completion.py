import copy

import pytest

from glore.api.examples import RESPONSE
from glore.api.openai.completion import ChatCompletion, Head, ending
from glore.api.schemas import SolveResponse


def test_a_completion_carries_the_answer_and_its_trace() -> None:
    response = SolveResponse.model_validate(RESPONSE)
    completion = ChatCompletion.of(response, Head("glore", "chatcmpl-1", 7))
    shown = completion.model_dump(mode="json")
    assert shown.pop("glore") == RESPONSE | {"ignored": []}
    assert shown == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "glore",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": RESPONSE["solution"],
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 498, "completion_tokens": 97, "total_tokens": 595},
    }


@pytest.mark.parametrize(
    ("given", "reported"), [("stop", "stop"), ("length", "length"), ("abort", "stop")]
)
def test_it_ends_as_the_selected_candidate_does(given: str, reported: str) -> None:
    response = copy.deepcopy(RESPONSE)
    for index, candidate in enumerate(response["candidates"]):
        selected = index == response["selected"]["candidate"]
        candidate["finish_reason"] = given if selected else "length"
    whole = SolveResponse.model_validate(response)
    assert ending(whole, ()) == (RESPONSE["solution"], reported)
    assert ending(whole, ["nowhere"]) == (RESPONSE["solution"], reported)


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (["\n"], "In May she sold 48 / 2 = 24 clips."),
        (["\n", "May"], "In "),
        (["nowhere", "24 clips"], "In May she sold 48 / 2 = "),
        (["In"], ""),
    ],
)
def test_it_ends_before_the_first_stop(stop: list[str], text: str) -> None:
    response = copy.deepcopy(RESPONSE)
    response["candidates"][2]["finish_reason"] = "length"
    assert ending(SolveResponse.model_validate(response), stop) == (text, "stop")
