"""What a running gateway process does besides answering."""

import asyncio
import gc

from service.api.draining import Drain
from service.app import create_app
from service.commands.server import GatewayServer
from service.settings import Settings
from tests.service.fakes import FakeEngines
from tests.service.listening import LIMIT_S, running


async def test_objects_of_the_app_are_left_out_of_garbage_collection(settings: Settings) -> None:
    before = gc.get_threshold()
    drain = Drain()
    app = create_app(settings, connect=FakeEngines().connect, drain=drain)
    server = GatewayServer(app, drain, delay=0.0, grace=5.0, head_timeout=5.0, keep_alive=5)
    server.config.port = 0
    assert gc.get_freeze_count() == 0
    async with running(server):
        async with asyncio.timeout(LIMIT_S):  # it answers a moment before that
            while gc.get_freeze_count() == 0:  # noqa: ASYNC110 - another thread does it
                await asyncio.sleep(0.01)
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
