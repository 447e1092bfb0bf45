"""How `GLORE_STORE` names a store."""

from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

OFF: Final = "off"
SQLITE: Final = "sqlite:///"


def is_location(text: str) -> bool:
    """Whether this names a store: `off`, `sqlite:///PATH` or `postgresql://...`."""
    if text.startswith(SQLITE):
        return len(text) > len(SQLITE)
    return text == OFF or text.startswith(("postgresql://", "postgres://"))


def kind_of(location: str | None) -> str:
    """Which store it is; None is the default place. Of a URL nothing else is without risk."""
    if location is None:
        return "sqlite, in the user's state folder"
    if location.startswith(SQLITE):
        return f"sqlite, {location.removeprefix(SQLITE)}"
    return OFF if location == OFF else "postgresql"


def password_of(location: str) -> tuple[str, ...]:
    """The password in it, as it is written and as it is meant; nothing where there is none."""
    try:
        parts = urlsplit(location)
        found = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:  # no URL in its parts; the driver will say so
        return ()
    return tuple(dict.fromkeys(form for each in found if each for form in (each, unquote(each))))
