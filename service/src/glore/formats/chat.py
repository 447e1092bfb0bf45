r"""A chat model as student and as prompted refiner: its prompts, and how its text is read.

The prompts are conversations, not texts: the server applies the model's own chat template, so
any chat model can take part. Instructions stand in the user's turn, because some templates have
no system turn and some put one of their own. The local refiner's conversation ends with an
assistant turn that is begun with the steps to keep; the server is asked to go on with it.
"""

import re
from dataclasses import dataclass
from typing import Literal

from glore.formats.critique import BAD, mark
from glore.formats.prompts import normalise_question
from glore.formats.steps import prefix_before

_FORM = (
    "Write one step per line: a short sentence with its calculation. Use no headings, no blank "
    "lines and no formulas that span several lines. End with a line that holds nothing but the "
    "final number, in this form:\n#### 42"
)
_SPACE = re.compile(r"\s+")
_DISPLAYED = {"\\[": "\\]", "$$": "$$"}  # what begins a displayed formula, and what ends it


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation to continue.

    `begun` is the start of the assistant's turn, to be gone on with; empty for a new turn.
    """

    messages: tuple[ChatTurn, ...]
    begun: str = ""


class ChatPrompts:
    """The three generating roles, played by one chat model that nobody trained for them."""

    def student(self, question: str) -> Chat:
        """Solve the problem, a step per line."""
        return _ask(f"Solve this problem.\n\n{_problem(question)}\n\n{_FORM}")

    def global_refiner(self, question: str, draft: str) -> Chat:
        """Write the whole solution anew, with the draft in sight."""
        task = (
            "Here are a problem and a draft of its solution, which may be wrong anywhere. Check "
            "it against the problem, then write a complete and right solution of your own."
        )
        return _ask(f"{task}\n\n{_problem(question)}\n\nDraft:\n{draft.strip()}\n\n{_FORM}")

    def local_refiner(
        self, question: str, draft: str, first_error: int, corrected: str = ""
    ) -> Chat:
        """Go on from the first wrong step, which `[BAD]` marks; what stands before it is begun.

        Raises IndexError when the draft has no such step.
        """
        marked = mark(draft, first_error).strip()
        task = (
            f"Here are a problem and a draft of its solution. {BAD} stands before its first wrong "
            "step. Repeat the steps before it word for word, then go on in its place with a right "
            f"step and finish the solution. Never write {BAD}."
        )
        chat = _ask(f"{task}\n\n{_problem(question)}\n\nDraft:\n{marked}\n\n{_FORM}")
        return Chat(chat.messages, begun=prefix_before(draft, first_error) + corrected)

    def read(self, text: str) -> str:
        """What the model wrote, with each displayed formula on the line before it."""
        return _with_formulas_inline(text.strip())


def _ask(content: str) -> Chat:
    return Chat((ChatTurn("user", content),))


def _problem(question: str) -> str:
    return f"Problem: {normalise_question(question)}"


def _with_formulas_inline(text: str) -> str:
    """A displayed formula, however many lines it has, goes to the end of the line before it.

    Linear in the length of the text: it looks for an end that is not there only once.
    """
    parts: list[str] = []
    end = 0
    endless: set[str] = set()
    for space in _SPACE.finditer(text):
        opening = text[space.end() : space.end() + 2]
        closing = _DISPLAYED.get(opening)
        if space.start() < end or "\n" not in space[0] or not closing or closing in endless:
            continue
        close = text.find(closing, space.end() + 2)
        if close < 0:
            endless.add(closing)
            continue
        parts.append(text[end : space.start()])
        end = close + 2
        parts.append(" " + " ".join(text[space.end() : end].split()))
    return "".join([*parts, text[end:]])
