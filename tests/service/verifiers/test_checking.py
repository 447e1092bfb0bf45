"""Whatever a verifier does, it neither fails an answer nor holds it up."""

import threading
import time
from collections.abc import Sequence

import pytest

from glore.formats.chat import ChatPrompts
from glore.verifiers.arithmetic import Arithmetic
from glore.verifiers.checking import RefutedStepStop, check
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


def stopped_at(stop: RefutedStepStop, *pieces: str) -> int | None:
    """The index of the piece with which the text was ended."""
    return next((index for index, piece in enumerate(pieces) if stop(piece)), None)


def test_a_text_ends_with_the_line_of_its_first_refuted_step() -> None:
    given: list[str] = []
    stop = RefutedStepStop((Arithmetic(),), "", "", str.strip, given.append)
    assert stopped_at(stop, "2 + 2 = 4", "\n3 * 4", " = 13\nSo 13", " + 1 = 14\n") == 2
    assert stop.text == "".join(given) == "2 + 2 = 4\n3 * 4 = 13\n"


def test_a_line_is_read_when_it_has_ended() -> None:
    """`= 1` may become `= 12`."""
    stop = RefutedStepStop((Arithmetic(),), "", "", str.strip)
    assert stopped_at(stop, "3 * 4 = 1", "2\n", "12 + 1 = 1", "4") is None
    assert stop.text == "3 * 4 = 12\n12 + 1 = 14"


def test_what_stands_before_a_text_is_read_with_it() -> None:
    seen = Fake([])
    stop = RefutedStepStop((seen, Arithmetic()), "", "Tom has 3 bags.\n", str.strip)
    assert stopped_at(stop, "3 * 4 = 13\n") == 0
    assert stop.text == "3 * 4 = 13\n"


def test_a_text_without_a_false_step_goes_on() -> None:
    given: list[str] = []
    pieces = ["3 * 4 = 12\n", "12 + 1 = 13\n", "#### 13"]
    stop = RefutedStepStop((Arithmetic(),), "", "", str.strip, given.append)
    assert stopped_at(stop, *pieces) is None
    assert given == pieces


def test_a_long_text_is_not_checked_while_it_is_written() -> None:
    seen = Fake([finding(0, 0, 1)])
    stop = RefutedStepStop((seen,), "", "x" * 991 + "\n", str.strip)
    assert stopped_at(stop, "y" * 9 + "\n", "z\n", *["1 + 1 = 3\n"] * 20) is None
    assert seen.threads == []


def test_all_checks_of_a_text_together_are_linear_in_it() -> None:
    read: list[int] = []

    class Counting(Fake):
        def check(self, question: str, steps: Sequence[str]) -> tuple[Finding, ...]:
            read.append(sum(map(len, steps)))
            return super().check(question, steps)

    stop = RefutedStepStop((Counting([]),), "", "", str.strip)
    assert stopped_at(stop, *["a\n"] * 500) is None
    assert 10 < len(read) < 40
    assert sum(read) < 5 * 1000


def test_a_flood_of_lines_holds_nobody_up() -> None:
    stop = RefutedStepStop((Arithmetic(),), "", "", ChatPrompts().read)
    started = time.process_time()
    assert stopped_at(stop, *["1+1=2\n\n"] * 20_000) is None
    assert time.process_time() - started < 0.5
