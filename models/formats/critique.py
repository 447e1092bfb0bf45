"""The critique the local refiner reads: `[BAD]` before the first wrong step."""

from models.formats.steps import prefix_before

BAD = "[BAD]"


def mark(solution: str, index: int) -> str:
    """`solution` with `[BAD] ` standing before step `index` (GLoRe, section 4).

    Raises IndexError when there is no such step.
    """
    kept = prefix_before(solution, index)
    rest = solution[len(kept) :]
    if not rest.strip():
        message = f"no step {index} to mark"
        raise IndexError(message)
    return f"{kept}{BAD} {rest}"
