"""The tables for people: every share with its count and 95% interval, every table with its n."""

from collections.abc import Iterable, Sequence

from glore_models.evaluation.estimates import Estimate
from glore_models.evaluation.paper.comparing import Comparison
from glore_models.evaluation.paper.fixing import Changed, Fixed
from glore_models.evaluation.paper.locating import Difference, Located, SameQuestion
from glore_models.evaluation.paper.machines import Machines, is_one, spoken_machines
from glore_models.evaluation.paper.measures import TITLES
from glore_models.evaluation.paper.spread import Spread
from glore_models.evaluation.paper.tables import Section, Tables
from glore_models.evaluation.paper.thresholds import Thresholds
from glore_models.evaluation.stats import Interval, wilson

_TITLES = {
    "A": "A. Judging steps and answers, finding the first error",
    "B": "B. Wrong drafts made right",
    "C": "C. Every draft replaced, with no verifier",
    "D": "D. Strategies",
}
NOTES = {
    "A": (
        "Steps and first errors on labelled drafts, final answers (the last step's score) on every "
        "draft. Offset: named minus true place, in steps. ORM_MATCHED, where there is one, has the "
        "ORM's labels on what the SORM learnt from. Intervals of steps, F1 and AUC, and of "
        "differences: over questions, and over templates where there are 20 or more."
    ),
    "B": (
        "Local refinement after the critique named. The oracle's critique is the first bad step by "
        "rollouts, so it exists for labelled drafts alone."
    ),
    "C": "A draft without a refinement stays. p: McNemar, exact.",
    "D": (
        "Solutions: generated at most (on average); equal: at most the same number. Tokens are "
        "generated ones; seconds are the engines' (of the processor on a CPU, batches shared), "
        "generating and scoring. Selector regret: how many points more a perfect selector of the "
        "same candidates has. "
        "Intervals: Wilson, 95%; of differences as in table A."
    ),
}


def as_markdown(tables: Tables, command: str) -> str:
    """All tables, one kind after the other, each saying what it was counted from."""
    parts = ["# The paper's tables", "", f"`{command}`", ""]
    for note in tables.notes:
        parts += [f"Note: {note}", ""]
    for letter, title in _TITLES.items():
        parts += [f"## {title}", "", NOTES[letter], ""]
        for section in tables.sections:
            parts += [
                f"### {letter} · {section.student} · {section.name}",
                "",
                _source(section, tables.thresholds, command),
                "",
                *_table(letter, section),
                "",
            ]
    return "\n".join(parts).rstrip() + "\n"


def located(rows: Sequence[Located], differences: Sequence[Difference] = ()) -> list[str]:
    """Table A: the figures, then the distribution of offsets, then what differs."""
    figures = [
        (
            row.role.upper(),
            f"{row.at.threshold:.2f}",
            _steps(row),
            share(row.at.exact, row.at.wrong_solutions),
            str(row.at.early),
            str(row.at.late - row.offsets.unnamed),
            str(row.offsets.unnamed),
            "-" if row.offsets.mean is None else f"{row.offsets.mean:+.2f}",
            share(row.at.clean, row.at.right_solutions),
            _area(row.at.f1, row.measures.get("f1")),
            share(row.final.judged, row.final.solutions),
            share(row.final.judged_at_half, row.final.solutions),
            _area(row.final.auc, row.measures.get("auc")),
            _within(row.same_question, row.measures.get("within")),
        )
        for row in rows
    ]
    header = (
        "scorer", "threshold", "steps judged rightly", "first error exact", "early", "late",
        "none named", "mean offset", "right drafts left alone", "F1",
        "final answers judged rightly", "at 0.5", "AUC", "AUC within questions",
    )  # fmt: skip
    places = sorted({offset for row in rows for offset, _ in row.offsets.counts})
    offsets = [
        (row.role.upper(), *(str(dict(row.offsets.counts).get(place, 0)) for place in places))
        for row in rows
    ]
    distribution = grid(("offset", *(f"{place:+d}" for place in places)), offsets)
    return [
        *grid(header, figures),
        *(["", *distribution] if places else []),
        *(["", *differing(differences)] if any(each.measures for each in differences) else []),
    ]


def differing(rows: Sequence[Difference]) -> list[str]:
    """Table A's differences, in hundredths, over questions and over templates."""
    cells = []
    for row in rows:
        name = f"{row.role.upper()} minus {row.than.upper()}"
        of = row.measures
        cells.append((name, "questions", *(points(of.get(each)) for each in TITLES)))
        if any(each.by_template for each in of.values()):
            over = (points(of.get(each), by_template=True) for each in TITLES)
            cells.append((name, "templates", *over))
    return grid(("difference in hundredths", "95% over", *TITLES.values()), cells)


def points(spread: Spread | None, *, by_template: bool = False) -> str:
    """`+1.2 (-0.3 to +2.7)`, in hundredths: a difference and its 95% interval, or a dash."""
    interval = spread and (spread.by_template if by_template else spread.interval)
    if not (spread and interval):
        return "-"
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * spread.value:+.1f} ({low:+.1f} to {high:+.1f})"


def _steps(row: Located) -> str:
    """As `share`; but the steps of a solution are no strangers, so it is over questions."""
    estimate = row.measures.get("steps")
    interval = _within_0_and_1(estimate) if estimate else None
    return _share(row.at.steps_right, row.at.steps, interval)


