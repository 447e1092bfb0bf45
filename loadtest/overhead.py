"""What the gateway adds to its engines: latency, CPU and throughput.

`python -m loadtest.overhead` starts a raw engine that answers every call after a fixed time, a
gateway before it, and a load generator, each in a process of its own. With
`--checkout NAME=FOLDER`, given twice, two checkouts of this repository take turns in one run, so
that their ratio holds on a busy machine. It prints Markdown.

- added: the wall time of a request minus the union of its engine calls' intervals, milliseconds
- CPU: user and system time of the gateway's process (/proc) per engine call, milliseconds
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from loadtest.processes import ROOT, environment, free_port
from loadtest.raw_engine import CallInterval, union_seconds

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_START_S: Final = 60.0
TRACED: Final = {
    "GLORE_TRACES": "true",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One way to ask: `in_flight` requests at a time, or `per_second` whenever they are due."""

    name: str
    strategy: str
    requests: int
    in_flight: int = 0
    per_second: float = 0.0
    stream: bool = False


CASES: Final = (
    Case("glore, 1 in flight", "glore", 100, in_flight=1),
    Case("glore, 32 in flight", "glore", 600, in_flight=32),
    Case("glore, 256 in flight", "glore", 800, in_flight=256),
    Case("draft, 32 in flight", "draft", 1500, in_flight=32),
    Case("glore, 100 a second", "glore", 600, per_second=100.0),
    Case("glore streamed, 128 in flight", "glore", 400, in_flight=128, stream=True),
)


