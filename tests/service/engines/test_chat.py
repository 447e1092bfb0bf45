"""A chat model behind the Generator port."""

import json

import pytest

from glore.engines.generating import VllmGenerator, conversation
from glore.engines.ports import Completion, EngineError, Generation, Lease
from glore.engines.vllm import VllmEngine
from glore.formats.chat import Chat, ChatPrompts, ChatTurn
from tests.service.engines.fake_vllm import FakeVllm, chat_completion

CHAT = "/v1/chat/completions"


async def generate(engine: VllmEngine, chat: Chat, n: int = 1) -> Generation:
    generator = VllmGenerator(engine, "local_refiner", "writer")
    return await generator.generate(
        chat, n=n, temperature=0.5, top_p=0.9, max_tokens=64, lease=Lease(30.0)
    )


async def test_a_conversation_opens_a_turn(server: FakeVllm, engine: VllmEngine) -> None:
    server.gives(CHAT, chat_completion("1 + 1 = 2\n#### 2"))
    chat = Chat((ChatTurn("user", "1 + 1?"),))
    assert await generate(engine, chat) == Generation(
        (Completion("1 + 1 = 2\n#### 2", "stop"),), 7, 5
    )
    assert server.bodies == [
        {
            "model": "writer",
            "messages": [{"role": "user", "content": "1 + 1?"}],
            "add_generation_prompt": True,
            "continue_final_message": False,
            "n": 1,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 64,
        }
    ]


async def test_a_begun_turn_is_gone_on_with(server: FakeVllm, engine: VllmEngine) -> None:
    server.gives(CHAT, chat_completion("Two.", "Deux."))
    generation = await generate(engine, ChatPrompts().local_refiner("?", "One.\nZwo.", 1), n=2)
    assert [one.text for one in generation.completions] == ["Two.", "Deux."]
    (body,) = server.bodies
    assert body["messages"][-1] == {"role": "assistant", "content": "One.\n"}
    assert body["continue_final_message"] is True
    assert body["add_generation_prompt"] is False


@pytest.mark.parametrize(
    "message", [None, {}, {"content": None}, {"content": ["a"]}, {"content": "\ud800"}]
)
async def test_a_turn_without_text_is_a_bad_response(
    server: FakeVllm, engine: VllmEngine, message: object
) -> None:
    answer = chat_completion("a")
    answer["choices"][0]["message"] = message
    server.sends(CHAT, json.dumps(answer).encode())
    with pytest.raises(EngineError) as caught:
        await generate(engine, Chat((ChatTurn("user", "?"),)))
    assert (caught.value.role, caught.value.reason) == ("local_refiner", "bad_response")


@pytest.mark.parametrize("begun", ["", "\n", " "])
def test_a_turn_that_is_begun_with_nothing_is_a_new_one(begun: str) -> None:
    requested = conversation(Chat((ChatTurn("user", "?"),), begun))
    assert requested == {
        "messages": [{"role": "user", "content": "?"}],
        "add_generation_prompt": True,
        "continue_final_message": False,
    }
