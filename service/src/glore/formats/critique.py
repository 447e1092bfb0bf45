"""The critique the local refiner reads: `[BAD]` before the first wrong step."""

from glore.formats.steps import prefix_before, split_steps

BAD = "[BAD]"


def mark(solution: str, index: int) -> str:
    """`solution` with `[BAD] ` standing before step `index` (GLoRe, section 4).

    Raises IndexError when there is no such step.
    """
    prefix = prefix_before(solution, index)
    rest = solution[len(prefix) :]
    if not rest.strip():
        message = f"no step {index} to mark"
        raise IndexError(message)
    return f"{prefix}{BAD} {rest}"


def corrected_step(solution: str, index: int, start: int, end: int, right: str) -> str:
    """Step `index` as a line, with `right` in the place of its characters `start` to `end`.

    Raises IndexError when there is no such step.
    """
    text = split_steps(solution)[index].text
    return f"{text[:start]}{right}{text[end:]}\n"
