"""Math-Shepherd: numbered steps, each ended by the step tag ` ки`.

A causal language model that was trained to say `+` (good) or `-` (bad) at each tag: the score of
a step is the softmax over those two tokens' logits there, which is the logistic function of their
difference. Source: the card of peiyi9979/math-shepherd-mistral-7b-prm and of its data set.

How it is served (docs/guides/own-models.md): vLLM makes a head of one
row, `lm_head[+] - lm_head[-]`, from the weights as they are (`classifier_from_token` with
`from_2_way_softmax`), so a row of the response is that one difference. vLLM's
`returned_token_ids`, made for this model once, picks hidden units instead of tokens
(vllm-project/vllm issue 16545), and log-probabilities of prompts hold the top few tokens only.
"""

import re
from collections.abc import Sequence

from glore.formats.answers import stated_answer
from glore.formats.prompts import normalise_question
from glore.formats.scores import check_count, check_width, probability

STEP_TAG = "ки"
BAD_TOKEN, GOOD_TOKEN = "▁-", "▁+"  # as the tokenizer's vocabulary spells them
_NUMBERED = re.compile(r"Step \d+:")
_LABELS = 1


class MathShepherdScores:
    """The family of Math-Shepherd's process reward model."""

    separator = f"▁{STEP_TAG}"
    prompt_rows = 0
    raw = True

    def encode(self, question: str, steps: Sequence[str]) -> str:
        """`question Step 1: ... ки`, a line per step; the BOS is the tokenizer's to add.

        A question or step that holds the tag as a word gives a count that does not match.
        """
        lines = (f"{_numbered(step, number)} {STEP_TAG}" for number, step in enumerate(steps, 1))
        return f"{normalise_question(question)} " + "\n".join(lines)

    def decode(self, rows: Sequence[Sequence[float]], steps: int) -> tuple[float, ...]:
        """One score per step; rows: steps x 1, the logit of `+` less that of `-`.

        Raises ScoreCountError, or ValueError for rows of another width or values not finite.
        """
        check_count(rows, steps)
        check_width(rows, _LABELS)
        return tuple(probability(difference) for (difference,) in rows)


def _numbered(step: str, number: int) -> str:
    answer = stated_answer(step)
    text = step.strip() if answer is None else f"The answer is: {answer}"
    return text if _NUMBERED.match(text) else f"Step {number}: {text}"
