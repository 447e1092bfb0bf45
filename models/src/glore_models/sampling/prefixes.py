"""Prompts that begin with one another, so that each is computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Family:
    """A prompt and those of the same call that it begins with.

    `ids` are its tokens; `members` the places of the prompts, itself included.
    """

    ids: tuple[int, ...]
    members: tuple[int, ...]


def families(prompts: Sequence[Sequence[int]]) -> list[Family]:
    """Every prompt in one family: the longest that begins with it leads."""
    found: list[tuple[tuple[int, ...], list[int]]] = []
    # in descending order, what begins with a prompt comes before it, the nearest last
    for place in sorted(range(len(prompts)), key=lambda place: tuple(prompts[place]), reverse=True):
        ids = tuple(prompts[place])
        if found and found[-1][0][: len(ids)] == ids:
            found[-1][1].append(place)
        else:
            found.append((ids, [place]))
    return [Family(ids, tuple(members)) for ids, members in found]


def chunk_by_prefix(prompts: Sequence[str], most: int) -> list[range]:
    """All places in order, up to `most` at a time, prompts that go on from one another together.

    So the prefixes of one solution, which follow each other, are not parted; only a row of
    more than `most` is.
    """
    parts: list[range] = []
    for row in _rows(prompts):
        for start in range(row.start, row.stop, most):
            stop = min(start + most, row.stop)
            if parts and stop - parts[-1].start <= most:
                parts[-1] = range(parts[-1].start, stop)
            else:
                parts.append(range(start, stop))
    return parts


def _rows(prompts: Sequence[str]) -> list[range]:
    """Prompts of which each begins with the one before it, as long as possible."""
    starts = [
        place
        for place in range(len(prompts))
        if not place or not prompts[place].startswith(prompts[place - 1])
    ]
    return [range(a, b) for a, b in pairwise([*starts, len(prompts)])]
