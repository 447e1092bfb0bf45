"""Sequence classification with one label: a reward for a whole conversation, as an ORM.

Such models (Skywork-Reward and any other `*ForSequenceClassification` with one label) read the
question as the user's turn and the solution as the assistant's, through their own chat template,
which the server applies. The reward is a real number, trained so that the logistic function of a
difference of two is a preference (Bradley and Terry); the logistic function of one keeps the
order of candidates and lies in 0..1, but is no calibrated probability.

Source of the response shape: vLLM's `POST /classify`, `data[i]["probs"]`, logits when
`use_activation` is false.
"""

from collections.abc import Sequence

from glore.formats.chat import ChatTurn
from glore.formats.scores import check_count, check_width, probability


class SequenceScores:
    """The family of reward models with one score per text."""

    def encode(self, question: str, solution: str) -> tuple[ChatTurn, ...]:
        """The two turns to score."""
        return ChatTurn("user", question.strip()), ChatTurn("assistant", solution.strip())

    def decode(self, rows: Sequence[Sequence[float]]) -> float:
        """The score in 0..1; rows: 1 x 1 logit.

        Raises ScoreCountError, or ValueError for several labels or a value not finite.
        """
        check_count(rows, 1)
        check_width(rows, 1)
        return probability(rows[0][0])
