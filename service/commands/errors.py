"""What ends a command: one line on standard error, and a status.

```
typer.TyperException
├── CommandFailedError      1: it could not be done
└── WrongArgumentError      2: it was not asked rightly
```
"""

import typer

from glore_client import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    GloreError,
    UnprocessableEntity,
)


class CommandFailedError(typer.TyperException):
    """What was asked could not be done."""

    exit_code = 1


class WrongArgumentError(typer.TyperException):
    """An argument is wrong in a way that the option parser could not see."""

    exit_code = 2


def from_gateway(error: GloreError, url: str) -> typer.TyperException:
    """What to tell about a call to the gateway at `url` that gave no result."""
    if isinstance(error, UnprocessableEntity):
        return WrongArgumentError(f"the gateway refused the question: {error}")
    if isinstance(error, AuthenticationError):
        return CommandFailedError(f"{url} asks for an API key; set GLORE_API_KEY to yours")
    if isinstance(error, APITimeoutError):
        return CommandFailedError(f"{url} did not answer: {error}")
    if isinstance(error, APIConnectionError):
        return CommandFailedError(
            f"nothing answers at {url} ({error}); start it with `glore up`, or name it by --url"
        )
    return CommandFailedError(f"{url} gave no result: {error} (request {error.request_id})")
