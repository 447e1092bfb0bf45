"""`glore serve --check`: what a gateway is set to, and whether engines and store are there."""

import asyncio
from typing import Final

import typer
from fastapi import Response
from pydantic import SecretStr

from glore.api.health import readyz
from glore.app import create_app
from glore.batches.location import OFF
from glore.batches.opening import connect
from glore.batches.store import StoreFailedError
from glore.commands.environment import given_settings
from glore.commands.errors import CommandFailedError
from glore.commands.status import in_words
from glore.errors import ConfigurationError
from glore.settings import Settings
from glore.startup import described, exposed, lines
from glore.terminal import visible
from glore_client import Readiness

_OPENED: Final = "opened"


def run_check(*, host: str | None, port: int | None) -> None:
    """Print the settings, ask the engines, open the store; serve nothing.

    Raises WrongArgumentError for settings that are not valid, CommandFailedError where traces
    cannot be sent, typer.Exit with 1 when an engine is not ready or the store cannot be opened.
    """
    settings = given_settings(host=host, port=port)
    typer.echo(visible("\n".join(lines(described(settings)))))
    try:
        readiness, store = asyncio.run(_probe(settings))
    except ConfigurationError as error:
        raise CommandFailedError(str(error)) from error
    text = [*in_words(readiness, "The gateway"), f"  store: {store}"]
    if warning := exposed(settings.host, len(settings.keyring.keys)):
        text.append(f"  warning: {warning}")
    typer.echo(visible("\n".join(["", *text])))
    if not readiness.ready or store not in (_OPENED, OFF):
        raise typer.Exit(1)


async def _probe(settings: Settings) -> tuple[Readiness, str]:
    """What /readyz would say, and what came of opening the store."""
    app = create_app(settings.model_copy(update={"store": SecretStr(OFF)}))
    async with app.router.lifespan_context(app):
        ready = await readyz(Response(), app.state.context)
    readiness = Readiness.model_validate(ready.model_dump(mode="json"))
    location = settings.store.get_secret_value() if settings.store else None
    try:
        async with connect(location) as store:
            return readiness, OFF if store is None else _OPENED
    except StoreFailedError as error:
        return readiness, str(error)
