"""Measures of a run, from its records and samples."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.profiles.definitions import DURING
from loadtest.profiles.limits import ALL
from loadtest.profiles.records import Outcome, RequestRecord
from loadtest.profiles.watching import ResourceSample

_MEGABYTE: Final = 1e6
_LAST: Final = 3  # requests at the end that must be answered for a service to have recovered
_WINDOWS: Final = 6  # of a phase, to find its best answered rate


@dataclass(frozen=True, slots=True)
class LoadRun:
    """One run of a profile. Times are seconds after the start of the schedule."""

    sent: int  # requests, by the generator's own count
    records: Sequence[RequestRecord]
    phases: Mapping[str, tuple[float, float]]  # begin and end, in order
    samples: Sequence[ResourceSample] = ()
    recovers_in: str | None = None  # the phase that begins when the disturbance has ended
    replaced: int = 0  # gateways

    def phase(self, record: RequestRecord) -> str | None:
        """The phase in which a request was due; DURING for all that run while it begins."""
        if DURING in self.phases and record.due < self.phases[DURING][0] <= record.ended:
            return DURING
        spans = self.phases.items()
        return next((name for name, (begin, end) in spans if begin <= record.due < end), None)


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least `share` of the values do not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def measure(run: LoadRun) -> dict[str, dict[str, float | None]]:
    """All measures by phase; those of `all` hold for the whole run."""
    found = {ALL: _of(run.records, sum(end - begin for begin, end in run.phases.values()))}
    for name, (begin, end) in run.phases.items():
        found[name] = _of([each for each in run.records if run.phase(each) == name], end - begin)
    found[ALL] |= {
        "lost": run.sent - len({each.id for each in run.records}),
        "replaced": run.replaced,
        "overload_throughput": _overload_throughput(run),
        "recovery": _recovery(run),
        "memory_growth_mb": _growth(run.samples, lambda sample: sample.memory / _MEGABYTE),
        "files_growth": _growth(run.samples, lambda sample: sample.files),
        "tasks_growth": _growth(run.samples, lambda sample: sample.tasks),
    }
    return found


def _of(records: Sequence[RequestRecord], seconds: float) -> dict[str, float | None]:
    """Counts, rates and latencies of some requests. Latencies count from when they were due."""
    by_outcome: dict[Outcome, list[RequestRecord]] = defaultdict(list)
    for each in records:
        by_outcome[each.outcome].append(each)
    answered, refused = by_outcome[Outcome.ANSWERED], by_outcome[Outcome.REFUSED]
    found: dict[str, float | None] = {
        "requests": len(records),
        **{outcome.value: len(by_outcome[outcome]) for outcome in Outcome},
        "degraded": sum(bool(each.degraded) for each in answered),
        "scheduled_rate": len(records) / seconds if seconds else None,
        "answered_rate": len(answered) / seconds if seconds else None,
        "achieved_share": _achieved_share(records),
        "schedule_delay_p99": quantile((each.sent - each.due for each in records), 0.99),
        "refusal_p95": quantile((each.ended - each.due for each in refused), 0.95),
    }
    for name in ("first_text", "draft", "first_error"):
        times = [at - each.due for each in answered if (at := getattr(each, name)) is not None]
        found[f"{name}_p95"] = quantile(times, 0.95)
    for share in (50, 95, 99):
        times = [each.ended - each.due for each in answered]
        found[f"answer_p{share}"] = quantile(times, share / 100)
    return found


def _achieved_share(records: Sequence[RequestRecord]) -> float | None:
    """The rate at which requests went out, as a share of the scheduled rate."""
    if len(records) < 2:  # noqa: PLR2004 - a rate needs two
        return None
    due, sent = [[getattr(each, name) for each in records] for name in ("due", "sent")]
    return float((max(due) - min(due)) / (max(sent) - min(sent)))


def _overload_throughput(run: LoadRun) -> float | None:
    """Answers per second under overload, as a share of the best on the way there."""
    rise, overload = run.phases.get("rise"), run.phases.get("overload")
    if rise is None or overload is None:
        return None
    ended = [each.ended for each in run.records if each.outcome is Outcome.ANSWERED]

    def rate(begin: float, end: float) -> float:
        return sum(begin <= at < end for at in ended) / (end - begin)

    width = (rise[1] - rise[0]) / _WINDOWS
    best = max(rate(rise[0] + i * width, rise[0] + (i + 1) * width) for i in range(_WINDOWS))
    return rate(*overload) / best if best else None


def _recovery(run: LoadRun) -> float | None:
    """Seconds after the disturbance in which requests were due that it still harmed.

    None without a disturbance; infinite where the last requests are harmed too.
    """
    if run.recovers_in is None:
        return None
    begin = run.phases[run.recovers_in][0]
    after = sorted((each for each in run.records if each.due >= begin), key=lambda each: each.due)
    if len(after) < _LAST or not all(each.clean for each in after[-_LAST:]):
        return math.inf
    return max((each.due - begin for each in after if not each.clean), default=0.0)


def _growth(
    samples: Sequence[ResourceSample], of: Callable[[ResourceSample], float]
) -> float | None:
    """By how much the median of the last quarter exceeds that of the second: the worst gateway's.

    The first quarter is for warming up: caches fill, and memory reaches its size.
    """
    by_gateway: dict[str, list[ResourceSample]] = defaultdict(list)
    for sample in samples:
        by_gateway[sample.gateway].append(sample)
    grown = []
    for each in by_gateway.values():
        quarter = len(each) // 4
        if quarter:
            second, last = each[quarter : 2 * quarter], each[-quarter:]
            grown.append(statistics.median(map(of, last)) - statistics.median(map(of, second)))
    return max(grown, default=None)
