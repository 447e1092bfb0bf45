"""One evaluation: a run folder with every response, the table and the whole report.

```
<folder>/plan.json        what is asked and how; a run goes on only under the same plan
<folder>/responses.jsonl  every response (see `journal`)
<folder>/table.md         the table
<folder>/report.json      everything: the plan, the command, the rows, the paired tests
<folder>/curves.png       accuracy against tokens, latencies; where matplotlib is installed
<folder>/CARD.md          the run card: configuration, seed, counts, time, tokens
```
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from glore_client import Sampling, Strategy
from glore_models.data.files import parse_json, write_json, write_whole
from glore_models.data.problems import Problem
from glore_models.evaluation.asking import AskSettings, Solver, ask_all
from glore_models.evaluation.intervals import mcnemar_exact
from glore_models.evaluation.journal import (
    Journal,
    JournalError,
    TotalUsage,
    open_journal,
    usage_of,
)
from glore_models.evaluation.outcomes import (
    DERIVED,
    FAILED,
    Judge,
    JudgedAnswer,
    any_candidate,
    as_answered,
)
from glore_models.evaluation.plots import CURVES, draw_evaluation, image_markdown
from glore_models.evaluation.report import EvaluationRow, as_card, as_json, as_markdown, make_row

# Those that are asked unless others are named; `adaptive` is known too.
STRATEGIES: tuple[Strategy, ...] = ("draft", "global", "local", "best_of_n", "gated", "glore")
_KNOWN: tuple[Strategy, ...] = (*STRATEGIES, "adaptive")
_SELECTORS = {"glore": "perfect selector", "best_of_n": "perfect selector of best_of_n"}


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What is asked, and how. `deadline` in seconds; `candidates` is best_of_n's n.

    `one_pass` reads the rows of draft, global and local from the `glore` responses instead
    of asking, so that six strategies cost three requests per question. `gated` is asked: no
    response tells the gate. `serves` is what /readyz said of the models, if anything; `file` the
    SHA-256 of a source that is a file.
    """

    source: str
    seed: int
    strategies: tuple[Strategy, ...] = STRATEGIES
    candidates: int = 3
    temperature: float = 0.0
    max_tokens: int | None = None  # per solution; None: the gateway's default
    deadline: float = 120.0
    concurrency: int = 8
    one_pass: bool = False
    serves: str | None = None
    split: str = "test"
    file: str | None = None
    rounds: int = 1
    verify: bool = True
    correct: bool = False

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be carried out. Raises ValueError."""
        if not self.strategies:
            message = "no strategy to evaluate"
        elif unknown := [name for name in self.strategies if name not in _KNOWN]:
            message = f"no strategy {unknown[0]!r}; the strategies are {', '.join(_KNOWN)}"
        elif len(set(self.strategies)) < len(self.strategies):
            message = "a strategy is named twice"
        elif self.one_pass and "glore" not in self.strategies:
            message = "one pass reads the other rows from glore, which is not among the strategies"
        else:
            return
        raise ValueError(message)

    @property
    def asked(self) -> tuple[Strategy, ...]:
        """The strategies that are really asked."""
        return tuple(s for s in self.strategies if not (self.one_pass and s in DERIVED))

    @property
    def answers_depend_on(self) -> dict[str, Any]:
        """The part that has to stay the same when a run goes on."""
        return {
            "source": self.source,
            "seed": self.seed,
            "candidates": self.candidates,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "deadline": self.deadline,
            "serves": self.serves,
            "file": self.file,
            "rounds": self.rounds,
            "verify": self.verify,
            "correct": self.correct,
        }


@dataclass(frozen=True, slots=True)
class PairedTest:
    """`glore` against another strategy on the same questions, by McNemar's exact test."""

    against: str
    only_glore: int  # questions that only glore got right
    only_other: int
    p: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What came out; `seconds` of each answered question by the name of its row."""

    plan: EvaluationPlan
    rows: tuple[EvaluationRow, ...]
    paired: tuple[PairedTest, ...]
    usage: TotalUsage
    seconds: dict[str, tuple[float, ...]] = field(default_factory=dict)


async def evaluate(
    solver: Solver,
    problems: Sequence[Problem],
    plan: EvaluationPlan,
    folder: Path,
    *,
    command: str = "",
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    clock: Callable[[], float] = time.monotonic,
) -> EvaluationReport:
    """Ask the service what `folder` does not hold yet, count, and write the report there.

    Raises GloreError when the service is not there (what was answered is kept), JournalError
    when the folder holds another run, OSError when it cannot be written.
    """
    with open_journal(folder / "responses.jsonl", clock) as journal:
        _keep_plan(folder / "plan.json", plan, journal)
        sampling = Sampling(temperature=plan.temperature, max_tokens=plan.max_tokens)
        settings = AskSettings(
            sampling,
            plan.candidates,
            plan.deadline,
            plan.concurrency,
            rounds=plan.rounds if plan.rounds > 1 else None,  # older gateways know none of them
            verify=None if plan.verify else False,
            correct=True if plan.correct else None,
        )
        started = datetime.now(UTC)
        await ask_all(solver, problems, plan.asked, settings, journal, on_progress)
        report = count(plan, problems, journal)
    _write(folder, report, command=command, n=len(problems), started=started)
    return report


def count(plan: EvaluationPlan, problems: Sequence[Problem], journal: Journal) -> EvaluationReport:
    """The figures of what the journal holds; a question that it does not hold has failed."""
    outcomes: dict[str, list[JudgedAnswer]] = {}
    rows: list[EvaluationRow] = []
    for strategy in plan.strategies:
        derive = plan.one_pass and strategy in DERIVED
        source, judge = ("glore", DERIVED[strategy]) if derive else (strategy, as_answered)
        outcomes[strategy] = _judged(source, judge, problems, journal)
        rows.append(make_row(strategy, outcomes[strategy], source if derive else None))
    for source, name in _SELECTORS.items():
        if source in plan.asked:
            judged = _judged(source, any_candidate, problems, journal)
            rows.append(make_row(name, judged, source))
    seconds = {
        name: tuple(each.seconds for each in judged if not each.failed)
        for name, judged in outcomes.items()
    }
    return EvaluationReport(plan, tuple(rows), _paired(outcomes), usage_of(journal), seconds)


def report_as_json(report: EvaluationReport) -> dict[str, Any]:
    """The report as plain values: plan, rows, paired tests, usage."""
    return {
        "plan": asdict(report.plan),
        "strategies": [as_json(row) for row in report.rows],
        "mcnemar": [asdict(pair) for pair in report.paired],
        "spent": asdict(report.usage),
    }


def _write(
    folder: Path, report: EvaluationReport, *, command: str, n: int, started: datetime
) -> None:
    finished = datetime.now(UTC)
    whole = {
        "command": command,
        "n": n,
        "started": started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        **report_as_json(report),
    }
    write_json(folder / "report.json", whole)
    write_whole(folder / "table.md", as_markdown(report.rows))
    plot = image_markdown(
        lambda out: draw_evaluation(report.rows, report.seconds, out),
        folder / CURVES,
        "accuracy against tokens, and how long answers take",
    )
    card = as_card(
        asdict(report.plan),
        report.rows,
        report.usage,
        command=command,
        n=n,
        started=started,
        finished=finished,
        plot=plot,
    )
    write_whole(folder / "CARD.md", card)


def _judged(
    source: str, judge: Judge, problems: Sequence[Problem], journal: Journal
) -> list[JudgedAnswer]:
    found = [(problem, journal.entries.get((problem.id, source))) for problem in problems]
    return [
        judge(entry.result, problem.answer) if entry and entry.result else FAILED
        for problem, entry in found
    ]


def _paired(outcomes: dict[str, list[JudgedAnswer]]) -> tuple[PairedTest, ...]:
    glore = outcomes.get("glore")
    if glore is None:
        return ()
    paired = []
    for name, others in outcomes.items():
        if name == "glore":
            continue
        pairs = list(zip(glore, others, strict=True))
        first = sum(ours.correct and not other.correct for ours, other in pairs)
        second = sum(other.correct and not ours.correct for ours, other in pairs)
        paired.append(PairedTest(name, first, second, mcnemar_exact(first, second)))
    return tuple(paired)


def _keep_plan(path: Path, plan: EvaluationPlan, journal: Journal) -> None:
    """Write down what the answers depend on, or compare with what the journal was made under."""
    wanted = plan.answers_depend_on
    if not journal.entries:
        write_json(path, wanted)
        return
    try:
        stored = dict(parse_json(path.read_bytes(), path.name))
        for name in ("serves", "file"):  # folders were made that do not say
            stored.setdefault(name, wanted[name])
        stored = {"rounds": 1, "verify": True, "correct": False} | stored
    except (OSError, ValueError, TypeError) as error:
        message = f"{path} cannot be read; name another folder"
        raise JournalError(message) from error
    if differing := [key for key, value in wanted.items() if stored.get(key) != value]:
        message = f"{path.parent} holds a run with another {', '.join(differing)}"
        if differing == ["serves"]:
            message = (
                f"{path.parent} holds answers of other models or thresholds (/readyz reported "
                f"{stored['serves'] or 'nothing'}, now {plan.serves or 'nothing'}); "
                "serve those again, or name another folder"
            )
        raise JournalError(message)
