"""Where a simulated engine listens; with outages, at times nobody does.

An outage is a closed port, as of a server that is not there: connections are refused. Those that
are idle are closed as it begins, one that is just being made may be reset; requests that are being
answered still get their answers. The port is kept meanwhile, so nothing else can listen there.
"""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(slots=True)
class Outages:
    """Every `period` seconds it is drawn anew, with chance `share`, whether there is one."""

    share: float  # 0..1
    period: float  # seconds
    rng: random.Random
    begun: int = 0
    known: asyncio.Event = field(default_factory=asyncio.Event)  # the first draw holds

    async def come_and_go(self, runner: web.AppRunner, host: str, port: int) -> None:
        """Until cancelled."""
        site, away = None, False
        while True:
            was_away, away = away, self.rng.random() < self.share
            if away and not was_away:
                self.begun += 1
                if site is not None:
                    await site.stop()
                    _close_idle(runner)
                    site = None
            elif not away and site is None:
                site = web.TCPSite(runner, host, port)
                await site.start()
            self.known.set()
            await asyncio.sleep(self.period)


@asynccontextmanager
async def listening(
    runner: web.AppRunner, host: str, port: int, outages: Outages
) -> AsyncIterator[int]:
    """The port at which `runner` can be asked, except in an outage; 0 takes a free one."""
    if outages.share == 0:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
        return
    with kept_port(host, port) as holder:
        taken: int = holder.getsockname()[1]
        work = asyncio.create_task(outages.come_and_go(runner, host, taken))
        work.add_done_callback(lambda _: outages.known.set())
        try:
            await outages.known.wait()
            yield taken
        finally:
            work.cancel()
            await asyncio.wait({work})
        if not work.cancelled():
            work.result()  # a port that was not to be had


def _close_idle(runner: web.AppRunner) -> None:
    """Close the connections over which nothing is asked now, and the others once it is answered."""
    if runner.server is not None:
        waiting = [each for each in runner.server.connections if each._waiter]  # noqa: SLF001
        runner.server.pre_shutdown()
        for connection in waiting:  # else they stay open, and nobody reads what comes
            connection.force_close()


def kept_port(host: str, port: int) -> socket.socket:
    """A socket that holds the port, 0 for a free one, without listening; another may listen beside.

    As long as it is there, no connection that goes out has this port as its own end, not even one
    that is tried to the port itself while nothing listens.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    holder = socket.socket(family)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(address)
    return holder
