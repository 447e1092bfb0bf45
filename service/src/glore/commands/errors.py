"""What ends a command: one line on standard error, and a status.

```
typer.TyperException
├── CommandFailedError      1: it could not be done
├── WrongArgumentError      2: the command line is wrong
└── TryLaterError           3: it could not be done now; the same may work later
```

`glore status` ends with 0 when the gateway is ready, 3 when it answers without one of its engines,
1 when it is not ready or cannot be reached. `glore serve --check` ends with 1 in all but the first
case. An interrupt (Ctrl-C) ends `glore ask` with 130, as shells have it.
"""

import os
from typing import Final

import typer

from glore import installation
from glore_client import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    GatewayTimeout,
    GloreError,
    RateLimited,
    ServiceUnavailable,
    UnprocessableEntity,
)

DEGRADED: Final = 3
INTERRUPTED: Final = 130


class CommandFailedError(typer.TyperException):
    """The command could not be carried out."""

    exit_code = 1


class WrongArgumentError(typer.TyperException):
    """An argument is wrong in a way that the option parser could not see."""

    exit_code = 2


class TryLaterError(typer.TyperException):
    """The gateway is there and could not do it now: busy, over the rate, or out of time."""

    exit_code = 3


def from_gateway(error: GloreError, url: str) -> typer.TyperException:
    """What to tell about a call to the gateway at `url` that gave no result."""
    if isinstance(error, UnprocessableEntity):
        return WrongArgumentError(f"the gateway refused the question: {error.message}")
    if isinstance(error, AuthenticationError):
        sent = bool(os.environ.get("GLORE_API_KEY"))
        wrong = "does not know the API key in GLORE_API_KEY"
        return CommandFailedError(
            f"{url} {wrong if sent else 'asks for an API key; set GLORE_API_KEY to yours'}"
        )
    if isinstance(error, APITimeoutError):
        return TryLaterError(f"{url} did not answer: {error.message}")
    if isinstance(error, APIConnectionError):
        return CommandFailedError(
            f"no answer from {url} ({error.message}); "
            f"`{installation.starting()}` starts a gateway, --url names another"
        )
    message = f"{url} gave no result: {error.message} (request {error.request_id})"
    if isinstance(error, RateLimited | ServiceUnavailable | GatewayTimeout):
        return TryLaterError(message)
    return CommandFailedError(message)
