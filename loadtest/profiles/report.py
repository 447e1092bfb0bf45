"""The report of a run: JSON for programs, Markdown for people."""

import json
import math
import os
import platform
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtest.profiles.definitions import Profile
from loadtest.profiles.limits import ALL, Measures, Verdict
from loadtest.profiles.measures import LoadRun
from loadtest.profiles.records import Outcome
from loadtest.profiles.watching import ResourceSample

_COLUMNS: Final = (
    "requests",
    "answered",
    "refused",
    "failed",
    "degraded",
    "scheduled_rate",
    "answered_rate",
    "first_text_p95",
    "draft_p95",
    "first_error_p95",
    "answer_p50",
    "answer_p95",
    "answer_p99",
    "refusal_p95",
    "schedule_delay_p99",
)
_MOST: Final = 8  # details of what was not answered


@dataclass(frozen=True, slots=True)
class Report:
    """A run, judged."""

    profile: Profile
    run: LoadRun
    measures: Measures
    verdicts: Sequence[Verdict]
    arguments: Sequence[str]
    about: Mapping[str, Any]  # the service under load
    note: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every measure is within its limit."""
        return all(each.passed for each in self.verdicts)

    def write(self, folder: Path) -> list[Path]:
        """NAME.json, NAME.md and NAME.png in the folder."""
        from loadtest.profiles.plots import plot  # takes a second

        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{self.profile.name}.{end}" for end in ("json", "md", "png")]
        lines = [f'"{key}": {json.dumps(value)}' for key, value in self._content().items()]
        files[0].write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
        files[1].write_text(self.markdown(), encoding="utf-8")
        plot(self.run, self.profile.name, files[2])
        return files

    def _content(self) -> dict[str, Any]:
        return {
            "profile": self.profile.name,
            "passed": self.passed,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": self._command(),
            "note": self.note,
            "machine": _machine(),
            "service": dict(self.about),
            "limits": [
                {
                    "name": each.limit.name,
                    each.limit.bound.replace(" ", "_"): each.limit.value,
                    "measured": _finite(each.measured),
                    "passed": each.passed,
                }
                for each in self.verdicts
            ],
            "phases": {
                name: {"begin": round(begin, 2), "end": round(end, 2)}
                for name, (begin, end) in self.run.phases.items()
            },
            "measures": {
                phase: {name: _finite(value) for name, value in found.items() if value is not None}
                for phase, found in self.measures.items()
            },
            "not_answered": dict(self._details()),
            "missing": dict(self._missing()),
            "samples": [
                [round(each.at, 1), self._gateway(each), each.memory, each.files, each.tasks]
                for each in self.run.samples
            ],
        }

    def _gateway(self, sample: ResourceSample) -> int:
        return sorted({each.gateway for each in self.run.samples}).index(sample.gateway)

    def _details(self) -> list[tuple[str, int]]:
        """What became of requests that were not answered, the most frequent first."""
        records = self.run.records
        found = Counter(each.detail for each in records if each.outcome is not Outcome.ANSWERED)
        return found.most_common(_MOST)

    def _missing(self) -> list[tuple[str, int]]:
        """What answers lacked, the most frequent first."""
        found = Counter(reason for each in self.run.records for reason in each.degraded)
        return found.most_common(_MOST)

    def _command(self) -> str:
        return shlex.join(["python", "-m", "loadtest.profiles", *self.arguments])

    def table(self) -> str:
        """The limits as a Markdown table."""
        lines = ["| limit | | measured | |", "|---|---:|---:|---|"]
        lines += [
            f"| `{each.limit.name}` | {each.limit.bound} {each.limit.value:g} "
            f"| {number(each.measured)} | {'passed' if each.passed else '**FAILED**'} |"
            for each in self.verdicts
        ]
        return "\n".join(lines)

    def markdown(self) -> str:
        """The report for people."""
        name = self.profile.name
        parts = [
            f"# Load profile `{name}`: {'passed' if self.passed else 'FAILED'}",
            f"<!-- Written by `python -m loadtest.profiles {name}`. -->",
            self.profile.summary,
            f"`{self._command()}`",
            " ".join(filter(None, (f"{_machine()}.", self.note, _service(self.about)))),
            self.table(),
            f"![Latencies and rates over time]({name}.png)",
            "Times are seconds. Latencies count from the moment at which a request was due.",
            self._phases(),
        ]
        for title, found in (("Not answered", self._details()), ("Missing", self._missing())):
            if found:
                parts.append(f"{title}: " + ", ".join(f"{n} x {what}" for what, n in found) + ".")
        return "\n\n".join(parts) + "\n"

    def _phases(self) -> str:
        """The measures as a Markdown table, a column for each phase."""
        names = [*(name for name in self.measures if name != ALL), ALL]
        lines = [f"| measure | {' | '.join(names)} |", "|---" + "|---:" * len(names) + "|"]
        for measure in _COLUMNS:
            cells = [number(self.measures[name].get(measure)) for name in names]
            lines.append(f"| `{measure}` | {' | '.join(cells)} |")
        return "\n".join(lines)


def number(value: float | None) -> str:
    """Three digits behind the point at most; `-` for what was not measured."""
    if value is None:
        return "-"
    return "never" if math.isinf(value) else f"{value:.3f}".rstrip("0").rstrip(".")


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _service(about: Mapping[str, Any]) -> str:
    settings = ", ".join(f"`{name}={value}`" for name, value in about.get("settings", {}).items())
    engines = f"Engines: `{about['engines']}`." if "engines" in about else ""
    return f"{engines} {f'Gateway: {settings}.' if settings else ''}".strip()
