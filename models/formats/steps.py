"""A solution as steps: one non-blank line is one step, with its place in the text.

Places are character offsets, so the text before a step can be kept byte for byte
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
    while start < len(solution):
        newline = solution.find("\n", start)
        end = len(solution) if newline < 0 else newline + 1
        text = solution[start:end].strip()
        if text:
            steps.append(Step(index=len(steps), text=text, start=start, end=end))
        start = end
    return tuple(steps)


def prefix_before(solution: str, index: int) -> str:
    """The text of `solution` before step `index`, unchanged.

    `index` equal to the number of steps gives the whole solution.
    Raises IndexError for an index outside 0..number of steps.
    """
    steps = split_steps(solution)
    if index == len(steps):
        return solution
    if not 0 <= index < len(steps):
        message = f"step {index} of a solution with {len(steps)} steps"
        raise IndexError(message)
    return solution[: steps[index].start]


def closed(prefix: str) -> str:
    """A prefix that ends its line, so that a continuation starts a step; empty stays empty."""
    return prefix if prefix.endswith("\n") or not prefix else prefix + "\n"


def first_error(scores: tuple[float, ...], threshold: float) -> int | None:
    """The index of the first step whose score falls below `threshold`, or None."""
    for index, score in enumerate(scores):
        if score < threshold:
            return index
    return None
