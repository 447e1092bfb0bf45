"""Whatever a verifier does, it neither fails an answer nor holds it up."""

import threading
from collections.abc import Sequence

import pytest

from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.checking import check
from glore.verifiers.ports import Finding

STEPS = ["3 * 4 = 13", "#### 13"]


class Fake:
    """Finds what it is given, or raises it; `threads` are those it ran in."""

    name = "fake"

    def __init__(self, found: Sequence[Finding] | Exception) -> None:
        self.found = found
        self.threads: list[str] = []

    def check(self, question: str, steps: Sequence[str]) -> tuple[Finding, ...]:
        self.threads.append(threading.current_thread().name)
        if isinstance(self.found, Exception):
            raise self.found
        return tuple(self.found)


def finding(step: int, start: int, end: int) -> Finding:
    return Finding("fake", step, start, end, claimed="", expected="")


async def test_findings_of_all_verifiers_come_in_the_order_of_the_text() -> None:
    found = await check((Fake([finding(1, 0, 4)]), Arithmetic()), "", STEPS)
    assert [(each.verifier, each.step) for each in found] == [("arithmetic", 0), ("fake", 1)]


@pytest.mark.parametrize(
    "wrong", [finding(2, 0, 0), finding(-1, 0, 0), finding(1, 0, 8), finding(1, 3, 2)]
)
async def test_findings_that_point_at_nothing_are_left_out(
    wrong: Finding, caplog: pytest.LogCaptureFixture
) -> None:
    assert await check((Fake([wrong, finding(1, 5, 7)]),), "", STEPS) == (finding(1, 5, 7),)
    assert [record.message for record in caplog.records] == ["findings outside of the steps"]


async def test_a_verifier_that_raises_finds_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = await check((Fake(ValueError("no unit")), Arithmetic()), "", STEPS)
    assert [each.verifier for each in found] == ["arithmetic"]
    (record,) = caplog.records
    assert (record.message, vars(record)["verifier"]) == ("verifier failed", "fake")
    assert "no unit" in vars(record)["error"]


@pytest.mark.parametrize(("length", "in_loop"), [(1000, True), (1001, False)])
async def test_long_solutions_are_checked_in_a_thread(length: int, in_loop: bool) -> None:
    fake = Fake([])
    await check((fake,), "", ["x" * length])
    assert (fake.threads == [threading.current_thread().name]) is in_loop
