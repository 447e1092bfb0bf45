"""What reads text of models, users or data files takes time in proportion to its length.

A request or a file of 100,000 characters must not hold the process: 100 ms of CPU at most. Short
texts are tried first, because what is cubic would take an hour with long ones; the slowest of
each kind are tried at full length. That makes a few seconds for some hundred thousand texts.
"""

import gc
import heapq
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from logging import makeLogRecord
from typing import Any

import pytest

from glore.engines.sse import EventReader, EventTooLongError
from glore.formats.answers import parse_answer, plain_number, stated_answer
from glore.formats.chat import ChatPrompts
from glore.formats.critique import mark
from glore.formats.math_shepherd import MathShepherdScores
from glore.formats.qwen_prm import QwenPrmScores
from glore.formats.steps import prefix_before, split_steps
from glore.formats.typography import plain_text
from glore.formats.writing import TrainedPrompts
from glore.keys import Key, Keyring, read_lines, read_list
from glore.telemetry.logs import JsonFormatter
from glore_client.ndjson import LineParser
from glore_client.sse import EventParser
from glore_models.data.labels import step_result
from glore_models.data.problems import Problem, largest_number, make_problem, split_of
from loadtest.simulation.writing import tokens
from tests.patterns import PACKAGES, ROOT, Found, Pumped, alone, compiled, pieces_of, pumped

LONGEST = 100_000
PER_CHARACTER = 1e-6  # seconds: 100 ms for the longest
PER_CHARACTER_IN_PYTHON = 1e-5  # of a loop in Python, on a busy machine
LEAST = 0.002  # seconds: below, the clock says nothing
SIZES = (24, 200, 1_000, 20_000, LONGEST)  # of the last two the slowest texts alone
SLOWEST = 3

MADE_AT_RUN_TIME: dict[str, Callable[[], re.Pattern[str]]] = {
    "glore/telemetry/logs.py": lambda: JsonFormatter(secrets=["hunter2hunter2"])._secret,
}
# patterns that need not be linear, by file, each with the reason
EXCEPTIONS = {
    "loadtest/raw_engine.py": {r"\s*\S|\S+?"},  # reads a constant beside it
}
PATTERNS = [
    found
    for found in compiled(MADE_AT_RUN_TIME)
    if found.pattern.pattern not in EXCEPTIONS.get(found.where.partition(":")[0], set())
]


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    """Garbage collection looks at all that other tests left, and its time would be counted."""
    gc.disable()
    yield
    gc.enable()


def seconds(work: Callable[[], object], limit: float) -> float:
    """CPU seconds of the work; of up to three tries the shortest, if one is beyond the limit."""
    shortest = float("inf")
    for _ in range(3):
        started = time.process_time()
        work()
        shortest = min(shortest, time.process_time() - started)
        if shortest <= limit or shortest > 0.3:
            break
    return shortest


def check_linear(work: Callable[[str], object], kinds: Iterable[Pumped], rate: float) -> None:
    for size in SIZES:
        limit = max(LEAST, size * rate)
        taken: list[tuple[float, int, Pumped]] = []
        for index, kind in enumerate(kinds):
            text = kind.of(size)
            took = seconds(partial(work, text), limit)
            assert took <= limit, f"{took:.3f} s for {len(text)} characters, {kind}"
            taken.append((took, index, kind))
        if size >= SIZES[2]:
            kinds = [kind for _, _, kind in heapq.nlargest(SLOWEST, taken)]


@pytest.mark.parametrize("found", PATTERNS, ids=lambda found: found.where)
def test_every_pattern_is_linear(found: Found) -> None:
    pattern: re.Pattern[Any] = found.pattern
    of_bytes = isinstance(pattern.pattern, bytes)

    def work(text: str) -> None:
        given: Any = text.encode() if of_bytes else text
        for method in found.methods:
            if method in {"sub", "subn"}:
                getattr(pattern, method)(b"" if of_bytes else "", given)
            elif method == "finditer":
                sum(1 for _ in pattern.finditer(given))
            else:
                getattr(pattern, method)(given)

    alternatives = 1 + pattern.groups // 8  # a lexer tries its rules one after the other
    check_linear(work, pumped(pieces_of(pattern)), alternatives * PER_CHARACTER)


