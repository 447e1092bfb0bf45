"""What a set of verifiers finds in one solution, whatever they do."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from glore.formats.steps import split_steps
from glore.verifiers.ports import Finding, Verifier

_LOG: Final = logging.getLogger("glore.verifiers")
_IN_LOOP: Final = 1000  # characters: longer solutions are checked in a thread


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
