"""How the messages of a chat become one question."""

from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError

from service.api.openai.request import ChatRequest, chat_task
from tests.service.api.openai.conftest import LIMITS
from tests.service.api.openai.test_request import create
from tests.service.fakes import LOCAL, QUESTION, FakeEngines

ASKED = {"role": "user", "content": QUESTION}
HELPFUL = {"role": "system", "content": "You are a helpful assistant."}
AGAIN = {"role": "user", "content": "And with 5 bags?"}


def question_of(*messages: dict[str, Any]) -> str:
    body = ChatRequest.model_validate({"model": "glore", "messages": list(messages)})
    return chat_task(body, LIMITS).question


def answered(content: object, **fields: object) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def parts_of(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def test_a_question_that_is_alone_stays_as_it_is() -> None:
    assert question_of({"role": "user", "content": "  How\nmany? "}) == "  How\nmany? "


def test_text_parts_are_lines_of_one_question() -> None:
    parts = parts_of("Tom has 3 pens.", " ", "And Ann?")
    assert question_of({"role": "user", "content": parts}) == "Tom has 3 pens.\n \nAnd Ann?"


@pytest.mark.parametrize("content", [None, "", " ", [], parts_of("", " ")])
def test_messages_without_text_add_nothing(content: object) -> None:
    silent = {"role": "developer", "content": content}
    assert question_of(silent, answered(content), ASKED, silent) == QUESTION


def test_system_text_comes_first_wherever_it_was() -> None:
    developer = {"role": "developer", "content": parts_of("Be", "brief.")}
    told = question_of(HELPFUL, ASKED, answered("#### 12"), developer, AGAIN)
    assert told == (
        "You are a helpful assistant.\nBe\nbrief.\n"
        f"User: {QUESTION}\nAssistant: #### 12\nAnd with 5 bags?"
    )


def test_the_last_user_message_is_the_question_whatever_follows() -> None:
    told = question_of(AGAIN, ASKED, answered("#### 12"))
    assert told == f"User: And with 5 bags?\nAssistant: #### 12\n{QUESTION}"


async def test_a_chat_goes_on_with_the_messages_of_the_client_itself(
    openai: AsyncOpenAI, engines: FakeEngines
) -> None:
    first = await create(openai, messages=[HELPFUL, ASKED])
    answer = first.choices[0].message
    for turn in (answer, answer.model_dump(), {"role": "assistant", "content": LOCAL}):
        engines.student.prompts.clear()
        await create(openai, messages=[HELPFUL, ASKED, turn, AGAIN])
        (prompt,) = engines.student.prompts
        assert isinstance(prompt, str)
        for said in ("helpful", f"User: {QUESTION} Assistant: Tom has 3 bags.", "And with 5 bags?"):
            assert said in prompt


async def test_a_chat_that_has_grown_too_long_says_so(
    openai: AsyncOpenAI, engines: FakeEngines
) -> None:
    turns = [ASKED, answered("x" * 3990), AGAIN]
    with pytest.raises(BadRequestError, match="at most 4000 characters") as refused:
        await create(openai, messages=turns)
    assert (refused.value.param, refused.value.code) == ("messages", "context_length_exceeded")
    assert engines.student.calls == 0
