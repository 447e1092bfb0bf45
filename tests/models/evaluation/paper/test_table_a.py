"""Table A: what is measured of a scorer, and how sure it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.intervals import FEWEST
from glore_models.evaluation.paper.table_a import (
    TITLES,
    Assessed,
    SameQuestion,
    _minus,
    final,
    judge_scorer,
    measures,
    offsets,
    table_a,
)
from glore_models.evaluation.steps import UNKNOWN, Labelled, figures
from tests.models.evaluation.paper.builders import THRESHOLDS, record, written

AT = 0.5
EXACT = Assessed((0.9, 0.2), (1, 0), right=False)
MISSED = Assessed((0.9, 0.8), (1, 0), right=False)
CLEAN = Assessed((0.9, 0.8), (1, 1), right=True, won=1.0, pairs=2)
ACCUSED = Assessed((0.9, 0.2), (1, 1), right=True, won=0.0, pairs=1)
ALL = [*[EXACT] * 6, *[MISSED] * 4, *[CLEAN] * 8, *[ACCUSED] * 2]


def test_the_measures_are_the_shares_of_table_a() -> None:
    found = measures(ALL, AT)
    assert found.keys() == TITLES.keys()
    row = judge_scorer("sorm", ALL, AT)
    assert found["steps"].value == row.at.steps_right / row.at.steps == 34 / 40
    assert found["exact"].value == row.at.exact / row.at.wrong_solutions == 0.6
    assert found["clean"].value == row.at.clean / row.at.right_solutions == 0.8
    assert found["f1"].value == pytest.approx(row.at.f1)
    assert found["final"].value == row.final.judged / row.final.solutions == 14 / 20
    assert found["auc"].value == row.final.auc
    assert row.same_question
    assert found["within"].value == row.same_question.auc == 8 / 18
    assert (row.same_question.questions, row.same_question.pairs) == (10, 18)


def test_what_too_few_solutions_add_to_is_not_measured() -> None:
    assert measures(ALL[1:], AT).keys() == {"steps", "clean", "final", "within"}
    assert measures([*ALL[:-1]], AT).keys() == {"steps", "exact", "final"}
    assert measures([EXACT] * (FEWEST - 1), AT) == {}


def test_solutions_without_scores_labels_or_answers_add_nothing() -> None:
    nothing = [Assessed(()), Assessed((0.9,)), Assessed((), (1,), right=True)]
    found, whole = measures([*ALL, *nothing], AT), measures(ALL, AT)
    for measure, estimate in found.items():
        assert estimate.value == pytest.approx(whole[measure].value)
        assert estimate.added == pytest.approx((*whole[measure].added, 0, 0, 0))


_assessed = st.lists(st.sampled_from([EXACT, MISSED, CLEAN, ACCUSED, Assessed(())]), max_size=60)


@given(_assessed, _assessed)
def test_a_difference_is_of_what_both_measure(
    these: list[Assessed], others: list[Assessed]
) -> None:
    both = min(len(these), len(others))
    this, other = measures(these[:both], AT), measures(others[:both], AT)
    found = _minus(this, other)
    assert found.keys() == this.keys() & other.keys()
    for measure, estimate in found.items():
        assert estimate.value == this[measure].value - other[measure].value
        assert _minus(this, this)[measure].interval().high == 0


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
    sorm, orm = table_a(
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
    row = judge_scorer("sorm", [Assessed(each.scores, each.labels) for each in solutions], 0.5)
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
    rows = {row.role: row for row in table_a([easy, hard], THRESHOLDS)}
    assert rows["sorm"].same_question == SameQuestion(questions=1, pairs=2, auc=0.75)
    assert rows["orm"].same_question == SameQuestion(questions=1, pairs=2, auc=0.0)
    assert rows["orm"].final.auc == 1.0  # of drafts: it knows which question is hard


def test_nothing_is_ranked_where_no_question_has_both_kinds() -> None:
    records = [record(), record(written(right=True), samples=())]
    assert all(row.same_question is None for row in table_a(records, THRESHOLDS))
