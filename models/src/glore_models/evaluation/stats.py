"""How sure a count is: Wilson's interval for a share, McNemar's exact test for a pair."""

import math
from dataclasses import dataclass

Z95 = 1.959963984540054  # standard normal, two-sided 95%


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95% confidence interval of a share, both ends in 0..1."""

    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95% interval of `successes` in `trials` (Wilson 1927); 0..1 for no trials.

    Raises ValueError unless 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        message = f"{successes} successes in {trials} trials"
        raise ValueError(message)
    if trials == 0:
        return Interval(0.0, 1.0)
    share = successes / trials
    spread = Z95**2 / trials
    centre = share + spread / 2
    half = Z95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    return Interval(
        low=0.0 if successes == 0 else max(0.0, low),
        high=1.0 if successes == trials else min(1.0, high),
    )


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """The two-sided p-value that first and second are equally often right (McNemar 1947).

    The arguments count the questions that only one of the two got right; by exact binomial
    test, so small counts are fine. No such question gives 1. Raises ValueError for a
    negative count.
    """
    if only_first < 0 or only_second < 0:
        message = f"negative count: {only_first}, {only_second}"
        raise ValueError(message)
    trials = only_first + only_second
    tail = sum(math.comb(trials, k) for k in range(min(only_first, only_second) + 1))
    doubled: int = 2 * tail
    return min(1.0, doubled / (1 << trials))
