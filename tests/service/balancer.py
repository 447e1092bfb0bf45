"""A small balancer for TCP: new connections go, in turn, to those whose /readyz says yes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx2

_LOOKS_EVERY = 0.05  # seconds
_PIECE = 65536  # bytes


@dataclass(slots=True)
class Balancer:
    """What it knows of the gateways behind it.

    `taken` counts connections that were sent on to one, `refused` those that found nobody.
    """

    gateways: Sequence[str]  # URLs
    url: str = ""
    ready: tuple[str, ...] = ()
    refused: int = 0
    taken: int = 0
    looks: int = 0  # how often all gateways have been asked

    async def look(self) -> None:
        """Ask all gateways again and again, until cancelled."""
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
            while True:
                answers = await asyncio.gather(*(_ready(client, url) for url in self.gateways))
                pairs = zip(self.gateways, answers, strict=True)
                self.ready = tuple(url for url, yes in pairs if yes)
                self.looks += 1
                await asyncio.sleep(_LOOKS_EVERY)

    async def splice(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client's connection with one to a gateway, until either side closes it."""
        if not self.ready:
            self.refused += 1
            writer.close()
            return
        self.taken += 1
        host, _, port = self.ready[self.taken % len(self.ready)].rpartition("//")[2].partition(":")
        try:
            inner, outer = await asyncio.open_connection(host, int(port))
        except OSError:
            self.refused += 1
            writer.close()
            return
        await asyncio.gather(pass_on(reader, outer), pass_on(inner, writer))


@asynccontextmanager
async def balanced(*gateways: str) -> AsyncIterator[Balancer]:
    """A balancer in front of these URLs."""
    balancer = Balancer(gateways)
    server = await asyncio.start_server(balancer.splice, "127.0.0.1", 0)
    balancer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    looking = asyncio.create_task(balancer.look())
    try:
        yield balancer
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        server.close()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes of one to the other, until one of them ends."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False
