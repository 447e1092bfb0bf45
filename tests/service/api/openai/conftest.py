"""OpenAI's own client, pointed at the whole gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest_asyncio
from fastapi import FastAPI
from openai import AsyncOpenAI

from glore.api.context import Limits
from glore.keys import new_key
from glore.refinement.types import Strategy

KEY = new_key()
LIMITS = Limits(
    strategy=Strategy.GLORE,
    max_deadline=120.0,
    max_calls=16,
    max_generated_tokens=8192,
    rerank_reserve=1.0,
    threshold=0.5,
    gate=0.5,
    verifies=True,
    max_rounds=4,
    max_body=64 * 1024,
    max_question=4000,
    max_batch=1000,
)
DOCS = Path(__file__).parents[4] / "docs" / "guides" / "openai.md"


def client_of(app: FastAPI, *, key: str = KEY, max_retries: int = 0) -> AsyncOpenAI:
    """A client that asks `app` in this process."""
    return AsyncOpenAI(
        base_url="http://gateway/v1",
        api_key=key,
        max_retries=max_retries,
        http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)),
    )


@pytest_asyncio.fixture
async def openai(app: FastAPI) -> AsyncIterator[AsyncOpenAI]:
    """The client of a gateway on fake engines, which takes no key."""
    async with client_of(app) as client:
        yield client
