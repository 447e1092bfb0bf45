"""The prompts of the three generating roles, for models fine-tuned by this project.

Every prompt ends with a newline or with whole steps, so that prompt and completion can be
tokenized apart and give the same tokens as the joined text.
"""

from glore.formats.critique import mark
from glore.formats.steps import prefix_before

_SOLUTION = "Solution:\n"


def normalise_question(question: str) -> str:
    """The question on one line: runs of white space become single spaces."""
    return " ".join(question.split())


def student_prompt(question: str) -> str:
    """What the student (and, before the steps, both reward models) reads."""
    return f"Question: {normalise_question(question)}\n{_SOLUTION}"


def continuation_prompt(question: str, prefix: str) -> str:
    """The student's prompt with the first steps given: what a prefix rollout starts from.

    A prefix that does not end a line is closed with a newline.
    """
    if prefix and not prefix.endswith("\n"):
        prefix += "\n"
    return student_prompt(question) + prefix


def global_refiner_prompt(question: str, draft: str) -> str:
    """What the global refiner reads: question and draft; it rewrites the whole solution."""
    return f"Question: {normalise_question(question)}\nDraft:\n{draft.strip()}\n{_SOLUTION}"


def local_refiner_prompt(question: str, draft: str, first_error: int, corrected: str = "") -> str:
    """What the local refiner reads: question, marked draft, and the steps to keep.

    The prompt ends with the draft's text before the first error, and with the `corrected` step
    if there is one, so whatever is generated continues it. Raises IndexError when the draft has no
    such step.
    """
    marked = mark(draft, first_error).strip()
    prefix = prefix_before(draft, first_error)
    whole = normalise_question(question)
    return f"Question: {whole}\nDraft:\n{marked}\n{_SOLUTION}{prefix}{corrected}"