@dataclass(slots=True)
class Measured:
    """What one gateway did in one case, over all rounds."""

    added: list[float] = field(default_factory=list)  # seconds, of each request
    cpu: list[float] = field(default_factory=list)  # seconds per engine call, of each round
    rate: list[float] = field(default_factory=list)  # requests per second, of each round

    def cells(self) -> list[str]:
        """Added p50 and p99 in ms, requests per second, CPU in ms per call: medians of rounds."""
        added = sorted(self.added)
        return [
            f"{1000 * _quantile(added, 0.5):.1f}",
            f"{1000 * _quantile(added, 0.99):.1f}",
            f"{statistics.median(self.rate):.0f}",
            f"{1000 * statistics.median(self.cpu):.3f}",
        ]


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: the name of its checkout, its URL and its process."""

    name: str
    url: str
    pid: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.overhead", description=__doc__)
    parser.add_argument("--checkout", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--latency", type=float, default=0.005, help="of an engine call, seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", help="names, separated by semicolons; else all")
    parser.add_argument(
        "--traced", action="store_true", help="the last one also with spans, which are not sent"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the requests of each case")
    given = parser.parse_args(arguments)
    checkouts = [(name, Path(path)) for name, _, path in (c.partition("=") for c in given.checkout)]
    checkouts = checkouts or [("this", ROOT)]
    measured: list[tuple[str, Path, Mapping[str, str]]] = [(*each, {}) for each in checkouts]
    if given.traced:
        name, folder = checkouts[-1]
        measured.append((f"{name}, traced", folder, TRACED))
    wanted = given.cases.split(";") if given.cases else [case.name for case in CASES]
    cases = [case for case in CASES if case.name in wanted]
    with ExitStack() as stack:
        engine = stack.enter_context(raw_engine(given.latency))
        gateways = [
            stack.enter_context(gateway(name, folder, engine, settings))
            for name, folder, settings in measured
        ]
        found = asyncio.run(measure(gateways, engine, cases, given.rounds, given.share))
    sys.stdout.write(table(found, given.latency, given.rounds) + "\n")
    return 0


async def measure(
    gateways: Sequence[Gateway], engine: str, cases: Sequence[Case], rounds: int, share: float
) -> dict[str, dict[str, Measured]]:
    """Each case at each gateway by turns, after one warm-up: case -> gateway -> figures."""
    found: dict[str, dict[str, Measured]] = defaultdict(lambda: defaultdict(Measured))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        for each in gateways:
            await _run(session, each, engine, Case("warm-up", "glore", 100, 8), Measured(), 1.0)
        for turn in range(rounds):
            for case in cases:
                order = gateways if turn % 2 == 0 else gateways[::-1]
                for each in order:
                    await _run(session, each, engine, case, found[case.name][each.name], share)
    return found


async def _run(
    session: aiohttp.ClientSession,
    gateway: Gateway,
    engine: str,
    case: Case,
    measured: Measured,
    share: float,
) -> None:
    requests = max(1, round(case.requests * share))
    async with session.get(f"{engine}/intervals") as answer:  # forget what was before
        await answer.read()
    spans: dict[int, CallInterval] = {}
    queue = iter(range(requests))
    begun, cpu = time.monotonic(), _cpu_seconds(gateway.pid)

    async def ask(number: int, due: float) -> None:
        body = {"question": f"How much is question {number}?", "strategy": case.strategy}
        headers = {"Accept": "text/event-stream"} if case.stream else {}
        url = f"{gateway.url}/solve"
        async with session.post(url, json=body, headers=headers) as answer:
            text = await answer.read()
        if answer.status != 200 or b"#### 18" not in text:  # noqa: PLR2004 - HTTP's
            message = f"{gateway.name}: {answer.status} {text[:200]!r}"
            raise RuntimeError(message)
        spans[number] = CallInterval(due, time.monotonic())

    async def work() -> None:
        for number in queue:
            await ask(number, time.monotonic())

    async with asyncio.TaskGroup() as group:
        if case.per_second:
            for number in queue:
                due = begun + number / case.per_second
                await asyncio.sleep(due - time.monotonic())
                group.create_task(ask(number, due))
        else:
            for _ in range(case.in_flight):
                group.create_task(work())
    seconds, cpu = time.monotonic() - begun, _cpu_seconds(gateway.pid) - cpu
    async with session.get(f"{engine}/intervals") as answer:
        calls: dict[str, list[list[float]]] = await answer.json()
    count = sum(len(each) for each in calls.values())
    measured.cpu.append(cpu / count)
    measured.rate.append(requests / seconds)
    for number, span in spans.items():
        busy = [CallInterval(*each) for each in calls[str(number)]]
        measured.added.append(span.end - span.start - union_seconds(busy))


def table(found: dict[str, dict[str, Measured]], latency: float, rounds: int) -> str:
    """Markdown: a row for each case and gateway."""
    lines = [
        f"Engine calls take {1000 * latency:g} ms; {rounds} rounds by turns; one gateway process.",
        "",
        "| case | gateway | added p50, ms | added p99, ms | requests/s | CPU ms per engine call |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for case, rows in found.items():
        for name, measured in rows.items():
            lines.append(f"| {' | '.join([case, name, *measured.cells()])} |")
    return "\n".join(lines)


@contextmanager
def raw_engine(latency: float) -> Iterator[str]:
    """A raw engine in a process of its own; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "loadtest.raw_engine", str(port), str(latency)]
    with _process(command, ROOT, environment(), port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def gateway(name: str, folder: Path, engine: str, settings: Mapping[str, str]) -> Iterator[Gateway]:
    """`glore serve` of a checkout with room for all, on a raw engine."""
    port = free_port()
    variables = environment(folder) | {
        "GLORE_GENERATION__URL": engine,
        "GLORE_SCORING__URL": engine,
        "GLORE_MAX_RUNNING": "512",
        "GLORE_STORE": "off",
        "GLORE_LOG_LEVEL": "error",
        **settings,
    }
    command = [sys.executable, "-m", "glore.cli", "serve", "--port", str(port)]
    with _process(command, folder, variables, port) as pid:
        yield Gateway(name, f"http://127.0.0.1:{port}", pid)


@contextmanager
def _process(
    command: Sequence[str], folder: Path, variables: dict[str, str], port: int
) -> Iterator[int]:
    """A process that listens on `port`; its id. Raises TimeoutError when it does not."""
    with subprocess.Popen(command, cwd=folder, env=variables) as process:
        try:
            until = time.monotonic() + _START_S
            while not _listens(port):
                if time.monotonic() > until or process.poll() is not None:
                    message = f"{command} does not listen on {port}"
                    raise TimeoutError(message)
                time.sleep(0.05)
            yield process.pid
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    raise SystemExit(main())
