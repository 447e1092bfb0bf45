import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from glore_client import AsyncClient, Client
from glore_client.base_client import KEY_VARIABLE, URL_VARIABLE
from tests.clients.python.blocking import Blocking
from tests.clients.python.fakes import CALLS, Call, Connect, Gateway


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what this machine has set for real gateways."""
    for variable in (URL_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=[Client, AsyncClient])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Make a client of a fake gateway or a URL. The test runs with both classes of clients."""
    with ExitStack() as stack:

        def connect(gateway: Gateway | str, **settings: Any) -> Client:
            if isinstance(gateway, Gateway):
                settings = {**gateway.settings(request.param), **settings}
            else:
                settings["base_url"] = gateway
            client: Client | AsyncClient = request.param(**settings)
            if isinstance(client, AsyncClient):
                runner = stack.enter_context(asyncio.Runner())
                return cast("Client", stack.enter_context(Blocking(client, runner)))
            return stack.enter_context(client)

        yield connect


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest, connect: Connect) -> Call:
    """Each of the five calls: the same test holds for all of them."""
    return Call(request.param, connect)
