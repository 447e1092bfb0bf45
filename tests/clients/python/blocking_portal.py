"""What `Client` costs, and what `AsyncClient` would cost behind a blocking portal of anyio.

`python -m tests.clients.python.blocking_portal` prints, for both, the CPU time of a call and of a
stream of 500 events, and which frames a dump of all threads shows of a call that waits.
"""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal

from glore_client import AsyncClient, Client, GloreError
from tests.clients.python.fakes import EVENTS, Body, ok
from tests.clients.python.samples import QUESTION, as_events, result
from tests.clients.python.sockets import sending

DELTA = as_events([("draft.delta", {"text": "x"})])


def gateway(request: httpx2.Request) -> httpx2.Response:
    if request.headers["Accept"] != EVENTS["Content-Type"]:
        return ok()
    events = [*[DELTA] * 499, as_events([("done", result())])]
    return httpx2.Response(200, headers=EVENTS, stream=Body(events))


def milliseconds(call: Callable[[], object], calls: int) -> str:
    """CPU time of a call, the lowest of five means."""
    means = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(calls):
            call()
        means.append((time.process_time() - started) / calls)
    return f"{1000 * min(means):.2f} ms"


def stream(client: Client) -> None:
    with client.stream(QUESTION) as events:
        list(events)


def stream_through(portal: BlockingPortal, client: AsyncClient) -> None:
    with (
        portal.wrap_async_context_manager(client.stream(QUESTION)) as events,
        suppress(StopAsyncIteration),
    ):
        while True:
            portal.call(events.__anext__)


def frames_of_a_wait(call: Callable[[], object]) -> str:
    """The functions of glore_client on the stacks of all threads while the call waits."""

    def attempt() -> None:
        with suppress(GloreError):
            call()

    thread = threading.Thread(target=attempt)
    thread.start()
    time.sleep(0.5)
    stacks = [traceback.extract_stack(stack) for stack in sys._current_frames().values()]
    names = [f.name for stack in stacks for f in stack if "glore_client" in f.filename]
    thread.join()
    return " -> ".join(names) or "none"


def report(
    name: str, solve: Callable[[], object], stream: Callable[[], object], wait: Callable[[], object]
) -> None:
    print(f"{name}: solve {milliseconds(solve, 200)}, stream {milliseconds(stream, 4)}")  # noqa: T201 - the report
    print(f"{name}: frames of a call that waits: {frames_of_a_wait(wait)}")  # noqa: T201 - the report


def main() -> None:
    transport = httpx2.MockTransport(gateway)
    with start_blocking_portal() as portal, sending(()) as server:
        client, waiting = Client(transport=transport), Client(server.url)
        report(
            "Client",
            lambda: client.solve(QUESTION),
            lambda: stream(client),
            lambda: waiting.solve(QUESTION, timeout=1.0),
        )
        behind, waiting_behind = AsyncClient(transport=transport), AsyncClient(server.url)
        report(
            "AsyncClient behind a portal",
            lambda: portal.call(behind.solve, QUESTION),
            lambda: stream_through(portal, behind),
            lambda: portal.call(lambda: waiting_behind.solve(QUESTION, timeout=1.0)),
        )


if __name__ == "__main__":
    main()
