"""From the models of a run folder to records, and from records to tables."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glore_models.data.files import write_jsonl
from glore_models.data.locks import lock_folder
from glore_models.data.run_folder import RunModels, Thresholds, read_thresholds
from glore_models.evaluation.paper.card import read_rows, write_card
from glore_models.evaluation.paper.collector import Collector, CollectPlan
from glore_models.evaluation.paper.loaders import ModelLoader, engine_clock
from glore_models.evaluation.paper.phases import Clock, Ports
from glore_models.evaluation.paper.records import Record, named_error, read_records
from glore_models.evaluation.paper.report import Tables, make_tables, write_report
from glore_models.evaluation.paper.sets import check_unseen, load_set, template_notes
from glore_models.evaluation.provenance import HardwareLog


class MissingRecordsError(ValueError):
    """There is nothing to count yet; the text names what is missing."""


class OtherThresholdsError(ValueError):
    """Records were collected under other thresholds than those of now."""


@dataclass(frozen=True, slots=True)
class RecordKeys:
    """Which records: a size per set, for each student. `gsm8k` is that set's file."""

    students: Sequence[str]
    sizes: Mapping[str, int]
    gsm8k: Path | None = None

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Every (student, set), set by set."""
        return [(student, name) for name in self.sizes for student in self.students]


def report_tables(
    models: RunModels, wanted: RecordKeys, labelled: int | None, command: str
) -> tuple[Tables, str]:
    """Collect what is missing, count, write tables, card and picture. Returns the Markdown too.

    The first `labelled` questions of a set get labels. None: only count what was collected.
    Raises what `collect_all` does, or `read_records_of` and `check_thresholds`; ThresholdsError.
    """
    thresholds = read_thresholds(models.thresholds)
    if labelled is None:
        records = read_records_of(models, wanted)
        check_thresholds(models, records, thresholds)
    else:
        plan = CollectPlan(labelled, thresholds.first_error, thresholds.orm_first_error)
        records = collect_all(models, wanted, plan, ModelLoader(models).ports, engine_clock())
    machines = {key: HardwareLog(models.phases(*key)).timed() for key in records}
    notes = (
        *missing_note(wanted, records),
        *template_notes(models.folder, (name for _, name in records)),
    )
    tables = make_tables(records, thresholds, machines, notes)
    text = write_report(models.tables, tables, command)
    write_card(models, records, tables, command)
    return tables, text


def collect_all(
    models: RunModels,
    wanted: RecordKeys,
    plan: CollectPlan,
    ports: Callable[[str], Ports],
    clock: Clock = time.process_time,
) -> dict[tuple[str, str], list[Record]]:
    """The records by (student, set), made where they are missing, and written.

    `clock` measures the engines' seconds: by default those of this process's processors, which
    do not depend on what else the machine does while the phases run, hours apart.

    All questions are loaded before the first model, so that a wrong file is known at once.
    Raises ValueError or OSError for those, TrainedOnError when the run was trained on one,
    OtherModelsError for rows of other models, InUseError when another process collects in
    the same folder.
    """
    with lock_folder(models.folder / "evaluation"):
        sets = {
            name: load_set(name, size, wanted.gsm8k, models.questions(name))
            for name, size in wanted.sizes.items()
        }
        check_unseen(models.folder, sets)
        of_student = {student: ports(student) for student in wanted.students}
        records: dict[tuple[str, str], list[Record]] = {}
        for student, name in wanted.keys:
            collector = Collector(
                name,
                student,
                sets[name],
                of_student[student],
                plan,
                models.phases(student, name),
                clock=clock,
            )
            records[student, name] = collector.run()
            write_jsonl(models.records(student, name), records[student, name])
        return records


def read_records_of(models: RunModels, wanted: RecordKeys) -> dict[tuple[str, str], list[Record]]:
    """The records that are there, by (student, set), whatever their number.

    Raises MissingRecordsError when there are none, RecordError for a file of something else.
    """
    found: dict[tuple[str, str], list[Record]] = {}
    for student, name in wanted.keys:
        path = models.records(student, name)
        if path.exists():
            found[student, name] = list(read_records(path))
    if not found:
        message = f"{models.folder / 'evaluation'} holds no records of these sets and students"
        raise MissingRecordsError(message)
    return found


def missing_note(wanted: RecordKeys, found: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """What to say of records that are wanted and not among those that were `found`."""
    missing = [
        f"{name} ({student})" for student, name in wanted.keys if (student, name) not in found
    ]
    return (f"not collected, and so not counted here: {', '.join(missing)}.",) if missing else ()


def check_thresholds(
    models: RunModels,
    records: Mapping[tuple[str, str], Sequence[Record]],
    thresholds: Thresholds,
) -> None:
    """That local refinements start where these thresholds name the first error.

    Where none was written, the file of that phase, if it is there, tells whether one was asked
    for. Raises OtherThresholdsError.
    """
    for (student, name), rows in records.items():
        file = models.phases(student, name) / "local.jsonl"
        prompted = {(row["problem"], row["place"]) for row in read_rows(file)}
        for record in rows:
            for scores, refined, threshold in (
                (record.draft.sorm, record.local_sorm, thresholds.first_error),
                (record.draft.orm, record.local_orm, thresholds.orm_first_error),
            ):
                named = named_error(scores, threshold)
                if refined is not None:
                    fits = refined.first_error == named
                else:
                    fits = named is None or not prompted or (record.problem, named) in prompted
                if not fits:
                    message = (
                        f"{models.records(student, name)} was collected under other thresholds "
                        "than those of now: collect again, without --tables-only"
                    )
                    raise OtherThresholdsError(message)
