"""What verifiers refute in solutions whose first wrong step people marked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glore.verifiers.ports import Finding, Verifier
from glore_models.evaluation.paper.markdown import grid, share
from glore_models.evaluation.paper.processbench import MarkedSolution


@dataclass(frozen=True, slots=True)
class Flagged:
    """One solution: the first step that is refuted, if any, and why.

    `error` is the index of the step that people marked, None for a right solution.
    """

    id: str
    error: int | None
    step: int | None
    reason: str


def flagged(solutions: Iterable[MarkedSolution], verifiers: Sequence[Verifier]) -> list[Flagged]:
    """Check every solution. A step of several lines is read line by line, as the gateway does."""
    found = []
    for solution in solutions:
        lines = [
            (index, line)
            for index, step in enumerate(solution.written)
            for line in step.splitlines()
        ]
        texts = [line for _, line in lines]
        findings = [each for v in verifiers for each in v.check(solution.question, texts)]
        first = min(findings, key=lambda each: (each.step, each.start), default=None)
        step = None if first is None else lines[first.step][0]
        found.append(Flagged(solution.id, solution.error, step, _reason(first)))
    return found


def as_markdown(rows: Sequence[Flagged]) -> list[str]:
    """How often right solutions are refuted and marked steps found, then the former one by one."""
    right = [row for row in rows if row.error is None]
    wrong = [(row, row.error) for row in rows if row.error is not None]
    false_alarms = [row for row in right if row.step is not None]
    steps = [(row.step, error) for row, error in wrong if row.step is not None]
    counts = [
        ("right solutions refuted", share(len(false_alarms), len(right))),
        ("wrong solutions refuted", share(len(steps), len(wrong))),
        ("at the marked step", share(sum(s == error for s, error in steps), len(wrong))),
        ("before it", share(sum(s < error for s, error in steps), len(wrong))),
        ("after it", share(sum(s > error for s, error in steps), len(wrong))),
    ]
    lines = grid(("verifiers", "solutions"), counts)
    if false_alarms:
        named = [(row.id, str(row.step), row.reason) for row in false_alarms]
        lines += ["", *grid(("right solution", "step", "what is refuted"), named)]
    return lines


def _reason(finding: Finding | None) -> str:
    if finding is None:
        return ""
    return f"{finding.verifier}: {finding.expression} = {finding.claimed}, not {finding.expected}"
