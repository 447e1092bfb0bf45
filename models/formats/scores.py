"""What a reward model reads and answers: one family per class, `encode` and `decode`.

Source of the response shape: vLLM's `POST /pooling` with `task=token_classify`, where
`data[i]["data"]` holds one row of `num_labels` values per pooled token.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from models.formats.prompts import student_prompt


class ScoreCountError(ValueError):
    """The engine gave another number of scores than there are steps: never guessed at."""


class ScoreFormat(Protocol):
    """How one family of reward models is asked and understood."""

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

    prompt_rows = 2

    def __init__(self, column: int) -> None:
        self.column = column

    def encode(self, question: str, steps: Sequence[str]) -> str:
        """The student's prompt and one line per step, each ended by one newline."""
        return student_prompt(question) + "".join(f"{step.strip()}\n" for step in steps)

    def decode(self, rows: Sequence[Sequence[float]], steps: int) -> tuple[float, ...]:
        """The role's column of the rows after the prompt's; rows: (2 + steps) x labels."""
        if len(rows) != self.prompt_rows + steps:
            message = f"{len(rows)} rows for {steps} steps and {self.prompt_rows} prompt lines"
            raise ScoreCountError(message)
        if any(len(row) <= self.column for row in rows):
            message = f"a row without a column {self.column}"
            raise ValueError(message)
        scores = tuple(float(row[self.column]) for row in rows[self.prompt_rows :])
        if not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in scores):
            message = "a score is not a probability"
            raise ValueError(message)
        return scores


SORM_COLUMN = 0
ORM_COLUMN = 1
