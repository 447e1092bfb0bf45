"""API keys: how one is made, what is stored of it, and whose a key is.

A key is `glore_` and 256 random bits (`glore key NAME`). Only its SHA-256 is stored, one line
`NAME:DIGEST` each, in the file of GLORE_API_KEYS_FILE. A plain SHA-256 is enough, unlike for a
password: salt and slowness protect what can be guessed, and nobody guesses 256 random bits. A
slow hash would only let anyone spend the gateway's time with wrong keys.
"""

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

PREFIX: Final = "glore_"
SHORTEST_KEY: Final = 32  # characters of a key given in the environment
# What `glore key` makes, for tools that look for one in a text.
MADE_KEY: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_KEY: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Key:
    """The name of a client, and the SHA-256 of its key in hex."""

    name: str
    digest: str = field(repr=False)

    @classmethod
    def of(cls, name: str, key: str) -> Self:
        """What is stored of a key. Raises ValueError for a name that is none."""
        return cls(checked_name(name), digest_of(key.encode()))

    @property
    def line(self) -> str:
        """The key's line for the file."""
        return f"{self.name}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that open the gateway. Raises ValueError when two have one name or are the same."""

    keys: tuple[Key, ...] = ()

    def __post_init__(self) -> None:
        names = [key.name for key in self.keys]
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            message = f"two keys are named {twice[0]}"
            raise ValueError(message)
        if len({key.digest for key in self.keys}) < len(names):
            message = "two names have the same key"
            raise ValueError(message)

    def __bool__(self) -> bool:
        """Whether there is any key, so that one is asked for."""
        return bool(self.keys)

    @property
    def names(self) -> tuple[str, ...]:
        """Whose keys these are."""
        return tuple(key.name for key in self.keys)

    def name_of(self, presented: bytes) -> str | None:
        """Whose key this is, or None.

        Takes the same time whether it is the first key, the last or none: each is compared, by
        its digest, and none ends the search.
        """
        digest = digest_of(presented)
        found: str | None = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key.name
        return found


def new_key() -> str:
    """A key nobody has seen."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(key: bytes) -> str:
    """The SHA-256 of a key in hex."""
    return hashlib.sha256(key).hexdigest()


def checked_name(name: str) -> str:
    """A name as it is. Raises ValueError unless it can stand in the file and in a log."""
    if not _NAME.fullmatch(name):
        message = "a key's name is 1 to 64 letters, digits, dots, hyphens or underscores"
        raise ValueError(message)
    return name


def read_lines(lines: Iterable[str]) -> tuple[Key, ...]:
    """The keys of a file: `NAME:DIGEST` lines, empty lines and `#` comments.

    Raises ValueError, naming the line and not what is in it: it may be a key.
    """
    keys = []
    for number, line in enumerate(lines, start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        name, _, digest = (part.strip() for part in content.partition(":"))
        if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
            message = f"line {number} is not NAME:SHA256 as `glore key NAME` prints it"
            raise ValueError(message)
        keys.append(Key(name, digest))
    return tuple(keys)


def read_file(file: Path) -> tuple[Key, ...]:
    """The keys in the file. Raises ValueError, which quotes nothing of it."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        message = f"{file.name} cannot be read"
        raise ValueError(message) from None
    try:
        return read_lines(lines)
    except ValueError as error:
        message = f"{file.name}: {error}"
        raise ValueError(message) from None


def read_list(text: str) -> tuple[Key, ...]:
    """The keys of GLORE_API_KEYS: `NAME:KEY` or `KEY`, separated by commas.

    A key without a name is called by its number, `key-1` and so on. Raises ValueError, naming
    the number and not the key.
    """
    keys = []
    for number, item in enumerate(_items(text), start=1):
        name, colon, key = item.partition(":")
        if not colon:
            name, key = f"key-{number}", item
        if not _NAME.fullmatch(name) or not _KEY.fullmatch(key) or len(key) < SHORTEST_KEY:
            message = (
                f"item {number} is not KEY or NAME:KEY with a key of {SHORTEST_KEY} letters and "
                "digits or more; `glore key NAME` makes one"
            )
            raise ValueError(message)
        keys.append(Key.of(name, key))
    return tuple(keys)


def plain_keys(text: str) -> tuple[str, ...]:
    """The keys themselves of GLORE_API_KEYS, for what must keep them out of a text."""
    return tuple(item.rpartition(":")[2] for item in _items(text))


def _items(text: str) -> Sequence[str]:
    return [item for item in (part.strip() for part in text.split(",")) if item]
