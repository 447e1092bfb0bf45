"""The likelihood of a solution under a language model, as an ORM that needs no training.

The score is the geometric mean of the probabilities that the model gives to the solution's tokens
behind the student's prompt: the inverse of its perplexity. It ranks the solutions of one question;
it is no probability that one is right.

The model must not be the one that wrote the draft: a greedy draft is the text that its writer finds
likely, right or wrong.
"""

import math
from collections.abc import Sequence
from typing import Final

from glore.formats.prompts import student_prompt

_ROUNDING: Final = 1e-3  # a logarithm of a probability may be above 0 by so much


class LikelihoodScores:
    """The family of causal language models that read the student's prompt."""

    def encode(self, question: str, solution: str) -> tuple[str, int]:
        """The text to read, and where the solution begins in it, in characters."""
        prompt = student_prompt(question)
        return prompt + solution.strip(), len(prompt)

    def decode(
        self, log_probabilities: Sequence[float | None], offsets: Sequence[int], start: int
    ) -> float:
        """The score in 0..1 of the tokens from character `start` on.

        `log_probabilities` are natural logarithms, one for each token of the text (None for the
        first, which nothing comes before); `offsets` are where tokens begin, in characters.

        Raises ValueError for lists of two lengths, without a token from `start` on, or for a value
        that is not the logarithm of a probability.
        """
        if len(log_probabilities) != len(offsets):
            message = f"{len(log_probabilities)} log-probabilities for {len(offsets)} tokens"
            raise ValueError(message)
        pairs = zip(log_probabilities, offsets, strict=True)
        written = [value for value, offset in pairs if offset >= start]
        values = [value for value in written if value is not None and -math.inf < value < _ROUNDING]
        if not written or len(values) < len(written):
            message = f"{len(values)} log-probabilities for {len(written)} tokens of the solution"
            raise ValueError(message)
        return math.exp(min(0.0, math.fsum(values) / len(values)))
