"""How long a run will still take, from what its stages took elsewhere and take here."""

from collections.abc import Iterable, Mapping


def time_left(
    expected: Mapping[str, float], finished: Mapping[str, float], left: Iterable[str]
) -> float | None:
    """Seconds that the stages in `left` will take; None when nothing is known of any.

    `expected` holds the seconds of each stage on the machine the recipe was measured on,
    `finished` what the finished ones took here: the ratio of the two carries over.
    """
    remaining = [expected[stage] for stage in left if stage in expected]
    if not remaining:
        return None
    known = [stage for stage in finished if expected.get(stage)]
    there = sum(expected[stage] for stage in known)
    here = sum(finished[stage] for stage in known)
    return sum(remaining) * (here / there if there else 1.0)


def spoken(seconds: float | None) -> str:
    """'about 2 h 5 min', 'about 3 min', 'less than a minute', or 'not known'."""
    if seconds is None:
        return "not known"
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"
