"""What the commands make of the environment variables GLORE_...

A command that starts something is refused when one is unknown: it would run with other settings
than its owner believes. A client command goes on, for what is wrong may be a server's, and says so.
"""

import typer

from glore.commands.errors import WrongArgumentError
from glore.errors import ConfigurationError
from glore.settings import Settings, load_settings, wrong_variables


def given_settings(*, host: str | None = None, port: int | None = None) -> Settings:
    """The settings of a gateway; what is given goes before the environment.

    Raises WrongArgumentError, which names what is wrong.
    """
    given = {"host": host, "port": port}
    try:
        settings = load_settings()
    except ConfigurationError as error:
        raise WrongArgumentError("; ".join(str(error).splitlines())) from error
    return settings.model_copy(update={k: v for k, v in given.items() if v is not None})


def refuse_unknown() -> None:
    """Raises WrongArgumentError when a variable is unknown."""
    if wrong := wrong_variables():
        raise WrongArgumentError("; ".join(wrong))


def warn_of_unknown() -> None:
    """A line on standard error for each variable that is unknown."""
    for line in wrong_variables():
        typer.echo(f"glore: {line}", err=True)
