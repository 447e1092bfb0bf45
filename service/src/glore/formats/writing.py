"""How the generating roles are prompted and read: one family per class, chosen per role."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from glore.formats import prompts
from glore.formats.chat import Chat

Prompt: TypeAlias = str | Chat  # a text to continue, or a conversation
# Gets a text as it is written, in pieces that are not empty. True ends it there.
OnText: TypeAlias = Callable[[str], bool | None]


class PromptFormat(Protocol):
    """What one family of generating models reads, and how its text becomes a solution."""

    def student(self, question: str) -> Prompt:
        """What the student reads."""
        ...

    def global_refiner(self, question: str, draft: str) -> Prompt:
        """What the global refiner reads."""
        ...

    def local_refiner(
        self, question: str, draft: str, first_error: int, corrected: str = ""
    ) -> Prompt:
        """What the local refiner reads; it writes what follows the steps before `first_error`.

        With a `corrected` step, a line, it writes what follows that one. Raises IndexError when
        the draft has no such step.
        """
        ...

    def read(self, text: str) -> str:
        """The steps in a completion, a line each, without white space around them."""
        ...


class TrainedPrompts:
    """The family of this project's fine-tuned models (`glore.formats.prompts`)."""

    def student(self, question: str) -> str:
        """The question; a solution follows."""
        return prompts.student_prompt(question)

    def global_refiner(self, question: str, draft: str) -> str:
        """The question and the draft; a solution follows."""
        return prompts.global_refiner_prompt(question, draft)

    def local_refiner(
        self, question: str, draft: str, first_error: int, corrected: str = ""
    ) -> str:
        """The question, the marked draft and the steps to keep; the rest follows."""
        return prompts.local_refiner_prompt(question, draft, first_error, corrected)

    def read(self, text: str) -> str:
        """The completion without white space around it."""
        return text.strip()


@dataclass(frozen=True, slots=True)
class RoleFormats:
    """The family of each generating role."""

    student: PromptFormat = field(default_factory=TrainedPrompts)
    global_refiner: PromptFormat = field(default_factory=TrainedPrompts)
    local_refiner: PromptFormat = field(default_factory=TrainedPrompts)
