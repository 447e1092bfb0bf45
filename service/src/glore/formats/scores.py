"""What a reward model reads and answers: one family per class, `encode` and `decode`.

The family of this project's own models is here; `qwen_prm`, `math_shepherd` and `sequence_scores`
beside it hold other people's, and `families` names them all.

Source of the response shape: vLLM's `POST /pooling` with `task=token_classify`, where
`data[i]["data"]` holds one row of `num_labels` values per pooled token.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from glore.formats.prompts import student_prompt
from glore.formats.steps import split_steps


class ScoreCountError(ValueError):
    """The engine gave another number of scores than there are steps: never guessed at."""


class ScoreFormat(Protocol):
    """How one family of stepwise reward models is asked and understood."""

    separator: str  # the token scored, spelled as the tokenizer's vocabulary spells it
    prompt_rows: int  # how many of them the text before the first step has
    raw: bool  # whether logits are asked for, rather than what the server makes of them

    def encode(self, question: str, steps: Sequence[str]) -> str:
        """The text to score; `steps` are single lines in order."""
        ...

    def decode(self, rows: Sequence[Sequence[float]], steps: int) -> tuple[float, ...]:
        """One score in 0..1 per step. Raises ScoreCountError, or ValueError for a bad value."""
        ...


class NewlineScores:
    """The family of this project's reward models: a score at the newline that ends each step.

    The server pools with `tok_pooling_type=STEP` at newline tokens, so the two newlines of
    the prompt come first and are dropped. `column` is the head's column of the role.
    """

    separator = "Ċ"  # how byte-level tokenizers spell a newline
    prompt_rows = 2
    raw = False

    def __init__(self, column: int) -> None:
        self.column = column

    def encode(self, question: str, steps: Sequence[str]) -> str:
        """The student's prompt and one line per step, each ended by one newline."""
        return student_prompt(question) + "".join(f"{step.strip()}\n" for step in steps)

    def decode(self, rows: Sequence[Sequence[float]], steps: int) -> tuple[float, ...]:
        """The role's column of the rows after the prompt's; rows: (2 + steps) x labels."""
        check_count(rows, steps, self.prompt_rows)
        if any(len(row) <= self.column for row in rows):
            message = f"a row without a column {self.column}"
            raise ValueError(message)
        scores = tuple(float(row[self.column]) for row in rows[self.prompt_rows :])
        if not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores):
            message = "a score is not a probability"
            raise ValueError(message)
        return scores


def check_count(rows: Sequence[object], steps: int, prompt_rows: int = 0) -> None:
    """Raise ScoreCountError unless there is a row for each step and each of the prompt's."""
    if len(rows) != prompt_rows + steps:
        prompt = f" and {prompt_rows} of the prompt" if prompt_rows else ""
        message = f"{len(rows)} scores for {steps} steps{prompt}"
        raise ScoreCountError(message)


def spread(solutions: Sequence[str], values: Iterable[float]) -> tuple[float, ...]:
    """A score for each solution: 0 for one without steps, `values` in order for the others."""
    rest = iter(values)
    return tuple(next(rest) if split_steps(solution) else 0.0 for solution in solutions)


def probability(logit: float) -> float:
    """The logistic function, for logits of any size. Raises ValueError unless it is finite."""
    if not math.isfinite(logit):
        message = "a logit is not finite"
        raise ValueError(message)
    small = math.exp(-abs(logit))
    return 1.0 / (1.0 + small) if logit >= 0 else small / (1.0 + small)


def check_width(rows: Sequence[Sequence[float]], labels: int) -> None:
    """Raise ValueError unless each row has as many values as the family has labels."""
    for row in rows:
        if len(row) != labels:
            message = f"a row of {len(row)} values where the family has {labels}"
            raise ValueError(message)


SORM_COLUMN = 0
ORM_COLUMN = 1
