"""What a set of verifiers finds in a solution, whole or while it is written, whatever they do."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from glore.formats.steps import split_steps
from glore.formats.writing import OnText
from glore.verifiers.ports import Finding, Verifier

_LOG: Final = logging.getLogger("glore.verifiers")
_IN_LOOP: Final = 1000  # characters: longer solutions are checked in a thread
_GROWTH: Final = 1.25  # of a text between two checks, so that all of them are linear in its length


async def check_solution(
    verifiers: Sequence[Verifier], question: str, solution: str, finish_reason: str
) -> tuple[Finding, ...]:
    """`check` of a solution's steps; a last step that is cut off may end in part of a number."""
    steps = [step.text for step in split_steps(solution)]
    return await check(verifiers, question, steps[:-1] if finish_reason == "length" else steps)


async def check(
    verifiers: Sequence[Verifier], question: str, steps: Sequence[str]
) -> tuple[Finding, ...]:
    """All findings in the order of the text; other coroutines run while a long one is checked.

    A verifier that raises finds nothing, and a finding that points at nothing is left out; both
    are logged.
    """
    if sum(map(len, steps)) <= _IN_LOOP:
        return _check(verifiers, question, steps)
    return await asyncio.to_thread(_check, verifiers, question, steps)


@dataclass(slots=True)
class RefutedStepStop:
    """Ends a text at its first refuted step: an `OnText` of a generate call.

    The solution is `prefix` and what `read` makes of the text. It is checked at ends of lines,
    but no further than a thousand characters. `on_text` gets the pieces of what stands in `text`.
    """

    verifiers: Sequence[Verifier]
    question: str
    prefix: str
    read: Callable[[str], str]
    on_text: OnText | None = None
    text: str = field(default="", init=False)
    _checked: int = field(default=0, init=False)

    def __call__(self, piece: str) -> bool:
        """Take a piece. True: a step is refuted, and `text` ends with the last whole line."""
        lines = piece[: piece.rfind("\n") + 1]
        stops = bool(lines) and self._refuted(self.text + lines)
        given = lines if stops else piece
        self.text += given
        if self.on_text is not None:
            self.on_text(given)
        return stops

    def _refuted(self, text: str) -> bool:
        length = len(self.prefix) + len(text)
        if not _GROWTH * self._checked <= length <= _IN_LOOP:
            return False
        self._checked = length
        steps = [step.text for step in split_steps(self.prefix + self.read(text))]
        return bool(_check(self.verifiers, self.question, steps))


def _check(
    verifiers: Iterable[Verifier], question: str, steps: Sequence[str]
) -> tuple[Finding, ...]:
    found = [each for verifier in verifiers for each in _of(verifier, question, steps)]
    return tuple(sorted(found, key=lambda each: (each.step, each.start)))


def _of(verifier: Verifier, question: str, steps: Sequence[str]) -> list[Finding]:
    try:
        found = list(verifier.check(question, steps))
    except Exception as error:  # noqa: BLE001 - an answer does not fail for its check
        _LOG.warning("verifier failed", extra={"verifier": verifier.name, "error": repr(error)})
        return []
    kept = [each for each in found if _points_into(each, steps)]
    if len(kept) < len(found):
        _LOG.warning("findings outside of the steps", extra={"verifier": verifier.name})
    return kept


def _points_into(finding: Finding, steps: Sequence[str]) -> bool:
    if not 0 <= finding.step < len(steps):
        return False
    return 0 <= finding.start <= finding.end <= len(steps[finding.step])
