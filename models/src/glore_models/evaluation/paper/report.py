"""The tables as JSON, and both forms written to the run folder."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from glore_models.data.files import write_json, write_whole
from glore_models.evaluation.paper.comparing import Paired, StrategyRow
from glore_models.evaluation.paper.fixing import Changed, Fixed
from glore_models.evaluation.paper.locating import Difference, Located
from glore_models.evaluation.paper.markdown import as_markdown
from glore_models.evaluation.paper.spread import Spread
from glore_models.evaluation.paper.tables import Section, Tables
from glore_models.evaluation.stats import Interval, wilson


def as_json(tables: Tables, command: str) -> dict[str, Any]:
    """Everything as plain values; shares in 0..1, intervals as [low, high]."""
    return {
        "command": command,
        "thresholds": asdict(tables.thresholds),
        "notes": list(tables.notes),
        "sections": [_section(section) for section in tables.sections],
    }


def write_report(folder: Path, tables: Tables, command: str) -> str:
    """`tables.md` and `tables.json` in `folder`. Returns the Markdown. Raises OSError."""
    text = as_markdown(tables, command)
    whole = {**as_json(tables, command), "counted": datetime.now(UTC).isoformat(timespec="seconds")}
    write_whole(folder / "tables.md", text)
    write_json(folder / "tables.json", whole)
    return text


def located_as_json(row: Located) -> dict[str, Any]:
    """A row of table A; `measures` are those that have an interval."""
    return {
        "role": row.role,
        "at": asdict(row.at),
        "offsets": asdict(row.offsets),
        "final": asdict(row.final),
        "same_question": row.same_question and asdict(row.same_question),
        "measures": {
            name: {"value": each.value, "interval95": _ends(each.interval())}
            for name, each in row.measures.items()
        },
        "f1": row.at.f1,
        "late_named": row.at.late - row.offsets.unnamed,
        "mean_offset": row.offsets.mean,
        "exact_interval95": _interval(row.at.exact, row.at.wrong_solutions),
        "final_interval95": _interval(row.final.judged, row.final.solutions),
    }


def difference_as_json(row: Difference) -> dict[str, Any]:
    """What a scorer's measures are above another's."""
    return {
        "role": row.role,
        "than": row.than,
        "measures": {name: _spread(each) for name, each in row.measures.items()},
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "student": section.student,
        "set": section.name,
        "of": section.of,
        "questions": section.questions,
        "labelled": section.labelled,
        "templates": section.templates,
        "machines": [kind and asdict(kind) for kind in section.machines],
        "A": [located_as_json(row) for row in section.located],
        "A_differences": [difference_as_json(row) for row in section.differences],
        "B": [_fixed(row) for row in section.fixed],
        "C": [_changed(row) for row in section.changed],
        "D": {
            "rows": [_strategy(row, timed=section.timed) for row in section.compared.rows],
            "mcnemar": [_paired(pair) for pair in section.compared.paired],
        },
    }


def _fixed(row: Fixed) -> dict[str, Any]:
    return {
        **asdict(row),
        "by_global": row.by_global,
        "by_local": row.by_local,
        "by_either": row.by_either,
        "by_global_interval95": _interval(row.by_global, row.drafts),
        "by_local_interval95": _interval(row.by_local, row.drafts),
        "by_either_interval95": _interval(row.by_either, row.drafts),
    }


def _changed(row: Changed) -> dict[str, Any]:
    return {**asdict(row), "right_after": row.right_after, "p": row.p}


def _paired(pair: Paired) -> dict[str, Any]:
    return {**asdict(pair), "difference": pair.difference and _spread(pair.difference)}


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "value": spread.value,
        "interval95": _ends(spread.interval),
        "interval95_by_template": spread.by_template and _ends(spread.by_template),
    }


def _strategy(row: StrategyRow, *, timed: bool) -> dict[str, Any]:
    return {
        **asdict(row),
        "seconds": row.seconds if timed else None,
        "accuracy": row.accuracy,
        "interval95": _ends(row.interval),
        "right_per_1000_tokens": row.right_per_1000_tokens,
    }


def _interval(part: int, whole: int) -> list[float]:
    return _ends(wilson(part, whole))


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
