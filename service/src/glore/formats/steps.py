"""A solution as steps: one non-blank line is one step, with its offset in the text.

Offsets count characters, so the text before a step can be kept byte for byte
(GLoRe, section 4: the local refiner rewrites from the first error on).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a solution.

    `text` has no surrounding white space; `start` and `end` are character offsets of the
    whole line in the solution, its newline included, so `solution[:step.start]` is
    everything before the step.
    """

    index: int
    text: str
    start: int
    end: int


def split_steps(solution: str) -> tuple[Step, ...]:
    """The non-blank lines of `solution`, in order. An empty solution has no steps."""
    steps: list[Step] = []
    start = 0
    for line in solution.split("\n"):
        end = start + len(line) + 1
        if text := line.strip():
            steps.append(Step(len(steps), text, start, min(end, len(solution))))
        start = end
    return tuple(steps)


def prefix_before(solution: str, index: int) -> str:
    """The text of `solution` before step `index`, unchanged.

    `index` equal to the number of steps gives the whole solution.
    Raises IndexError for an index outside 0..number of steps.
    """
    count = start = 0
    for line in solution.split("\n"):
        if line.strip():
            if count == index:
                return solution[:start]
            count += 1
        start += len(line) + 1
    if index == count:
        return solution
    message = f"step {index} of a solution with {count} steps"
    raise IndexError(message)


def closed(prefix: str) -> str:
    """A prefix that ends its line, so that a continuation starts a step; empty stays empty."""
    return prefix if prefix.endswith("\n") or not prefix else prefix + "\n"


def first_error(scores: tuple[float, ...], threshold: float) -> int | None:
    """The index of the first step whose score falls below `threshold`, or None."""
    for index, score in enumerate(scores):
        if score < threshold:
            return index
    return None
