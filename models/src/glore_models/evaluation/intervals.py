"""How sure a figure is: intervals of shares, of other statistics and of differences; a paired test.

An `Estimate` has its interval by linearisation (the infinitesimal jackknife): to first order the
error of a statistic is a sum over the questions, so its variance is the sum of the squares of what
each adds. What the questions add to a difference of two statistics is the difference of what they
add to each, which makes differences paired; questions that belong together are added up before
they are squared.

Sources: DeLong et al. 1988 (areas under ROC curves), Liang and Zeger 1986 (clusters).
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Sequence
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


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic, and what each question, in one order for all estimates, adds to its error."""

    value: float
    added: tuple[float, ...]

    def interval(self, groups: Sequence[Hashable] | None = None) -> Interval:
        """The 95% interval, by the normal approximation; not cut off where no value can be.

        Over questions, or over `groups` of them: one for each question, in their order. No
        estimate of one group alone has an end. Raises ValueError for another number of groups.
        """
        named = range(len(self.added)) if groups is None else groups
        sums: dict[Hashable, float] = defaultdict(float)
        for group, part in zip(named, self.added, strict=True):
            sums[group] += part
        if len(sums) < 2:  # noqa: PLR2004 - one says nothing of how much they differ
            return Interval(-math.inf, math.inf)
        variance = math.fsum(each**2 for each in sums.values()) * len(sums) / (len(sums) - 1)
        half = Z95 * math.sqrt(variance)
        return Interval(self.value - half, self.value + half)

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference to another statistic of the same questions. Raises ValueError else."""
        pairs = zip(self.added, other.added, strict=True)
        return Estimate(self.value - other.value, tuple(this - that for this, that in pairs))


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Estimate | None:
    """The sum of `parts` over the sum of `wholes`, one of each for a question; None over nothing.

    A question that is not in the statistic has nothing of both.
    """
    whole = math.fsum(wholes)
    if whole == 0:
        return None
    value = math.fsum(parts) / whole
    pairs = zip(parts, wholes, strict=True)
    return Estimate(value, tuple((part - value * of) / whole for part, of in pairs))


def harmonic_mean(one: Estimate, other: Estimate) -> Estimate | None:
    """That of two statistics of the same questions; None when both are 0."""
    both = one.value + other.value
    if both == 0:
        return None
    by_one, by_other = 2 * (other.value / both) ** 2, 2 * (one.value / both) ** 2
    pairs = zip(one.added, other.added, strict=True)
    added = tuple(by_one * this + by_other * that for this, that in pairs)
    return Estimate(2 * one.value * other.value / both, added)


def auc(scores: Sequence[float | None], right: Sequence[bool | None]) -> Estimate | None:
    """The chance that a right solution scores above a wrong one, ties being half.

    One score of a question each; None for those that have none or of which it is not known.
    None without both kinds.
    """
    pairs = list(zip(scores, right, strict=True))
    above = sorted(score for score, good in pairs if score is not None and good is True)
    below = sorted(score for score, good in pairs if score is not None and good is False)
    if not above or not below:
        return None

    def won(score: float, good: bool) -> float:
        """The share of the other kind that a solution is on the right side of."""
        others = below if good else above
        low = (bisect_left(others, score) + bisect_right(others, score)) / 2 / len(others)
        return low if good else 1 - low

    value = math.fsum(won(score, good=True) for score in above) / len(above)
    sizes = {True: len(above), False: len(below)}
    added = tuple(
        0.0 if score is None or good is None else (won(score, good) - value) / sizes[good]
        for score, good in pairs
    )
    return Estimate(value, added)


def pairs_won(solutions: Sequence[tuple[float, bool]]) -> tuple[float, int]:
    """Of all pairs of a right and a wrong solution of one question, those that the right one wins.

    Solutions are (score, right); a tie is half won. The second number is that of the pairs.
    """
    scores, rights = [score for score, _ in solutions], [right for _, right in solutions]
    pairs = sum(rights) * (len(rights) - sum(rights))
    area = auc(scores, rights)
    return (area.value * pairs if area else 0.0), pairs


def auc_within(questions: Sequence[Sequence[tuple[float, bool]]]) -> Estimate | None:
    """The AUC within questions: `pairs_won` of all together; None without pairs."""
    counted = [pairs_won(solutions) for solutions in questions]
    return ratio([won for won, _ in counted], [pairs for _, pairs in counted])


FEWEST = 10  # solutions of a kind; of fewer the normal approximation says nothing


@dataclass(frozen=True, slots=True)
class ValueWithIntervals:
    """A value with its 95% interval, were other questions drawn of the same templates.

    `by_template` is that were other templates drawn too; None where there are too few, or none.
    """

    value: float
    interval: Interval
    by_template: Interval | None


def with_intervals(estimate: Estimate, groups: Sequence[str] | None) -> ValueWithIntervals:
    """An estimate with its intervals; `groups` as in `groups_of`."""
    by_template = None if groups is None else estimate.interval(groups)
    return ValueWithIntervals(estimate.value, estimate.interval(), by_template)
