"""Logs as JSON, one object per line, or as text for people, through the standard library.

A record's own fields go in `extra={"fields": {...}}`. No question, solution or header is ever put
there, but an engine's error may quote one: its first 200 characters are (`engine_log`). The
settings are once, without secrets (`glore.startup`). The message of an exception may
quote what a client sent, so unless the level is `debug` only its type and the places in the code
are written. Should a secret get into a line in spite of that (a client may put its key into the
path), it is struck out.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TextIO

from glore.keys import MADE_KEY
from glore.settings import LogFormat, LogLevel

LOGGER: Final = "glore"
_STRUCK: Final = "[secret]"
_SHORTEST: Final = 8  # characters; anything shorter could be a part of a word
_PLAIN: Final = re.compile(r"[\w./:@+-]+", re.ASCII)  # a value that needs no quotes


class JsonFormatter(logging.Formatter):
    """One line per record: time (UTC), level, logger, event, then the record's fields.

    `secrets` of 8 characters or more, and whatever looks like a key that `glore key` made, are
    struck out wherever they are.
    """

    def __init__(self, *, exception_messages: bool = False, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._exception_messages = exception_messages
        known = sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True)
        written = [re.escape(json.dumps(each)[1:-1]) for each in known]
        self._secret = re.compile("|".join([*written, MADE_KEY.pattern]))

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON in ASCII."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields: object = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update({key: value for key, value in fields.items() if key not in line})
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self._exception(record.exc_info[1])
        return self._secret.sub(_STRUCK, self._written(line))

    def _written(self, line: Mapping[str, object]) -> str:
        return json.dumps(line, default=str)

    def _exception(self, error: BaseException) -> dict[str, object]:
        described: dict[str, object] = {
            "type": type(error).__qualname__,
            "frames": [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)
            ],
        }
        if self._exception_messages:
            described["message"] = str(error)
        if isinstance(error, BaseExceptionGroup):
            described["group"] = [self._exception(inner) for inner in error.exceptions]
        if error.__cause__ is not None:
            described["cause"] = self._exception(error.__cause__)
        return described


class TextFormatter(JsonFormatter):
    """The same as a line for people: time of day (UTC), level, event, then `field=value`.

    A value that is no plain word or number is JSON. What the line has no room for, it leaves out:
    the date and the logger.
    """

    def _written(self, line: Mapping[str, object]) -> str:
        fields = dict(line)
        time, level = str(fields.pop("time"))[11:23], str(fields.pop("level"))
        fields.pop("logger")
        event = json.dumps(fields.pop("event"))[1:-1]
        pairs = (f"{name}={_shown(value)}" for name, value in fields.items() if value is not None)
        return " ".join((time, f"{level:<7}", event, *pairs))


def _shown(value: object) -> str:
    """A value of a field as one word."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _PLAIN.fullmatch(text) or not isinstance(value, str) else json.dumps(text)


_FORMATTERS: Final[Mapping[LogFormat, type[JsonFormatter]]] = MappingProxyType(
    {"json": JsonFormatter, "text": TextFormatter}
)


def configure_logs(
    level: LogLevel,
    stream: TextIO | None = None,
    *,
    written_as: LogFormat = "json",
    secrets: Collection[str] = (),
) -> None:
    """Send all of this process's logs to `stream` (stderr), a line for each. Call it once.

    `secrets` never get into a line.
    Uvicorn's own access log is silenced: the gateway writes one line per request itself.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = _FORMATTERS[written_as]
    handler.setFormatter(formatter(exception_messages=level == "debug", secrets=secrets))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(LOGGER).setLevel(level.upper())
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").disabled = True
