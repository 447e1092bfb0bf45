"""Table A's figures, counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.paper.locating import SameQuestion, final, judge, locate, offsets
from glore_models.evaluation.paper.measures import Assessed
from glore_models.evaluation.steps import UNKNOWN, Labelled, figures
from tests.models.evaluation.paper.builders import THRESHOLDS, record, written

WRONG = [
    Labelled((1, 0, 0), (0.9, 0.2, 0.9)),  # exact
    Labelled((1, 1, 0), (0.2, 0.9, 0.2)),  # two too early
    Labelled((0, 0), (0.9, 0.2)),  # one too late
    Labelled((0, 0), (0.8, 0.9)),  # not named
]


def test_offsets_are_named_minus_true() -> None:
    found = offsets([*WRONG, Labelled((1, 1), (0.1, 0.9))], 0.5)
    assert found.counts == ((-2, 1), (0, 1), (1, 1))
    assert found.unnamed == 1
    assert found.mean == pytest.approx(-1 / 3)
    assert offsets(WRONG[3:], 0.5).mean is None


_labelled = st.integers(1, 5).flatmap(
    lambda steps: st.builds(
        Labelled,
        st.lists(st.sampled_from([0, 1]), min_size=steps, max_size=steps).map(tuple),
        st.lists(st.floats(0, 1), min_size=steps, max_size=steps).map(tuple),
    )
)


@given(st.lists(_labelled), st.floats(0, 1))
def test_offsets_agree_with_exact_early_and_late(
    solutions: list[Labelled], threshold: float
) -> None:
    at, found = figures(solutions, threshold), offsets(solutions, threshold)
    counts = dict(found.counts)
    assert counts.get(0, 0) == at.exact
    assert sum(n for offset, n in counts.items() if offset < 0) == at.early
    assert sum(n for offset, n in counts.items() if offset > 0) + found.unnamed == at.late
    assert at.exact + at.early + at.late == at.wrong_solutions


def test_unknown_steps_count_for_nothing() -> None:
    at = figures([Labelled((1, 0, UNKNOWN), (0.9, 0.9, 0.1))], 0.5)
    assert (at.steps, at.steps_right) == (2, 1)
    assert (at.wrong_solutions, at.exact, at.late) == (1, 0, 1)


def test_final_answers_at_both_thresholds() -> None:
    found = final([(0.9, True), (0.45, True), (0.45, False), (0.1, False)], 0.4)
    assert (found.solutions, found.right) == (4, 2)
    assert found.judged == 3
    assert found.judged_at_half == 3
    assert found.auc == pytest.approx((2 + 1.5) / 4)


def test_there_is_no_auc_without_both_kinds() -> None:
    assert final([(0.9, True)], 0.5).auc is None
    assert final([], 0.5).auc is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=12))
def test_the_auc_is_the_share_of_pairs(finals: list[tuple[float, bool]]) -> None:
    pairs = [(a, b) for a, good in finals if good for b, other in finals if not other]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs)
    assert final(finals, 0.5).auc == (pytest.approx(won / len(pairs)) if pairs else None)


def test_each_scorer_has_its_own_threshold_and_drafts() -> None:
    draft = written(right=False, sorm=(0.45, 0.9), orm=(0.45, 0.3))
    sorm, orm = locate(
        [record(draft, labels=(0, 0)), record(draft), record(written(right=False, sorm=()))],
        THRESHOLDS,
    )
    assert (sorm.role, sorm.at.threshold, sorm.at.exact, sorm.at.wrong_solutions) == (
        "sorm", 0.5, 1, 1
    )  # fmt: skip
    assert (orm.role, orm.at.threshold, orm.offsets.counts) == ("orm", 0.4, ((1, 1),))
    assert sorm.final.solutions == 2  # a draft without steps has no score
    assert (sorm.final.judged, orm.final.judged) == (0, 2)


def test_the_f1_is_that_of_wrong_and_right_solutions() -> None:
    solutions = [*WRONG, Labelled((1,), (0.9,))]
    row = judge("sorm", [Assessed(each.scores, each.labels) for each in solutions], 0.5)
    assert row.at.f1 == pytest.approx(2 * 0.25 / 1.25)


def test_solutions_of_one_question_are_ranked_among_themselves() -> None:
    easy = record(
        written(right=True, sorm=(0.9,), orm=(0.8,)),
        samples=(
            written(right=False, sorm=(0.7,), orm=(0.9,)),
            written(right=False, sorm=(0.7,), orm=(0.9,)),  # the same text: once
            written(answer="7.0", right=True, sorm=(0.7,), orm=(0.1,)),
        ),
    )
    hard = record(written(right=False, sorm=(0.1,), orm=(0.1,)), samples=())
    rows = {row.role: row for row in locate([easy, hard], THRESHOLDS)}
    assert rows["sorm"].same_question == SameQuestion(questions=1, pairs=2, auc=0.75)
    assert rows["orm"].same_question == SameQuestion(questions=1, pairs=2, auc=0.0)
    assert rows["orm"].final.auc == 1.0  # of drafts: it knows which question is hard


def test_nothing_is_ranked_where_no_question_has_both_kinds() -> None:
    records = [record(), record(written(right=True), samples=())]
    assert all(row.same_question is None for row in locate(records, THRESHOLDS))
