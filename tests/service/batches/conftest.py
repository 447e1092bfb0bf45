from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from glore.batches.opening import open_store
from glore.batches.store import Store
from tests.postgres import postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'batches.sqlite3'}"
    url: str = request.getfixturevalue("postgres")
    return url


@pytest_asyncio.fixture
async def store(location: str) -> AsyncIterator[Store]:
    async with open_store(location, days=7) as opened:
        assert opened is not None
        yield opened
