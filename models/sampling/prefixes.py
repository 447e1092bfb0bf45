"""Prompts that begin with one another, so that each is computed once."""

from collections.abc import Sequence
from dataclasses import dataclass


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
