"""`python -m loadtest.profiles PROFILE`: run and report it; the exit status is its verdict."""

import argparse
import asyncio
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp

from loadtest.profiles.definitions import PROFILES, Profile
from loadtest.profiles.limits import changed, verdicts
from loadtest.profiles.measures import measure
from loadtest.profiles.report import Report
from loadtest.profiles.running import Traffic, run
from loadtest.profiles.stack import Named, Target, TargetError, own_stack, status

PASSED, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3  # exit statuses
_OUT: Final = Path("results/load")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m loadtest.profiles",
        description="Send questions on a schedule, whatever is answered, and check limits. "
        "Exit status: 0 passed, 1 failed, 2 an argument is wrong, 3 the service is not there.",
        epilog="\n".join(f"{each.name:8} {each.summary}" for each in PROFILES.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("profile", choices=PROFILES)
    found.add_argument("--url", help="of a running gateway; else one is started on simulators")
    found.add_argument("--metrics", action="append", metavar="URL", help="of each gateway behind")
    found.add_argument("--rate", type=float, default=1.0, help="base rate, requests per second")
    found.add_argument("--length", type=float, default=1.0, help="factor on all times")
    found.add_argument("--short", action="store_true", help="seconds, with wide limits of times")
    found.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE")
    found.add_argument("--strategy", default="glore")
    found.add_argument("--questions", type=Path, metavar="FILE", help="a question in each line")
    found.add_argument("--timeout", type=float, default=130.0, help="of an answer, seconds")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--engine", default="", metavar="OPTIONS", help="of the simulated engines")
    found.add_argument("--disturb", metavar="COMMAND", help="with --url: begins the disturbance")
    found.add_argument("--restore", metavar="COMMAND", help="with --url: ends it")
    found.add_argument("--out", type=Path, default=_OUT, metavar="FOLDER")
    found.add_argument("--note", help="a sentence for the report")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a profile and print its verdict; the exit status."""
    command = parser()
    texts = sys.argv[1:] if arguments is None else list(arguments)
    given = command.parse_args(texts)
    try:
        profile = _profile(given)
    except ValueError as error:
        command.error(str(error))
    try:
        report = asyncio.run(_report(profile, given, texts))
    except TargetError as error:
        sys.stderr.write(f"{error}\n")
        return UNREACHABLE
    except TimeoutError:
        sys.stderr.write("a process was not ready in time\n")
        return UNREACHABLE
    files = report.write(given.out)
    lines = [report.table(), "", *map(str, files), f"{profile.name}: "]
    sys.stdout.write("\n".join(lines) + ("passed\n" if report.passed else "FAILED\n"))
    return PASSED if report.passed else FAILED


def _profile(given: argparse.Namespace) -> Profile:
    """The profile with the changes of the command line. Raises ValueError for a wrong one."""
    profile: Profile = PROFILES[given.profile]
    if profile.disturbance is not None and given.url and not given.disturb:
        message = f"{profile.name} disturbs the service: --disturb COMMAND is needed with --url"
        raise ValueError(message)
    profile = (profile.shortened() if given.short else profile).stretched(given.length)
    pairs = (text.partition("=") for text in given.limit)
    changes = {name: float(value) for name, _, value in pairs}
    return replace(profile, limits=tuple(changed(profile.limits, changes)))


async def _report(profile: Profile, given: argparse.Namespace, arguments: Sequence[str]) -> Report:
    """Run it. Raises TargetError where there is no service."""
    questions = given.questions.read_text(encoding="utf-8").splitlines() if given.questions else ()
    traffic = Traffic(
        given.rate, given.timeout, given.seed, {"strategy": given.strategy}, questions
    )
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="glore-load-")))
        target: Target
        if given.url:
            target = await _named(given)
        else:
            options = shlex.split(given.engine)
            target = await stack.enter_async_context(own_stack(profile, options, folder))
        done = await run(profile, target, traffic, folder)
    measures = measure(done)
    judged = verdicts(profile.limits, measures)
    about = {"rate": given.rate, "strategy": given.strategy, **target.about}
    return Report(profile, done, measures, judged, arguments, about, given.note)


async def _named(given: argparse.Namespace) -> Named:
    """The service that the user names. Raises TargetError if it does not answer."""
    url: str = given.url.rstrip("/")
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        if await status(session, f"{url}/livez") != HTTPStatus.OK:
            message = f"{url} does not answer at /livez"
            raise TargetError(message)
    return Named(url, given.metrics or [url], given.disturb, given.restore)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    raise SystemExit(main())
