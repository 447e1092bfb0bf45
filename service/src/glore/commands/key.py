"""`glore key NAME` makes an API key; the other commands take theirs from the environment."""

import os
from collections.abc import Mapping
from typing import Final

from glore.commands.errors import WrongArgumentError
from glore.keys import Key, new_key

VARIABLE: Final = "GLORE_API_KEY"


def run_key(name: str) -> str:
    """What to print: a new key, and the line of it for the file. Raises WrongArgumentError."""
    key = new_key()
    try:
        line = Key.of(name, key).line
    except ValueError as error:
        raise WrongArgumentError(str(error)) from error
    return (
        f"The key, shown this once:         {key}\n"
        f"Its line in GLORE_API_KEYS_FILE:  {line}\n"
        "The gateway reads its file when it starts."
    )


def own_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The key that a command sends to the gateway: GLORE_API_KEY, None when it is not set.

    It is no option: what is on a command line is seen by others and kept in histories.
    """
    return environment.get(VARIABLE) or None
