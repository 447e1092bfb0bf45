"""JSON of clients, read at a bounded cost.

The time that Python's parser takes grows with the number of values, and the event loop stands
still meanwhile: 4 MiB of `[],[],...` take half a second. So a large text is read value by value.
"""

import json
import re
from collections.abc import Iterator
from typing import Final, NoReturn

from glore.api.problems import invalid_request
from glore.errors import FieldError

MAX_MEMBERS: Final = 200  # of an object

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_LONGEST_INTEGER: Final = 400  # digits: as many as a float can have


def _integer(digits: str) -> int:
    """An integer; the time that Python takes for one is quadratic in its length."""
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError
    return int(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_integer)


class JsonText:
    """A text that is read from its beginning; each value in it has at most `longest` characters.

    `at` is how far it has been read, `field` what the text is called where it is wrong. All methods
    raise InvalidRequestError.
    """

    def __init__(self, content: bytes, longest: int, field: str = "body") -> None:
        self.field = field
        self._longest = longest
        self.at = 0
        try:
            self._text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.fail("Not readable as UTF-8")

    def comes(self, token: str) -> bool:
        """Whether `token` comes next, after white space."""
        space = _SPACE.match(self._text, self.at)
        self.at = space.end() if space else self.at
        return self._text.startswith(token, self.at)

    def skip(self, token: str) -> None:
        """Read `token`, which has to come next."""
        if not self.comes(token):
            self.fail(f"Not valid JSON at character {self.at}: Expecting {token!r}")
        self.at += len(token)

    def items(self, opening: str, closing: str) -> Iterator[None]:
        """Read an array or an object; each step of the iteration reads one item."""
        self.skip(opening)
        more = not self.comes(closing)
        while more:
            yield
            more = not self.comes(closing)
            if more:
                self.skip(",")
        self.skip(closing)

    def value(self) -> object:
        """Read the value that comes next."""
        self.comes("")
        piece = self._text[self.at : self.at + self._longest + 1]
        try:
            value, length = _DECODER.raw_decode(piece)
        except json.JSONDecodeError as error:
            if len(piece) > self._longest:
                self._fail_as_too_long()
            at = self.at + error.pos
            self.fail(f"Not valid JSON at character {at}: {error.msg}")
        except (ValueError, RecursionError):  # a number of thousands of digits; too deep
            self.fail("Not readable as JSON")
        if length > self._longest:
            self._fail_as_too_long()
        self.at += length
        return value

    def end(self) -> None:
        """Nothing but white space may come any more."""
        self.comes("")
        if self.at < len(self._text):
            self.fail(f"Not valid JSON at character {self.at}: Extra data")

    def fail(self, message: str) -> NoReturn:
        """Raise the error that says so of `field`."""
        raise invalid_request([FieldError(self.field, message)])

    def _fail_as_too_long(self) -> NoReturn:
        self.fail(f"Not valid JSON, or a value of more than {self._longest} characters")


def check_size(value: object, most: int, field: str = "body") -> None:
    """Raises InvalidRequestError where JSON holds more than `most` values, nested ones included.

    It raises, too, for an object of more than MAX_MEMBERS: each could be an error of its own.
    """
    containers = [value]
    count = 1
    while containers:
        container = containers.pop()
        if not isinstance(container, list | dict):
            continue
        count += len(container)
        if count > most:
            raise invalid_request([FieldError(field, f"More than {most} values")])
        if isinstance(container, dict):
            if len(container) > MAX_MEMBERS:
                message = f"An object of more than {MAX_MEMBERS} members"
                raise invalid_request([FieldError(field, message)])
            container = container.values()
        containers += container
