"""The measures of table A against its counts, and which of them are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.paper.locating import judge
from glore_models.evaluation.paper.measures import FEWEST, TITLES, Assessed, differences, measures

AT = 0.5
EXACT = Assessed((0.9, 0.2), (1, 0), right=False)
MISSED = Assessed((0.9, 0.8), (1, 0), right=False)
CLEAN = Assessed((0.9, 0.8), (1, 1), right=True, won=1.0, pairs=2)
ACCUSED = Assessed((0.9, 0.2), (1, 1), right=True, won=0.0, pairs=1)
ALL = [*[EXACT] * 6, *[MISSED] * 4, *[CLEAN] * 8, *[ACCUSED] * 2]


def test_the_measures_are_the_shares_of_table_a() -> None:
    found = measures(ALL, AT)
    assert found.keys() == TITLES.keys()
    row = judge("sorm", ALL, AT)
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
    found = differences(this, other)
    assert found.keys() == this.keys() & other.keys()
    for measure, estimate in found.items():
        assert estimate.value == this[measure].value - other[measure].value
        assert differences(this, this)[measure].interval().high == 0
