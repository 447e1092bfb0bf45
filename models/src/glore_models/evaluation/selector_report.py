"""The tables of `glore_models.evaluation.selectors` as Markdown and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from glore_models.evaluation.intervals import Estimate, mcnemar_exact, wilson
from glore_models.evaluation.selectors import (
    DRAFT,
    SELECTORS,
    Found,
    SelectedAnswer,
    within_questions,
)

_SCORES: Final = {
    "ORM": lambda each, _: each.outcome_score,
    "likelihood": lambda _, likelihood: likelihood,
    "verifiers": lambda each, _: float(not each.findings),
    "verifiers, then ORM": lambda each, _: float(not each.findings) + each.outcome_score,
}

_PAIRS: Final = (
    ("glore", "best_of_n"),
    ("adaptive", "best_of_n"),
    ("adaptive", "draft, then up to 3 samples"),
    ("adaptive, 2 rounds", "draft, then up to 6 samples"),
    ("adaptive, 3 rounds", "draft, then up to 9 samples"),
)


@dataclass(frozen=True, slots=True)
class WayRow:
    """One way to answer `n` questions; `tokens` and `texts` are means over the questions.

    `alone` and `draft_alone` are the questions that only this way, or only the draft, gets right,
    and `p` is McNemar's, exact.
    """

    name: str
    selector: str
    n: int
    right: int
    interval: tuple[float, float]
    tokens: float
    texts: float
    alone: int
    draft_alone: int
    p: float

    @property
    def per_thousand(self) -> float:
        """Right answers for every 1,000 generated tokens."""
        return 1000 * self.right / self.n / self.tokens


@dataclass(frozen=True, slots=True)
class Area:
    """The AUC within questions of one score, with its 95% interval, and its pairs."""

    score: str
    value: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class WayPair:
    """Two ways that write as many texts: the questions that only one gets right, McNemar's p."""

    name: str
    against: str
    alone: int
    other_alone: int
    p: float


@dataclass(frozen=True, slots=True)
class SelectorReport:
    """The tables of one set."""

    name: str
    n: int
    candidates: tuple[WayRow, ...]
    ways: tuple[WayRow, ...]
    areas: tuple[Area, ...]
    pairs: tuple[WayPair, ...]


def report(name: str, found: Found) -> SelectorReport:
    """Count what was found on the set `name`."""
    drafts = found.answered[DRAFT]
    candidates = [
        row(title, selector, [each.picked(selector) for each in questions], drafts)
        for title, questions in found.candidates.items()
        for selector in SELECTORS
    ]
    ways = [row(title, "", answered, drafts) for title, answered in found.answered.items()]
    areas = [
        _area(title, estimate)
        for title, score in _SCORES.items()
        if (estimate := within_questions(found, score))
    ]
    pairs = [_pair(found, *names) for names in _PAIRS if found.answered.keys() >= set(names)]
    return SelectorReport(
        name, len(drafts), tuple(candidates), tuple(ways), tuple(areas), tuple(pairs)
    )


def joined(founds: Sequence[Found]) -> Found:
    """Several sets as one: their questions one after the other."""
    first = founds[0]
    return Found(
        {name: [each for f in founds for each in f.candidates[name]] for name in first.candidates},
        {name: [each for f in founds for each in f.answered[name]] for name in first.answered},
    )


def row(
    name: str, selector: str, answered: Sequence[SelectedAnswer], drafts: Sequence[SelectedAnswer]
) -> WayRow:
    """The figures of one way to answer, against the draft on the same questions."""
    n, right = len(answered), sum(each.right for each in answered)
    pairs = list(zip(answered, drafts, strict=True))
    alone = sum(ours.right and not draft.right for ours, draft in pairs)
    draft_alone = sum(draft.right and not ours.right for ours, draft in pairs)
    interval = wilson(right, n)
    return WayRow(
        name,
        selector,
        n,
        right,
        (interval.low, interval.high),
        sum(each.tokens for each in answered) / n,
        sum(each.texts for each in answered) / n,
        alone,
        draft_alone,
        mcnemar_exact(alone, draft_alone),
    )


def as_markdown(reports: Sequence[SelectorReport], command: str) -> str:
    """Every set's tables under a heading of its own."""
    lines = [f"`{command}`", ""]
    for each in reports:
        lines += [f"## {each.name}, n = {each.n}", "", *_candidates(each), "", *_ways(each), ""]
        if each.pairs:
            lines += [f"Right alone: {_pairs(each.pairs)}", ""]
        lines += [f"AUC within questions: {_areas(each.areas)}", ""]
    return "\n".join(lines)


def as_values(reports: Sequence[SelectorReport], command: str) -> dict[str, Any]:
    """The same as plain values; shares in 0..1."""
    return {"command": command, "sets": [asdict(each) for each in reports]}


def _candidates(found: SelectorReport) -> list[str]:
    """A line for each candidate set, a column for each selector; then what they lose and gain."""
    lines = [
        "| candidates | tokens | " + " | ".join(SELECTORS) + " |",
        "|---|---:|" + "---|" * len(SELECTORS),
    ]
    against = [
        "| regret to perfect; alone : draft alone (p) | " + " | ".join(SELECTORS[:-1]) + " |",
        "|---|" + "---|" * len(SELECTORS[:-1]),
    ]
    for at in range(0, len(found.candidates), len(SELECTORS)):
        *rows, perfect = found.candidates[at : at + len(SELECTORS)]
        shares = " | ".join(_share(each) for each in (*rows, perfect))
        lines.append(f"| {perfect.name} | {perfect.tokens:.0f} | {shares} |")
        lost = (
            f"{100 * (perfect.right - each.right) / each.n:.1f}; "
            f"{each.alone} : {each.draft_alone} ({_p(each.p)})"
            for each in rows
        )
        against.append(f"| {perfect.name} | {' | '.join(lost)} |")
    return [*lines, "", *against]


def _ways(found: SelectorReport) -> list[str]:
    lines = [
        "| strategy | right | tokens | texts | right per 1,000 tokens | alone : draft alone (p) |",
        "|---|---|---:|---:|---:|---|",
    ]
    for each in found.ways:
        against = "" if each.name == DRAFT else f"{each.alone} : {each.draft_alone} ({_p(each.p)})"
        lines.append(
            f"| {each.name} | {_share(each)} | {each.tokens:.0f} | {each.texts:.1f} "
            f"| {each.per_thousand:.1f} | {against} |"
        )
    return lines


def _share(each: WayRow) -> str:
    low, high = (100 * end for end in each.interval)
    return f"{each.right}/{each.n} {100 * each.right / each.n:.1f}% ({low:.1f}-{high:.1f})"


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"  # noqa: PLR2004


def _pairs(pairs: Sequence[WayPair]) -> str:
    found = (
        f"{pair.name} against {pair.against} {pair.alone} : {pair.other_alone} ({_p(pair.p)})"
        for pair in pairs
    )
    return "; ".join(found)


def _areas(areas: Sequence[Area]) -> str:
    found = (
        f"{area.score} {area.value:.3f} ({area.interval[0]:.3f}-{area.interval[1]:.3f})"
        for area in areas
    )
    return "; ".join(found)


def _pair(found: Found, name: str, against: str) -> WayPair:
    counted = row(name, "", found.answered[name], found.answered[against])
    return WayPair(name, against, counted.alone, counted.draft_alone, counted.p)


def _area(title: str, estimate: Estimate) -> Area:
    interval = estimate.interval()
    return Area(title, estimate.value, (max(0.0, interval.low), min(1.0, interval.high)))
