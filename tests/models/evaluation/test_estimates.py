"""Intervals of statistics that questions add to: against counting, resampling and textbooks."""

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.estimates import Estimate, auc, harmonic_mean, ratio
from glore_models.evaluation.stats import Z95

Statistic = Callable[[Sequence[int]], Estimate | None]  # of the questions at these places
_RNG = random.Random(5)
_N = 400
PARTS = [_RNG.randint(0, 4) for _ in range(_N)]
WHOLES = [part + _RNG.randint(0, 3) for part in PARTS]
RIGHT = [_RNG.random() < 0.3 for _ in range(_N)]
SCORES = [round(_RNG.random() * 0.8 + 0.2 * right, 1) for right in RIGHT]  # with ties


def _ratio(places: Sequence[int]) -> Estimate | None:
    return ratio([PARTS[i] for i in places], [WHOLES[i] for i in places])


def _rights(places: Sequence[int]) -> Estimate | None:
    return ratio([RIGHT[i] for i in places], [1] * len(places))


def _mean(places: Sequence[int]) -> Estimate | None:
    one, other = _ratio(places), _rights(places)
    assert one
    assert other
    return harmonic_mean(one, other)


def _auc(places: Sequence[int]) -> Estimate | None:
    return auc([SCORES[i] for i in places], [RIGHT[i] for i in places])


def _difference(places: Sequence[int]) -> Estimate | None:
    one, other = _ratio(places), _auc(places)
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
    groups = [place // of for place in range(_N)]
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
