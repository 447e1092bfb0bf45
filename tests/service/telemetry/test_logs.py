import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from glore.keys import new_key
from glore.telemetry.logs import JsonFormatter, configure_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A place for logs; puts the process's logging back afterwards."""
    names = ("glore", "uvicorn.error", "uvicorn.access")
    root = logging.getLogger()
    before = root.handlers[:], root.level
    others = {
        name: (logging.getLogger(name).level, logging.getLogger(name).disabled) for name in names
    }
    yield io.StringIO()
    root.handlers[:], level = before
    root.setLevel(level)
    for name, (own_level, disabled) in others.items():
        logging.getLogger(name).setLevel(own_level)
        logging.getLogger(name).disabled = disabled


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_record_is_one_line_of_json(stream: io.StringIO) -> None:
    configure_logs("info", stream)
    log = logging.getLogger("glore.access")
    log.info("two\nlines ä", extra={"fields": {"status": 200, "level": "mine", "odd": {1}}})
    (line,) = lines(stream)
    assert line["event"] == "two\nlines ä"
    assert line["level"] == "info"  # a field cannot take the place of the record's own
    assert line["status"] == 200
    assert line["odd"] == "{1}"
    assert line["time"].endswith("+00:00")


def test_levels_hold(stream: io.StringIO) -> None:
    configure_logs("warning", stream)
    logging.getLogger("glore").info("no")
    logging.getLogger("other").info("no")
    logging.getLogger("uvicorn.access").info("no")
    logging.getLogger("glore").warning("yes")
    logging.getLogger("uvicorn.error").info("started")
    assert [line["event"] for line in lines(stream)] == ["yes", "started"]


def test_configuring_again_does_not_double_lines(stream: io.StringIO) -> None:
    configure_logs("info", io.StringIO())
    configure_logs("info", stream)
    logging.getLogger("glore").info("once")
    assert len(lines(stream)) == 1


def test_secrets_are_struck_out_wherever_they_are(stream: io.StringIO) -> None:
    created, ours = new_key(), 'a "quoted\\" sécret'
    configure_logs("debug", stream, secrets=[ours, ours + "-longer", "short"])
    fields = {"path": f"/solve/{created}", "list": [ours], "n": 1, "key": "short-lived"}
    error = RuntimeError(f"{ours}-longer {created}")
    logging.getLogger("glore").error("no %s", ours, exc_info=error, extra={"fields": fields})
    (line,) = lines(stream)
    assert (line["event"], line["path"], line["list"]) == (
        "no [secret]",
        "/solve/[secret]",
        ["[secret]"],
    )
    assert line["exception"]["message"] == "[secret] [secret]"
    assert line["key"] == "short-lived"


def fail() -> None:
    cause = KeyError("the question")
    raise ExceptionGroup("the question", [ValueError("the question")]) from cause  # noqa: EM101, TRY003


def failed() -> BaseException:
    try:
        fail()
    except ExceptionGroup as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("messages", [False, True])
def test_an_exception_shows_its_messages_only_when_ordered_to(*, messages: bool) -> None:
    error = failed()
    record = logging.LogRecord("x", logging.ERROR, "", 0, "e", None, (type(error), error, None))
    line = JsonFormatter(exception_messages=messages).format(record)
    assert ("the question" in line) is messages
    exception = json.loads(line)["exception"]
    assert exception["type"] == "ExceptionGroup"
    assert exception["group"][0]["type"] == "ValueError"
    assert exception["cause"]["type"] == "KeyError"
    assert exception["frames"][0].endswith(" failed")


def test_text_is_for_people(stream: io.StringIO) -> None:
    configure_logs("info", stream, written_as="text")
    fields = {"status": 200, "path": "/solve", "seconds": 0.25, "problem": None, "odd": "a b"}
    logging.getLogger("glore.access").info("two\nlines", extra={"fields": fields})
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} info    two\\nlines status=200 path=/solve seconds=0\.25 "
        r'odd="a b"',
        line,
    )


def test_text_holds_no_secret_and_one_line_for_an_exception(stream: io.StringIO) -> None:
    ours, odd = new_key(), 'quoted"and\\slashed'
    configure_logs("debug", stream, written_as="text", secrets=[ours, odd])
    message = f"{ours}\n{odd}"
    try:
        raise ValueError(message)  # noqa: TRY301 - it is logged as one that was caught
    except ValueError:
        logging.getLogger("glore").exception(ours, extra={"fields": {"key": ours, "odd": odd}})
    (line,) = stream.getvalue().splitlines()
    assert ours not in line
    assert "quoted" not in line
    assert line.count("[secret]") == 5
    assert "ValueError" in line
