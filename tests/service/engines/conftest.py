from collections.abc import AsyncIterator

import pytest_asyncio

from glore.engines.vllm import VllmEngine, open_engine
from tests.service.engines.fake_vllm import FakeVllm, fake_vllm


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as fake:
        yield fake


@pytest_asyncio.fixture
async def engine(server: FakeVllm) -> AsyncIterator[VllmEngine]:
    async with open_engine(server.url, api_key="top-secret", timeout=30.0) as client:
        yield client
