from collections.abc import Sequence

import pytest

from glore.api.explanations import explain
from glore.engines.ports import STOPPED
from glore.refinement.runner import Solved
from glore.refinement.types import (
    Budget,
    Candidate,
    CandidateKind,
    Degradation,
    DegradedReason,
    Job,
    Sampling,
    Selection,
    SelectionReason,
    Stage,
    State,
    Strategy,
)
from glore.verifiers.ports import Finding

KINDS = {
    "draft": CandidateKind.DRAFT,
    "sample": CandidateKind.SAMPLE,
    "global": CandidateKind.GLOBAL,
    "local": CandidateKind.LOCAL,
}
SLIP = (Finding("arithmetic", 0, 0, 1, claimed="2", expected="3"),)


def outcome(
    reason: SelectionReason,
    index: int,
    candidates: Sequence[Candidate],
    *,
    strategy: Strategy = Strategy.GLORE,
    degraded: tuple[Degradation, ...] = (),
) -> Solved:
    job = Job("1 + 1?", strategy, Sampling(), Budget(60.0, 9, 999), threshold=0.5, gate=0.4)
    state = State(job, candidates=tuple(candidates), degraded=degraded)
    return Solved(state, Selection(index, reason), seconds=1.0)


def candidate(
    kind: str,
    answer: str | None = "2",
    score: float | None = None,
    steps: tuple[float, ...] | None = None,
    findings: tuple[Finding, ...] = (),
    stopped: bool = False,
) -> Candidate:
    return Candidate(
        KINDS[kind],
        f"#### {answer}",
        answer,
        STOPPED if stopped else "stop",
        outcome_score=score,
        step_scores=steps,
        findings=SLIP if stopped else findings,
    )


LOST = (
    Degradation(Stage.SCORE, "unreachable"),
    Degradation(Stage.REFINE_GLOBALLY, DegradedReason.DEADLINE),
)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            outcome(SelectionReason.ONLY_CANDIDATE, 0, [candidate("draft")], degraded=LOST),
            "The draft was all there was to choose from; missing: score, refine_globally.",
        ),
        (
            outcome(SelectionReason.ONLY_CANDIDATE, 0, [candidate("draft")]),
            "The draft was all there was to choose from.",
        ),
        (
            outcome(
                SelectionReason.ONLY_CANDIDATE,
                0,
                [candidate("draft", findings=SLIP), candidate("global", stopped=True)],
            ),
            "The draft is refuted, and so are all others, which were stopped there.",
        ),
        (
            outcome(
                SelectionReason.OUTCOME_SCORE,
                0,
                [
                    candidate("draft", score=0.8, findings=SLIP),
                    candidate("global", score=0.7, findings=SLIP),
                    candidate("local", stopped=True),
                ],
            ),
            (
                "The draft has an outcome score of 0.80, which none of 1 other candidate written "
                "to the end exceeds."
            ),
        ),
        (
            outcome(SelectionReason.ACCEPTED, 0, [candidate("draft")], strategy=Strategy.GATED),
            "No step of the draft scored below the gate, 0.40: it was not refined.",
        ),
        (
            outcome(
                SelectionReason.STRATEGY,
                1,
                [candidate("draft"), candidate("global")],
                strategy=Strategy.GLOBAL,
            ),
            "The strategy `global` returns the global refinement without ranking.",
        ),
        (
            outcome(SelectionReason.STRATEGY, 0, [candidate("draft")], strategy=Strategy.LOCAL),
            "No step scored below the threshold, so there was nothing to refine in the draft.",
        ),
        (
            outcome(
                SelectionReason.OUTCOME_SCORE,
                1,
                [candidate("draft", score=0.41), candidate("local", score=0.927)],
            ),
            (
                "The local refinement has the highest outcome score, 0.93, of 2 candidates; "
                "the draft scored 0.41."
            ),
        ),
        (
            outcome(
                SelectionReason.OUTCOME_SCORE,
                0,
                [candidate("draft", score=0.8), candidate("sample", score=0.8)],
            ),
            "The draft has an outcome score of 0.80, which none of 1 other candidate exceeds.",
        ),
        (
            outcome(
                SelectionReason.STEP_SCORE,
                1,
                [candidate("draft", steps=(0.9, 0.1)), candidate("global", steps=(0.7, 0.8))],
            ),
            (
                "Without outcome scores, the global refinement won because its weakest step, "
                "scored 0.70, is the best of all weakest steps."
            ),
        ),
        (
            outcome(
                SelectionReason.AGREEMENT,
                1,
                [candidate("draft", "3"), candidate("sample"), candidate("sample")],
            ),
            (
                "Without scores, a further sample won because its answer, 2, is given by 2 of 3 "
                "candidates, and no other by more."
            ),
        ),
        (
            outcome(SelectionReason.FALLBACK, 0, [candidate("draft", "3"), candidate("sample")]),
            "There were no scores and no two candidates agreed, so the draft was kept.",
        ),
    ],
)
def test_each_reason_reads_as_one_sentence(given: Solved, sentence: str) -> None:
    assert explain(given) == sentence