def _area(value: float | None, estimate: Estimate | None) -> str:
    if value is None or estimate is None:
        return "-" if value is None else f"{value:.3f}"
    interval = _within_0_and_1(estimate)
    return f"{value:.3f} ({interval.low:.3f}-{interval.high:.3f})"


def _within(found: SameQuestion | None, estimate: Estimate | None) -> str:
    if found is None:
        return "-"
    return f"{_area(found.auc, estimate)}, {found.pairs} pairs of {found.questions}"


def _within_0_and_1(estimate: Estimate) -> Interval:
    interval = estimate.interval()
    return Interval(max(0.0, interval.low), min(1.0, interval.high))


def fixed(rows: Sequence[Fixed]) -> list[str]:
    """Table B."""
    header = (
        "over", "critique", "wrong drafts", "local refinements", "fixed by global",
        "fixed by local", "by either", "only global", "only local", "both", "neither",
    )  # fmt: skip
    cells = [
        (
            row.over,
            row.critique.upper() if row.critique != "oracle" else row.critique,
            str(row.drafts),
            str(row.refined),
            share(row.by_global, row.drafts),
            share(row.by_local, row.drafts),
            share(row.by_either, row.drafts),
            *(str(n) for n in (row.only_global, row.only_local, row.both, row.neither)),
        )
        for row in rows
    ]
    return grid(header, cells)


def changed(rows: Sequence[Changed]) -> list[str]:
    """Table C."""
    header = (
        "over", "replaced by", "drafts", "replaced", "right before", "wrong to right",
        "right to wrong", "right after", "p",
    )  # fmt: skip
    cells = [
        (
            row.over,
            row.refinement,
            str(row.drafts),
            str(row.replaced),
            share(row.right_before, row.drafts),
            str(row.wrong_to_right),
            str(row.right_to_wrong),
            share(row.right_after, row.drafts),
            f"{row.p:.2g}",
        )
        for row in rows
    ]
    return grid(header, cells)


def compared(comparison: Comparison, machines: Machines) -> list[str]:
    """Table D: the rows, then the paired tests; no seconds when they do not compare."""
    timed = is_one(machines)
    header = (
        "strategy", "solutions", "right", "accuracy", "95% interval", "tokens", "seconds",
        "right per 1,000 tokens", "selector regret",
    )  # fmt: skip
    cells = [
        (
            row.name,
            f"{row.most} ({row.solutions:.2f})",
            f"{row.right}/{row.n}",
            f"{100 * row.accuracy:.1f}%",
            f"{100 * row.interval.low:.1f} - {100 * row.interval.high:.1f}%",
            f"{row.tokens:.0f}",
            f"{row.seconds:.2f}" if timed else "-",
            "-" if row.right_per_1000_tokens is None else f"{row.right_per_1000_tokens:.2f}",
            "-" if row.regret is None else f"{100 * row.regret:.1f}",
        )
        for row in comparison.rows
    ]
    pairs = [
        (
            pair.name,
            pair.against,
            "yes" if pair.equal else "no",
            f"{pair.only_this} : {pair.only_other}",
            f"{pair.p:.2g}",
            points(pair.difference),
            points(pair.difference, by_template=True),
        )
        for pair in comparison.paired
    ]
    names = (
        "strategy", "against", "equal solutions", "right alone", "McNemar p",
        "points, 95% over questions", "over templates",
    )  # fmt: skip
    tests = grid(names, pairs)
    return [*grid(header, cells), "", _made_on(machines), "", *tests]


def grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; the first column on the left, the others on the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def share(part: int, whole: int) -> str:
    """`3/4 75% (30-95)`: count, share and Wilson's 95% interval; a dash for none."""
    return _share(part, whole, wilson(part, whole))


def _share(part: int, whole: int, interval: Interval | None) -> str:
    if not whole:
        return "-"
    told = f"{part}/{whole} {100 * part / whole:.0f}%"
    return f"{told} ({100 * interval.low:.0f}-{100 * interval.high:.0f})" if interval else told


def _table(letter: str, section: Section) -> list[str]:
    return {
        "A": lambda: located(section.located, section.differences),
        "B": lambda: fixed(section.fixed),
        "C": lambda: changed(section.changed),
        "D": lambda: compared(section.compared, section.machines),
    }[letter]()


def _made_on(machines: Machines) -> str:
    """Where the seconds of table D come from, or why there are none."""
    kinds = spoken_machines(machines)
    if is_one(machines):
        return f"Seconds: {kinds}."
    if machines == (None,):
        return "Seconds are left out: on which machine they were measured was not recorded."
    if None in machines:
        return f"Seconds are left out: some are of a machine that was not recorded ({kinds})."
    return f"Seconds are left out: they are of more than one kind of machine ({kinds})."


def _source(section: Section, thresholds: Thresholds, command: str) -> str:
    gate = "none" if thresholds.gate is None else f"{thresholds.gate:.2f}"
    made = f" from {section.templates} templates" if section.templates else ""
    return (
        f"n = {section.questions} questions{made} ({section.labelled} labelled): {section.of}. "
        f"Thresholds: first error {thresholds.first_error:.2f} (SORM), "
        f"{thresholds.orm_first_error:.2f} (ORM); gate {gate}. `{command}`"
    )
