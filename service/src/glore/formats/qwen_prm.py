r"""Qwen2.5-Math-PRM: a chat whose assistant turn has `<extra_0>` after each step.

The head gives two logits at every `<extra_0>`; the score of a step is the softmax probability of
the second, "right so far". Source: the model card of Qwen/Qwen2.5-Math-PRM-7B, whose system
prompt and ChatML layout are kept. What stands after the last `<extra_0>` cannot change a score
(attention looks back only), so the end of the turn is all that follows.

A step that states the answer as `#### 18` is written in the words these models were trained on.
"""

from collections.abc import Sequence

from glore.formats.answers import stated_answer
from glore.formats.scores import check_count, check_width, probability

SEPARATOR = "<extra_0>"
SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."
_LABELS = 2


class QwenPrmScores:
    """The family of Qwen2.5-Math-PRM (vLLM's `Qwen2ForProcessRewardModel`)."""

    separator = SEPARATOR
    prompt_rows = 0
    raw = True

    def encode(self, question: str, steps: Sequence[str]) -> str:
        """The chat in ChatML with a separator after each step.

        A question or step that holds the separator itself gives a count that does not match.
        """
        solution = "".join(f"{_in_its_words(step)}{SEPARATOR}" for step in steps)
        return (
            _turn("system", SYSTEM) + _turn("user", question.strip()) + _turn("assistant", solution)
        )

    def decode(self, rows: Sequence[Sequence[float]], steps: int) -> tuple[float, ...]:
        """One score per step; rows: steps x 2 logits (wrong, right).

        Raises ScoreCountError, or ValueError for rows of another width or values not finite.
        """
        check_count(rows, steps)
        check_width(rows, _LABELS)
        return tuple(probability(right - wrong) for wrong, right in rows)


def _turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def _in_its_words(step: str) -> str:
    answer = stated_answer(step)
    return step.strip() if answer is None else rf"The final answer is \boxed{{{answer}}}."
