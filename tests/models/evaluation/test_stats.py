import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore_models.evaluation.stats import mcnemar_exact, wilson


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
