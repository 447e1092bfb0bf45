"""`glore eval`: measures the running service over many problems."""

import asyncio
import hashlib
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from glore import installation
from glore.commands.errors import CommandFailedError, WrongArgumentError, from_gateway
from glore.commands.key import own_key
from glore.commands.strategy import strategies_named
from glore.terminal import json_text, visible
from glore_client import AsyncClient, Client, GloreError, Readiness
from glore_models.data import sources
from glore_models.data.problems import Problem, Split
from glore_models.evaluation.journal import JournalError
from glore_models.evaluation.report import as_text
from glore_models.evaluation.run import EvaluationPlan, EvaluationReport, evaluate, report_as_json

GENERATED: Final = 400  # problems of a source without an end, when nothing is said
SPLITS: Final[Mapping[str, Split | None]] = MappingProxyType(
    {"all": None, "train": "train", "validation": "validation", "test": "test"}
)


def run_evaluate(
    *,
    source: str,
    n: int | None,
    split: str | None,
    seed: int,
    strategies: str,
    candidates: int,
    deadline: float,
    concurrency: int,
    one_pass: bool,
    rounds: int,
    verify: bool,
    correct: bool,
    out: Path | None,
    url: str,
    as_json: bool,
) -> None:
    """Ask, count, print the table. Raises WrongArgumentError or CommandFailedError.

    `n` and `split` are None where nothing was said: then a file is asked as a whole.
    """
    try:
        plan = EvaluationPlan(
            source=source,
            seed=seed,
            strategies=strategies_named(strategies),
            candidates=candidates,
            deadline=deadline,
            concurrency=concurrency,
            one_pass=one_pass,
            rounds=rounds,
            verify=verify,
            correct=correct,
        )
    except ValueError as error:
        raise WrongArgumentError(str(error)) from error
    folder = out or Path("runs") / f"eval-{Path(source).stem}-{seed}"
    screen = Console(stderr=True)
    plan = replace(plan, serves=check_ready(url).serves)
    with screen.status("choosing problems"):
        chosen = choose_problems(source, n, seed, split)
    problems, n = chosen.problems, len(chosen.problems)
    plan = replace(plan, split=chosen.split, file=chosen.file)
    screen.print(
        visible(f"{source}: {chosen.summary}"), highlight=False, markup=False, soft_wrap=True
    )
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


def summary(report: EvaluationReport, n: int) -> str:
    """The table, what it is of, and the paired tests."""
    plan = report.plan
    of_split = f", split {plan.split}" if plan.split != "test" else ""
    head = (
        f"{plan.source}, seed {plan.seed}{of_split}: {n} problems, {plan.concurrency} at a time\n\n"
    )
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


@dataclass(frozen=True, slots=True)
class Chosen:
    """The problems to ask, and how they were chosen; `file` is the SHA-256 of a source's file."""

    problems: list[Problem]
    split: str
    summary: str
    file: str | None = None


def choose_problems(source: str, n: int | None, seed: int, split: str | None) -> Chosen:
    """The problems. Raises WrongArgumentError or CommandFailedError."""
    generated = source in sources.SYMBOLIC
    name = split or ("test" if generated else "all")
    if name not in SPLITS:
        message = f"no split {name!r}; the splits are {', '.join(SPLITS)}"
        raise WrongArgumentError(message)
    try:
        if generated:
            problems = sources.load(source, n or GENERATED, seed, SPLITS[name])
            return Chosen(problems, name, f"{len(problems)} problems of split {name}")
        return _chosen_of_file(Path(source), n, seed, name)
    except ModuleNotFoundError as error:
        message = f"{source} needs {installation.missing(error.name or 'a package')}"
        raise CommandFailedError(message) from error
    except OSError as error:
        message = f"{source}: {error.strerror or error}; a source is easy, all or a JSONL file"
        raise WrongArgumentError(message) from error
    except ValueError as error:
        raise WrongArgumentError(str(error)) from error


def _chosen_of_file(path: Path, n: int | None, seed: int, name: str) -> Chosen:
    """All that the file holds, or `n` of it drawn with the seed. Raises OSError or SourceError."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None  # a pipe
    counted: Counter[str] = Counter()
    every = sources.load(str(path), None, seed, SPLITS[name], counted=counted)
    if n is not None and len(every) < n:
        raise sources.too_few(str(path), len(every), n, SPLITS[name], counted)
    problems = every if n is None else every[:n]
    lines = counted["candidates"] + counted["blank_lines"] + counted["without_answer"]
    parts = [f"{lines} lines, {len(problems)} problems asked"]
    if len(problems) < len(every):
        parts.append(f"{len(every) - len(problems)} beyond --n")
    if reasons := sources.left_out(counted):
        parts.append(reasons)
    return Chosen(problems, name, "; ".join(parts), digest)


async def _measure(
    url: str, problems: list[Problem], plan: EvaluationPlan, folder: Path, screen: Console
) -> EvaluationReport:
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
