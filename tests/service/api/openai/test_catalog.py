import time
from typing import Any

import openai as sdk
import pytest
from openai import AsyncOpenAI


async def test_the_models_are_listed_and_found(openai: AsyncOpenAI) -> None:
    listed: list[Any] = [model async for model in openai.models.list()]
    parts = ["glore-draft", "glore-global", "glore-local", "glore-best-of-n"]
    names = ["glore", "glore-gated", "glore-adaptive", *parts]
    assert [model.id for model in listed] == names
    for model in listed:
        assert await openai.models.retrieve(model.id) == model
        assert (model.object, model.owned_by) == ("model", "glore")
        assert 0 < model.created <= time.time()


@pytest.mark.parametrize("name", ["gpt-5", "glore-all", "ft:glore"])
async def test_a_model_that_is_none(openai: AsyncOpenAI, name: str) -> None:
    with pytest.raises(sdk.NotFoundError) as lost:
        await openai.models.retrieve(name)
    assert lost.value.code == "model_not_found"
