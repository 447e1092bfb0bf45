"""`glore eval --selectors`: selectors, strategies and rounds compared on the models of a run."""

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import typer

from glore.commands.errors import CommandFailedError, WrongArgumentError
from glore.commands.strategy import strategies_named
from glore.refinement.types import Strategy
from glore.verifiers.arithmetic import Arithmetic
from glore_models.commands.paper import (
    PaperOptions,
    check_installed,
    failures,
    folder_of_run,
    sizes_of,
    students_named,
    this_command,
)
from glore_models.data.files import write_json, write_jsonl, write_whole
from glore_models.data.locks import lock_folder as alone_in
from glore_models.data.problems import Problem
from glore_models.data.run_folder import RunModels, Thresholds, read_thresholds
from glore_models.evaluation.batches import Batches, MissingTextError
from glore_models.evaluation.paper.loaders import ModelLoader
from glore_models.evaluation.paper.sets import (
    FRESH_SETS,
    check_unseen,
    load_set,
    needs_gsm8k,
    of_unseen_numbers,
)
from glore_models.evaluation.provenance import Provenance
from glore_models.evaluation.selector_report import (
    SelectorReport,
    as_markdown,
    as_values,
    joined,
    report,
)
from glore_models.evaluation.selectors import LIKELIHOOD, MAX_TOKENS, QUESTIONS, Found, find

_WRITERS: Final = ("student", "global_refiner", "local_refiner")
_SCORERS: Final = ("sorm", "orm")


def run_selectors(
    options: PaperOptions, strategies: str | None, *, as_json: bool, alone: bool
) -> None:
    """Write and print the tables, after making the texts and scores that are missing.

    `strategies` are names separated by commas; None: all ways to answer.

    Raises WrongArgumentError, where other commands are asked for too, or CommandFailedError.
    """
    if not alone:
        message = "--selectors is a command of its own: leave --paper and --processbench out"
        raise WrongArgumentError(message)
    if options.sets is None and options.sizes is None:
        without_file = options.gsm8k is None and not options.tables_only
        names = [name for name in FRESH_SETS if not (without_file and needs_gsm8k(name))]
        options = replace(options, sets=",".join(names))
    chosen = None if strategies is None else tuple(map(Strategy, strategies_named(strategies)))
    models = RunModels(folder_of_run(options.run_dir))
    students, sizes = students_named(options.students), sizes_of(options)
    with failures(), alone_in(models.folder / "evaluation"):
        thresholds = read_thresholds(models.thresholds)
        problems = {
            name: load_set(name, size, options.gsm8k, models.questions(name))
            for name, size in sizes.items()
        }
        check_unseen(models.folder, problems)
        if not options.tables_only:
            check_installed()
        reports: list[SelectorReport] = []
        composition = ModelLoader(models)
        for student in students:
            found = {
                name: _find(
                    composition,
                    student,
                    name,
                    asked,
                    thresholds,
                    chosen,
                    tables_only=options.tables_only,
                )
                for name, asked in problems.items()
            }
            reports += [report(f"{student}, {name}", each) for name, each in found.items()]
            if len(numbers := [name for name in found if of_unseen_numbers(name)]) > 1:
                together = joined([found[name] for name in numbers])
                reports.append(report(f"{student}, {' and '.join(numbers)}", together))
        content, text = as_values(reports, this_command()), as_markdown(reports, this_command())
        write_json(models.folder / "selectors" / "tables.json", content)
        write_whole(models.folder / "selectors" / "tables.md", text)
    typer.echo(json.dumps(content, indent=1) if as_json else text.rstrip())


def _find(
    composition: ModelLoader,
    student: str,
    name: str,
    problems: Sequence[Problem],
    thresholds: Thresholds,
    strategies: Collection[Strategy] | None,
    *,
    tables_only: bool,
) -> Found:
    """What one student's texts of one set give; the missing ones are made, unless `tables_only`."""
    folder = composition.models.phases(student, name)
    ports, likelihood = composition.ports(student), composition.likelihood(student)
    if not tables_only:
        of_writers = {role: ports.identities[role] for role in _WRITERS}
        of_scorers = {role: ports.identities[role] for role in ("student", *_SCORERS)}
        stamps = Provenance(folder)
        stamps.check("texts.jsonl", {**of_writers, "max_tokens": MAX_TOKENS})
        stamps.check("scores.jsonl", of_scorers)
        stamps.check(LIKELIHOOD, {"student": likelihood.identity})
    batches = Batches(
        {} if tables_only else {role: getattr(ports, role) for role in _WRITERS},
        {}
        if tables_only
        else {LIKELIHOOD: likelihood, **{role: getattr(ports, role) for role in _SCORERS}},
        folder,
        MAX_TOKENS,
        lambda role, size: typer.echo(f"{student}/{name}: {size} of {role}", err=True),
    )
    write_jsonl(folder / QUESTIONS, problems)
    try:
        return asyncio.run(find(problems, batches, thresholds, (Arithmetic(),), strategies))
    except ExceptionGroup as group:
        if group.split(MissingTextError)[1] is not None:
            raise
        message = f"{folder} does not hold every text and score; leave --tables-only out"
        raise CommandFailedError(message) from group
