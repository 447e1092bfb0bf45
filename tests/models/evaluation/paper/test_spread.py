"""Which templates questions have, and when there are enough of them to speak of."""

import pytest

from glore_models.evaluation.estimates import ratio
from glore_models.evaluation.paper.records import Record
from glore_models.evaluation.paper.spread import FEWEST_TEMPLATES, groups_of, spread, templates
from tests.models.evaluation.paper.builders import record


def of_templates(count: int) -> list[Record]:
    return [record(source=f"gsm_symbolic/{i}") for i in range(count)] * 2


def test_templates_are_counted_once() -> None:
    assert templates(of_templates(3)) == 3
    assert templates([record(source="train"), record(source="")]) == 0


def test_groups_are_told_where_there_are_enough_and_all_are_known() -> None:
    enough = of_templates(FEWEST_TEMPLATES)
    assert groups_of(enough) == tuple(each.source for each in enough)
    assert groups_of(of_templates(FEWEST_TEMPLATES - 1)) is None
    assert groups_of([*enough, record(source="")]) is None
    assert groups_of([]) is None


def test_questions_of_a_template_that_are_all_alike_count_as_one() -> None:
    records = of_templates(FEWEST_TEMPLATES)
    right = [int(each.source[-1] in "01") for each in records]
    estimate = ratio(right, [1] * len(right))
    assert estimate
    alone, grouped = spread(estimate, None), spread(estimate, groups_of(records))
    assert alone.by_template is None
    assert (grouped.value, grouped.interval) == (alone.value, alone.interval)
    assert grouped.by_template
    narrow = grouped.interval.high - grouped.value
    assert grouped.by_template.high - grouped.value == pytest.approx(narrow * 2**0.5, rel=0.02)
