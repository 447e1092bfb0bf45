"""`glore eval --paper` and `glore eval --processbench FILE`: the paper's tables.

What loads models is imported when it is needed.
"""

import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glore import installation
from glore.commands.errors import CommandFailedError, WrongArgumentError
from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.catalog import load_verifiers, names_in
from glore_models.data.locks import InUseError
from glore_models.data.problems import Problem
from glore_models.data.run_folder import STUDENTS, RunModels, ThresholdsError, read_thresholds
from glore_models.evaluation.paper.loaders import (
    bundle_scorers,
    engine_clock,
    run_scorers,
)
from glore_models.evaluation.paper.pipeline import (
    MissingRecordsError,
    OtherThresholdsError,
    RecordKeys,
    report_tables,
)
from glore_models.evaluation.paper.records import RecordError
from glore_models.evaluation.paper.report import as_json as tables_as_json
from glore_models.evaluation.paper.sets import (
    ALL_SETS,
    GSM8K,
    SETS,
    TrainedOnError,
    check_unseen,
    needs_gsm8k,
    parse_sizes,
)
from glore_models.evaluation.processbench import (
    MarkedSolution,
    ProcessBenchError,
    flagged,
    flagged_as_markdown,
    read_processbench,
)
from glore_models.evaluation.processbench_report import report_processbench
from glore_models.evaluation.provenance import OtherModelsError
from glore_models.serving.bundle import chosen_bundle
from glore_models.serving.cache import Cache, default_cache
from glore_models.serving.errors import ServingError

if TYPE_CHECKING:
    from glore_models.evaluation.paper.loaders import LazyScorer

_NEEDED = ("torch", "transformers", "peft", "safetensors", "tqdm", "reasoning_gym")


@dataclass(frozen=True, slots=True)
class PaperOptions:
    """What `glore eval --paper` or `--processbench` was asked for; None: nothing was said."""

    run_dir: Path | None
    students: str
    sets: str | None
    sizes: str | None
    gsm8k: Path | None
    labelled: int
    tables_only: bool
    processbench: Path | None
    verifiers: bool = False  # with `processbench`: they are judged, and no model


def run_paper(options: PaperOptions, *, paper: bool, as_json: bool) -> None:
    """One of the two commands. Raises WrongArgumentError or CommandFailedError."""
    if options.verifiers and options.processbench is None:
        message = "--verifiers goes with --processbench"
        raise WrongArgumentError(message)
    if options.processbench is None:
        run_tables(options, as_json=as_json)
    elif paper:
        message = "--paper and --processbench are two commands; ask for one of them"
        raise WrongArgumentError(message)
    elif options.verifiers:
        run_verifiers(options.processbench, as_json=as_json)
    else:
        run_processbench(options.processbench, run_dir=options.run_dir, as_json=as_json)


def run_tables(options: PaperOptions, *, as_json: bool) -> None:
    """Collect what is missing, count, write the card, write and print the tables."""
    models = RunModels(folder_of_run(options.run_dir))
    wanted = RecordKeys(students_named(options.students), sizes_of(options), options.gsm8k)
    with failures():
        if not options.tables_only:
            check_installed()
        labelled = None if options.tables_only else options.labelled
        tables, text = report_tables(models, wanted, labelled, this_command())
    typer.echo(f"Tables and card: {models.tables}", err=True)
    content = tables_as_json(tables, this_command())
    typer.echo(json.dumps(content, indent=1) if as_json else text.rstrip())


def run_processbench(file: Path, *, run_dir: Path | None, as_json: bool) -> None:
    """Score a ProcessBench file with a run's reward models, or those of the bundle.

    Scores, table and card are stored in the run folder, or in `runs`.
    """
    solutions = _marked(file)
    with failures():
        models = RunModels(folder_of_run(run_dir)) if run_dir else None
        thresholds = read_thresholds(models.thresholds if models else chosen_bundle().thresholds)
        if models:
            asked = [Problem(s.id, s.question, "", "", file.name) for s in solutions]
            check_unseen(models.folder, {file.name: asked})
        check_installed()
        report = report_processbench(
            file,
            solutions,
            run_scorers(models) if models else _bundled(),
            thresholds,
            models.folder / "processbench" if models else Path("runs") / "processbench",
            command=this_command(),
            clock=engine_clock(),
        )
    typer.echo(f"Table and card: {report.folder}", err=True)
    typer.echo(json.dumps(report.content, indent=1) if as_json else report.text)


