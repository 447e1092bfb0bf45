"""What a simulated model writes: sums that are right or wrong, in this project's form."""

import math
import random
import re

from glore.formats.critique import BAD

_TOKEN = re.compile(r"\d| ?[^\W\d]+|\s|[^\w\s]|_")
_LAST_SOLUTION = "Solution:\n"
_LINES = 3
_LARGEST = 20


def tokens(text: str) -> list[str]:
    """`text` in pieces about as long as a tokenizer's: words, digits, signs, newlines."""
    return _TOKEN.findall(text)


def written(prompt: str, rng: random.Random, right: float) -> str:
    """A solution to the question in `prompt`, or the rest of the one it begins.

    The sums follow from the question, so that two solutions which make no mistake agree; one
    line is miscalculated with chance 1 - `right`.
    """
    head, _, kept = prompt.rpartition(_LAST_SOLUTION)
    question = head.split("\nDraft:\n", maxsplit=1)[0].strip()
    sums = random.Random(question)
    slip = rng.randrange(_LINES) if rng.random() >= right else None
    lines, value = [], sums.randint(1, _LARGEST)
    for index in range(_LINES):
        added = sums.randint(1, _LARGEST)
        result = value + added + (rng.randint(1, 9) if index == slip else 0)
        lines.append(f"{value} + {added} = {result}")
        value = result
    begun = len([line for line in kept.split("\n") if line.strip() and BAD not in line])
    return "\n".join([*lines[begun:], f"#### {value}"])


def endless(rng: random.Random) -> str:
    """A line that goes on longer than any limit."""
    return " ".join(f"and {rng.randint(1, _LARGEST)}" for _ in range(5000))


def score_rows(text: str, labels: int) -> list[list[float]]:
    """One row per newline of `text`; a line with a wrong sum scores low, others high."""
    rows = []
    for line in text.split("\n")[:-1]:
        found = re.search(r"(?<!\d)(\d{1,18}) \+ (\d{1,18}) = (\d{1,18})", line)
        wrong = found and int(found[1]) + int(found[2]) != int(found[3])
        # the same line scores the same, and no two lines do
        shift = random.Random(line).random() / 10
        rows.append([(0.1 if wrong else 0.8) + shift] * labels)
    return rows


def likelihoods(text: str) -> list[tuple[str, float]]:
    """The tokens of `text` with the logarithms of their probabilities: low in a wrong sum."""
    found = []
    for line in text.splitlines(keepends=True):
        (row,) = score_rows(f"{line.rstrip()}\n", 1)
        found += [(token, math.log(row[0])) for token in tokens(line)]
    return found


def logit(chance: float) -> float:
    """The value whose logistic function is `chance`, in 0..1 without its ends."""
    return math.log(chance / (1.0 - chance))
