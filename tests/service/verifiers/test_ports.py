"""The port, and what other code asks of findings."""

from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.ports import Finding, Verifier, first_refuted_step


def finding(step: int) -> Finding:
    return Finding("spelling", step, 0, 3, "teh", "the")


def test_the_first_refuted_step_is_that_of_the_earliest_finding() -> None:
    findings = [finding(4), finding(1), finding(4)]
    assert first_refuted_step(findings) == 1


def test_without_findings_no_step_is_refuted() -> None:
    assert first_refuted_step(()) is None


def test_arithmetic_fills_the_port() -> None:
    verifier: Verifier = Arithmetic()
    assert verifier.name == "arithmetic"
    assert verifier.check("", []) == verifier.check("", [""]) == ()
