"""`glore eval`: measures the running service over many problems."""

import asyncio
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from glore_client import AsyncClient, Client, GloreError, Readiness
from models.data import sources
from models.data.problems import Problem
from models.evaluation.journal import JournalError
from models.evaluation.run import Plan, Report, evaluate, report_as_json
from models.evaluation.table import as_text
from service import installation
from service.commands.errors import CommandFailedError, WrongArgumentError, from_gateway
from service.commands.key import own_key
from service.commands.strategy import strategy_named
from service.terminal import json_text, visible


def run_evaluate(  # noqa: PLR0913 - one option each
    *,
    source: str,
    n: int,
    seed: int,
    strategies: str,
    candidates: int,
    deadline: float,
    concurrency: int,
    one_pass: bool,
    out: Path | None,
    url: str,
    as_json: bool,
) -> None:
    """Ask, count, print the table. Raises WrongArgumentError or CommandFailedError."""
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    try:
        plan = Plan(
            source=source,
            seed=seed,
            strategies=tuple(strategy_named(name) for name in names),
            candidates=candidates,
            deadline=deadline,
            concurrency=concurrency,
            one_pass=one_pass,
        )
    except ValueError as error:
        raise WrongArgumentError(str(error)) from error
    folder = out or Path("runs") / f"eval-{Path(source).stem}-{seed}"
    screen = Console(stderr=True)
    plan = replace(plan, serves=check_ready(url).serves)
    with screen.status("choosing problems"):
        problems = load_problems(source, n, seed)
    try:
        report = asyncio.run(_measure(url, problems, plan, folder, screen))
    except GloreError as error:
        line = from_gateway(error, url)
        message = f"{line.format_message()}; what was answered is kept in {folder}"
        raise CommandFailedError(message) from error
    except JournalError as error:
        raise CommandFailedError(str(error)) from error
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror or error}"
        raise CommandFailedError(message) from error
    screen.print(f"Responses, table, report and card: {folder}", highlight=False)
    if as_json:
        print(json_text({"n": n, **report_as_json(report)}, indent=1))  # noqa: T201
    else:
        print(visible(summary(report, n)), end="")  # noqa: T201 - what was asked for


def summary(report: Report, n: int) -> str:
    """The table, what it is of, and the paired tests."""
    plan = report.plan
    head = f"{plan.source}, seed {plan.seed}: {n} problems, {plan.concurrency} at a time\n\n"
    pairs = "".join(
        f"glore against {pair.against}: right alone {pair.only_glore} : {pair.only_other}, "
        f"p = {pair.p:.3g} (McNemar, exact)\n"
        for pair in report.paired
    )
    return f"{head}{as_text(report.rows)}\n{pairs}"


def check_ready(url: str) -> Readiness:
    """What the service at `url` says of itself.

    Raises CommandFailedError unless it is ready, WrongArgumentError for an address that is none.
    """
    try:
        with Client(url, api_key=own_key()) as client:
            readiness = client.ready()
    except GloreError as error:
        raise from_gateway(error, url) from error
    except ValueError as error:  # not a URL, not a key
        raise WrongArgumentError(str(error)) from error
    if not readiness.ready:
        engines = ", ".join(f"{name}: {state}" for name, state in readiness.engines.items())
        message = f"the gateway at {url} is not ready ({engines})"
        raise CommandFailedError(message)
    return readiness


def load_problems(source: str, n: int, seed: int) -> list[Problem]:
    """The problems. Raises WrongArgumentError or CommandFailedError."""
    try:
        return sources.load(source, n, seed)
    except ModuleNotFoundError as error:
        message = f"{source} needs {installation.missing(error.name or 'a package')}"
        raise CommandFailedError(message) from error
    except OSError as error:
        message = f"{source}: {error.strerror or error}; a source is easy, all or a JSONL file"
        raise WrongArgumentError(message) from error
    except ValueError as error:
        raise WrongArgumentError(str(error)) from error


async def _measure(
    url: str, problems: list[Problem], plan: Plan, folder: Path, screen: Console
) -> Report:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen) as progress:
        bar = progress.add_task("asking", total=None)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        async with AsyncClient(url, api_key=own_key()) as client:
            return await evaluate(
                client,
                problems,
                plan,
                folder,
                command=shlex.join(["glore", *sys.argv[1:]]),
                on_progress=show,
            )
