"""The port of the verifiers, and what they find."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim in a solution that is certainly false.

    `steps[step][start:end]` is the claim as the text has it, as `claimed` has; offsets are in
    characters. `expected` is what is right: an integer, a decimal or a fraction, `expression`
    what it is the value of.
    """

    verifier: str
    step: int
    start: int
    end: int
    claimed: str
    expected: str
    expression: str = ""


class Verifier(Protocol):
    """Checks the steps of a solution without a model.

    An implementation reads nothing but its arguments and takes time linear in their length.
    It reports only what is certain: a false alarm costs more than a miss.
    """

    @property
    def name(self) -> str:
        """What settings, metrics and findings call it."""
        ...

    def check(self, question: str, steps: Sequence[str]) -> tuple[Finding, ...]:
        """What is false in `steps`, in the order of the text."""
        ...


def first_refuted_step(findings: Iterable[Finding]) -> int | None:
    """The index of the first step that holds a finding, or None."""
    return min((finding.step for finding in findings), default=None)