def run_verifiers(file: Path, *, as_json: bool) -> None:
    """Print what the verifiers of GLORE_VERIFIERS refute in a ProcessBench file."""
    solutions = _marked(file)
    try:
        verifiers = load_verifiers(names_in(os.environ.get("GLORE_VERIFIERS", Arithmetic.name)))
    except ValueError as error:
        message = f"GLORE_VERIFIERS: {error}"
        raise WrongArgumentError(message) from error
    rows = flagged(solutions, verifiers)
    if as_json:
        content = {
            "command": this_command(),
            "file": file.name,
            "solutions": [asdict(r) for r in rows],
        }
        typer.echo(json.dumps(content, indent=1))
        return
    names = ", ".join(each.name for each in verifiers) or "no verifier"
    head = f"n = {len(rows)} solutions of {file.name}, {names}. `{this_command()}`"
    typer.echo("\n".join([head, "", *flagged_as_markdown(rows)]))


def _marked(file: Path) -> list[MarkedSolution]:
    try:
        return read_processbench(file)
    except OSError as error:
        message = f"{file}: {error.strerror or error}"
        raise WrongArgumentError(message) from error
    except ProcessBenchError as error:
        raise WrongArgumentError(str(error)) from error


def folder_of_run(run_dir: Path | None) -> Path:
    """The folder of a run, which has to be named. Raises WrongArgumentError."""
    if run_dir is None:
        message = "these tables need the folder of a run (--run-dir)"
        raise WrongArgumentError(message)
    if not run_dir.is_dir():
        message = f"there is no folder {run_dir}"
        raise WrongArgumentError(message)
    return run_dir


def students_named(text: str) -> list[str]:
    """The students of a list with commas. Raises WrongArgumentError."""
    return _named(text, STUDENTS, "student", "--students")


def sizes_of(options: PaperOptions) -> dict[str, int]:
    """The sets asked for with their sizes; GSM8K's only when it is named or its file is."""
    try:
        sizes = {} if options.sizes is None else parse_sizes(options.sizes)
    except ValueError as error:
        raise WrongArgumentError(str(error)) from error
    if options.sets is not None:
        names = _named(options.sets, ALL_SETS, "set", "--sets")
    elif sizes:
        names = list(sizes)
    else:
        there = options.gsm8k is not None or options.tables_only
        names = [name for name in SETS if name != GSM8K or there]
    if left := [name for name in sizes if name not in names]:
        message = f"--sizes names {', '.join(left)}, which --sets leaves out"
        raise WrongArgumentError(message)
    if options.gsm8k is None and not options.tables_only:
        for name in filter(needs_gsm8k, names):
            message = f"the set {name} needs GSM8K's training file (--gsm8k FILE)"
            raise WrongArgumentError(message)
    return {name: sizes.get(name, ALL_SETS[name].size) for name in names}


def _named(text: str, known: Collection[str], what: str, option: str) -> list[str]:
    """The names of a list with commas, each once. Raises WrongArgumentError for another name."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    every = f"the {what}s are {', '.join(known)}"
    for name in names:
        if name not in known:
            message = f"no {what} {name!r}; {every}"
            raise WrongArgumentError(message)
    if not names:
        message = f"{option} names none; {every}"
        raise WrongArgumentError(message)
    return names


def check_installed() -> None:
    """Raises CommandFailedError where a package is missing that loads models."""
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            message = f"the tables need {installation.missing(name)}"
            raise CommandFailedError(message)


def _bundled() -> "dict[str, LazyScorer]":
    """The bundle's reward models, on the student in the model cache, made if need be."""
    from glore_models.serving.build import builders

    cache = Cache(default_cache(), chosen_bundle())
    cache.make(builders(cache), lambda line: typer.echo(line, err=True))
    return bundle_scorers(cache.part("student"), cache.bundle)


@contextmanager
def failures() -> Iterator[None]:
    """What may go wrong on the way, as one line."""
    try:
        yield
    except ServingError as error:
        message = f"{error.problem} {error.way_out}"
        raise CommandFailedError(message) from error
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise CommandFailedError(message) from error
    except (
        InUseError,
        MissingRecordsError,
        OtherModelsError,
        OtherThresholdsError,
        RecordError,
        ThresholdsError,
        TrainedOnError,
    ) as error:
        raise CommandFailedError(str(error)) from error
    except ValueError as error:  # too few questions, a file in another format
        raise WrongArgumentError(str(error)) from error


def this_command() -> str:
    """The command line, to stand beside the figures that it gives."""
    return shlex.join(["glore", *sys.argv[1:]])
