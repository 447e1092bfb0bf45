r"""The final answer of a solution: the number after the last `####`, as in GSM8K.

Chat models that were taught to box their answers may forget the mark, so without one the last
`\boxed{...}` counts, when it holds a plain number and nothing else.
"""

import re
from decimal import Decimal

ANSWER_MARK = "####"
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
_PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_UNIT = re.compile(r"\\(?:text|mathrm)\s*\{[^{}]*\}")
_AROUND_NUMBER = re.compile(r"\\[,;!% ]|\\?\$|\{(?=,)|(?<=,)\}")


def parse_answer(solution: str) -> str | None:
    """The number on the last `####` line in plain form ('1,080.0' gives '1080'), or None.

    Without such a mark anywhere, the last boxed number.
    """
    line = _marked(solution)
    if line is None:
        return _boxed_number(solution)
    found = _NUMBER.search(line)
    return plain_number(found.group()) if found else None


def sole_answer(solution: str) -> str | None:
    """As `parse_answer`, but None too where the line holds several numbers, as `1/2` does.

    For right answers, of which the first number must not pass for the whole.
    """
    several = len(_NUMBER.findall(_marked(solution) or "")) > 1
    return None if several else parse_answer(solution)


def stated_answer(step: str) -> str | None:
    """What a step that begins with `####` says after it; None for any other step."""
    text = step.strip()
    return text.removeprefix(ANSWER_MARK).strip() or None if text.startswith(ANSWER_MARK) else None


def plain_number(text: str) -> str | None:
    """A decimal number without thousands separators or trailing zeros; None if it is none.

    Every digit counts, however many there are; zero has no sign.
    """
    digits = text.strip().replace(",", "")
    if not _PLAIN.fullmatch(digits):
        return None
    number = format(Decimal(digits), "f")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return "0" if number == "-0" else number


def same_answer(left: str | None, right: str | None) -> bool:
    """Whether both are answers and name the same number. No answer equals nothing."""
    if left is None or right is None:
        return False
    return plain_number(left) == plain_number(right) is not None


def _marked(solution: str) -> str | None:
    """What stands behind the last mark, in its line; None without one."""
    _, mark, tail = solution.rpartition(ANSWER_MARK)
    return tail.split("\n", maxsplit=1)[0] if mark else None


def _boxed_number(solution: str) -> str | None:
    boxes: list[str] = _BOXED.findall(solution)
    return plain_number(_AROUND_NUMBER.sub("", _UNIT.sub(" ", boxes[-1]))) if boxes else None
