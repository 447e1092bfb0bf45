"""One run of a profile: plan, generator, disturbance, samples; then its records."""

import asyncio
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtest.processes import environment
from loadtest.profiles.definitions import AFTER, BEFORE, DURING, Disturbance, Profile
from loadtest.profiles.measures import LoadRun
from loadtest.profiles.records import RequestRecord
from loadtest.profiles.schedule import Arrival, Phase, arrivals, question
from loadtest.profiles.stack import Target, TargetError
from loadtest.profiles.watching import ResourceSample, watch

_LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_START_S: Final = 120.0  # how long Locust may take to start
_MORE_S: Final = 600.0  # scheduled beyond a disturbance, should it take longer; it is cut off
_SAMPLES: Final = 240  # of each gateway in a run, at most
_LOOK_S: Final = 0.05
_KEY: Final = "GLORE_API_KEY"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Base rate in requests per second, seconds to wait for an answer, and what is sent."""

    rate: float = 1.0
    timeout: float = 130.0
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)  # of each request, such as its strategy
    questions: Sequence[str] = ()  # sent in turn; without any, generated ones


async def run(profile: Profile, target: Target, traffic: Traffic, folder: Path) -> LoadRun:
    """Run a profile; files go into `folder`. Raises TargetError if it cannot be run."""
    phases = [_at_rate(each, traffic.rate) for each in _scheduled(profile)]
    due = arrivals(phases, traffic.seed)
    plan, lines = folder / "plan.json", folder / "records.jsonl"
    plan.write_text(json.dumps(_plan(due, traffic)), encoding="utf-8")
    generator = await _start(target.url, plan, lines)
    samples: list[ResourceSample] = []
    try:
        start = await _started(lines, generator)
        every = max(0.25, _seconds(profile) / _SAMPLES)
        watching = asyncio.create_task(watch(target.metrics, every, start, samples))
        spans = _spans(phases)
        if profile.disturbance is not None:
            spans = await _disturb(profile.disturbance, target, start)
            if generator.returncode is not None:
                message = "the disturbance took longer than the schedule"
                raise TargetError(message)
            plan.with_suffix(".stop").touch()
        output, _ = await generator.communicate()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    finally:
        if generator.returncode is None:
            generator.kill()
            await generator.wait()
    sys.stdout.write(output.decode())  # Locust's own table
    if generator.returncode:
        message = f"Locust ended with {generator.returncode}"
        raise TargetError(message)
    read = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    records = [RequestRecord.of(each) for each in read if "id" in each]
    sent = next((each["sent"] for each in read if "sent" in each and "id" not in each), len(due))
    return LoadRun(sent, records, spans, samples, profile.recovers_in, target.replaced)


def _scheduled(profile: Profile) -> Sequence[Phase]:
    """The phases, or one that is long enough for the disturbance."""
    found = profile.disturbance
    if found is None:
        return profile.phases
    return (Phase(BEFORE, _seconds(profile) + _MORE_S, 1.0),)


def _seconds(profile: Profile) -> float:
    """How long the profile takes, if the disturbance takes no time of its own."""
    found = profile.disturbance
    if found is None:
        return sum(each.seconds for each in profile.phases)
    return found.before + found.during + found.after


def _at_rate(phase: Phase, rate: float) -> Phase:
    end = None if phase.end is None else phase.end * rate
    return Phase(phase.name, phase.seconds, phase.rate * rate, end)


def _spans(phases: Sequence[Phase]) -> dict[str, tuple[float, float]]:
    """Begin and end of each phase."""
    found, begin = {}, 0.0
    for phase in phases:
        found[phase.name] = begin, begin + phase.seconds
        begin += phase.seconds
    return found


def _plan(due: Sequence[Arrival], traffic: Traffic) -> dict[str, Any]:
    """What the generator reads."""
    return {
        "seed": traffic.seed,
        "timeout": traffic.timeout,
        "arrivals": [
            {
                "id": each.id,
                "due": each.due,
                "body": {"question": _question(each, traffic), **traffic.options},
            }
            for each in due
        ],
    }


async def _start(url: str, plan: Path, records: Path) -> asyncio.subprocess.Process:
    """Locust without its web page, with one user."""
    options = f"--headless --users 1 --spawn-rate 1 --loglevel WARNING --only-summary --host {url}"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), *shlex.split(options)),
        *("--plan", str(plan), "--records", str(records), "--exit-code-on-error", "0"),
        cwd=plan.parent,
        env=environment() | {name: os.environ[name] for name in (_KEY,) if name in os.environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def _question(arrival: Arrival, traffic: Traffic) -> str:
    given = traffic.questions
    return given[arrival.id % len(given)] if given else question(arrival, traffic.seed)


async def _started(records: Path, generator: asyncio.subprocess.Process) -> float:
    """The moment of the monotonic clock from which arrivals are due. Raises TargetError."""
    async with asyncio.timeout(_START_S):
        while (line := _first_line(records)) is None:
            if generator.returncode is not None:
                output, _ = await generator.communicate()
                message = f"Locust did not start:\n{output.decode()}"
                raise TargetError(message)
            await asyncio.sleep(_LOOK_S)
    return float(json.loads(line)["start"])


def _first_line(file: Path) -> str | None:
    """None until it is whole."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    line, end, _ = text.partition("\n")
    return line if end else None


async def _disturb(
    disturbance: Disturbance, target: Target, start: float
) -> dict[str, tuple[float, float]]:
    """Begin and end the disturbance; the phases as they really were."""
    await asyncio.sleep(start + disturbance.before - time.monotonic())
    broken = time.monotonic() - start
    await target.disturb(disturbance.kind)
    await asyncio.sleep(disturbance.during)
    await target.restore(disturbance.kind)
    restored = time.monotonic() - start
    await asyncio.sleep(disturbance.after)
    end = time.monotonic() - start
    return {BEFORE: (0.0, broken), DURING: (broken, restored), AFTER: (restored, end)}
