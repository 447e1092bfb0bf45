"""Intervals of shares and statistics: against counting, resampling and textbooks."""

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.intervals import (
    Z95,
    Estimate,
    auc,
    harmonic_mean,
    mcnemar_exact,
    ratio,
    wilson,
    with_intervals,
)
from glore_models.evaluation.paper.records import FEWEST_TEMPLATES, Record, groups_of, templates
from tests.models.evaluation.paper.builders import record


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # this and the next: Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilsons_interval(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson(successes, trials)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share(counts: tuple[int, int]) -> None:
    interval = wilson(*counts)
    assert 0.0 <= interval.low <= counts[0] / counts[1] <= interval.high <= 1.0


@pytest.mark.parametrize("counts", [(-1, 3), (4, 3)])
def test_a_count_that_cannot_be_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(*counts)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (3, 3, 1.0), (5, 0, 2 / 32), (1, 7, 2 * 9 / 256), (10, 2, 2 * 79 / 4096)],
)
def test_mcnemars_exact_p(first: int, second: int, p: float) -> None:
    assert mcnemar_exact(first, second) == pytest.approx(p)
    assert mcnemar_exact(second, first) == mcnemar_exact(first, second)


def test_mcnemar_stays_a_number_for_large_counts() -> None:
    p = mcnemar_exact(3000, 1000)
    assert math.isfinite(p)
    assert 0.0 <= p < 1e-100


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        mcnemar_exact(-1, 2)


Statistic = Callable[[Sequence[int]], Estimate | None]  # of the questions at these places
_RNG = random.Random(5)
_N = 400
PARTS = [_RNG.randint(0, 4) for _ in range(_N)]
WHOLES = [part + _RNG.randint(0, 3) for part in PARTS]
RIGHT = [_RNG.random() < 0.3 for _ in range(_N)]
SCORES = [round(_RNG.random() * 0.8 + 0.2 * right, 1) for right in RIGHT]  # with ties


def _ratio(indices: Sequence[int]) -> Estimate | None:
    return ratio([PARTS[i] for i in indices], [WHOLES[i] for i in indices])


def _rights(indices: Sequence[int]) -> Estimate | None:
    return ratio([RIGHT[i] for i in indices], [1] * len(indices))


def _mean(indices: Sequence[int]) -> Estimate | None:
    one, other = _ratio(indices), _rights(indices)
    assert one
    assert other
    return harmonic_mean(one, other)


def _auc(indices: Sequence[int]) -> Estimate | None:
    return auc([SCORES[i] for i in indices], [RIGHT[i] for i in indices])


def _difference(indices: Sequence[int]) -> Estimate | None:
    one, other = _ratio(indices), _auc(indices)
    assert one
    assert other
    return one.minus(other)


def half(estimate: Estimate, groups: Sequence[int] | None = None) -> float:
    found = estimate.interval(groups)
    assert (found.low + found.high) / 2 == pytest.approx(estimate.value)
    return (found.high - found.low) / 2


@pytest.mark.parametrize("statistic", [_ratio, _rights, _mean, _auc, _difference])
@pytest.mark.parametrize("of", [1, 8], ids=["questions", "groups"])
def test_an_interval_is_as_wide_as_the_statistic_spreads_when_questions_are_drawn_again(
    statistic: Statistic, of: int
) -> None:
    groups = [index // of for index in range(_N)]
    whole = statistic(range(_N))
    assert whole
    rng = random.Random(7)
    found = []
    for _ in range(600):
        drawn = [rng.randrange(_N // of) for _ in range(_N // of)]
        again = statistic([of * group + i for group in drawn for i in range(of)])
        assert again
        found.append(again.value)
    mean = math.fsum(found) / len(found)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in found) / (len(found) - 1))
    assert half(whole, groups) == pytest.approx(Z95 * spread, rel=0.15)
    assert mean == pytest.approx(whole.value, abs=0.01)


def test_that_of_a_share_is_the_textbooks() -> None:
    share = ratio([1] * 30 + [0] * 70, [1] * 100)
    assert share
    assert share.value == 0.3
    assert half(share) == pytest.approx(Z95 * math.sqrt(0.3 * 0.7 / 99))


def test_questions_that_are_copies_of_each_other_say_nothing_new() -> None:
    once, twice = _ratio(range(_N)), _ratio([*range(_N), *range(_N)])
    assert once
    assert twice
    assert half(twice) == pytest.approx(half(once) / math.sqrt(2), rel=0.01)
    assert half(twice, [*range(_N), *range(_N)]) == pytest.approx(half(once))


def test_a_difference_is_paired() -> None:
    """Of two scorers that nearly always agree, however sure or not each of them is."""
    one = ratio([*RIGHT], [1] * _N)
    other = ratio([not RIGHT[0], *RIGHT[1:]], [1] * _N)
    assert one
    assert other
    assert half(one.minus(one)) == 0
    assert half(one.minus(other)) == pytest.approx(Z95 / _N, rel=0.01)
    assert one.minus(other).value == pytest.approx((1 if RIGHT[0] else -1) / _N)


_scored = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(0, 1)), st.one_of(st.none(), st.booleans())),
    max_size=12,
)


@given(_scored)
def test_the_auc_is_the_share_of_pairs(scored: list[tuple[float | None, bool | None]]) -> None:
    known = [(score, good) for score, good in scored if score is not None and good is not None]
    pairs = [(a, b) for a, good in known if good for b, other in known if not other]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs)
    found = auc([score for score, _ in scored], [good for _, good in scored])
    assert (found is None) == (not pairs)
    if found:
        assert found.value == pytest.approx(won / len(pairs))
        assert math.fsum(found.added) == pytest.approx(0, abs=1e-9)


def test_nothing_is_estimated_of_nothing() -> None:
    assert ratio([], []) is None
    assert ratio([0, 0], [0, 0]) is None
    nought = ratio([0, 0], [1, 1])
    assert nought
    assert harmonic_mean(nought, nought) is None
    assert half(nought) == 0
    alone = ratio([1], [2])
    assert alone
    assert (alone.interval().low, alone.interval().high) == (-math.inf, math.inf)


def test_other_questions_are_refused() -> None:
    one, other = ratio([1, 0], [1, 1]), ratio([1], [1])
    assert one
    assert other
    with pytest.raises(ValueError, match="zip"):
        one.minus(other)
    with pytest.raises(ValueError, match="zip"):
        one.interval([1])


def of_templates(count: int) -> list[Record]:
    return [record(source=f"gsm_symbolic/{i}") for i in range(count)] * 2


def test_templates_are_counted_once() -> None:
    assert templates(of_templates(3)) == 3
    assert templates([record(source="train"), record(source="")]) == 0


def test_groups_are_reported_where_there_are_enough_and_all_are_known() -> None:
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
    alone, grouped = with_intervals(estimate, None), with_intervals(estimate, groups_of(records))
    assert alone.by_template is None
    assert (grouped.value, grouped.interval) == (alone.value, alone.interval)
    assert grouped.by_template
    narrow = grouped.interval.high - grouped.value
    assert grouped.by_template.high - grouped.value == pytest.approx(narrow * 2**0.5, rel=0.02)