def test_patterns_of_pydantic_run_in_its_linear_engine() -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert not [path for path in sources if "python-re" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\s*\n\s*(\\\[.*?\\\]|\$\$.*?\$\$)",  # cubic
        r"<<[^>]*>>",
        r"[\w.]*(Error|Exception)\b.*:",
        r"(\d+) \+ (\d+) = (\d+)",
        r" *=",
        r"a?,*b",
        rb" +\r\n",
    ],
)
def test_the_texts_are_slow_for_patterns_that_are_not_linear(pattern: Any) -> None:
    compiled_ = re.compile(pattern, re.DOTALL)
    with pytest.raises(AssertionError, match="characters"):
        test_every_pattern_is_linear(Found("here", compiled_, frozenset({"search"})))


PIECES = (
    *("####", "#### ", "####\n", "#### Step\n", "\\boxed{", "\\boxed ", "\\text{", "{,}", "^{2}"),
    *("\n\n", "\n$$", "$$", "\n\\[", "\\]", "**", "**a", "a** ", "**a** ", "1,", "1,111", "1 "),
    *("word ", "mid-size ", "one ", "(one) ", "and ", "/h ", "a.m. ", "Step 1\n", "[BAD] ", "<<1"),
    *("<|", "<|a|>", "answer: ", "- ", "data: x\n", "data: x\n\n", ": ", "x:y,", '"}\n', "\r\n"),
)
SHAPES = [
    *alone(PIECES),
    *(
        Pumped(begin, piece, "")
        for begin in ("#### ", "#### 1 ", "#### 1\n", "\\boxed{", "1 \\boxed{1} ", "\n$$")
        for piece in PIECES
    ),
]


def read_all(reader: EventReader, text: str) -> None:
    with suppress(EventTooLongError):
        for piece in (text.encode(), b"\n"):
            sum(1 for _ in reader.feed(piece))


def in_pieces(feed: Callable[[bytes], object], text: str) -> None:
    given = text.encode()
    for begin in range(0, len(given), 100):
        feed(given[begin : begin + 100])


def refused(read: Callable[[str], object], text: str) -> None:
    with suppress(ValueError):
        read(text)


def marked(text: str) -> None:
    if text.strip():
        mark(text, 0)
        CHAT.local_refiner(text, text, 0)


CHAT = ChatPrompts()
FORMATTER = JsonFormatter(secrets=["hunter2hunter2"])
READERS: dict[str, Callable[[str], object]] = {
    "parse_answer": parse_answer,
    "stated_answer": stated_answer,
    "plain_number": plain_number,
    "plain_text": plain_text,
    "split_steps": split_steps,
    "prefix_before": lambda text: prefix_before(text, len(split_steps(text)) // 2),
    "mark": marked,
    "ChatPrompts.read": CHAT.read,
    "TrainedPrompts": TrainedPrompts().student,
    "MathShepherdScores": lambda text: MathShepherdScores().encode(text, [text]),
    "QwenPrmScores": lambda text: QwenPrmScores().encode(text, [text]),
    "make_problem": lambda text: make_problem(id_="", question=text, solution=text, source=""),
    "largest_number": lambda text: largest_number(Problem("", text, "", "", "")),
    "split_of": split_of,
    "step_result": step_result,
    "log line": lambda text: FORMATTER.format(makeLogRecord({"msg": text})),
    "engine's events": lambda text: read_all(EventReader(2 * LONGEST), text),
    "SDK's events": lambda text: in_pieces(EventParser().feed, text),
    "SDK's lines": lambda text: in_pieces(LineParser().feed, text),
    "keys in a file": partial(refused, lambda text: read_lines(text.split("\n"))),
    "keys in the environment": partial(refused, read_list),
    "simulated tokens": tokens,
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_is_linear(reader: str) -> None:
    check_linear(READERS[reader], SHAPES, PER_CHARACTER_IN_PYTHON)


def test_many_keys_are_compared_once() -> None:
    keys = tuple(Key(f"key-{index}", f"{index:064x}") for index in range(20_000))
    assert seconds(lambda: Keyring(keys), 0.1) < 0.1
