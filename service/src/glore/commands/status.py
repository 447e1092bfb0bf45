"""`glore status`: what a gateway's /readyz says, in words, and what to do about it."""

from collections.abc import Iterator
from typing import Final

import typer

from glore.commands.errors import DEGRADED, CommandFailedError, WrongArgumentError, from_gateway
from glore.commands.key import own_key
from glore.terminal import visible
from glore_client import Client, GloreError, Readiness

_HEADS: Final = {
    "ready": "is ready",
    "degraded": "answers, without what is missing below",
    "not_ready": "is not ready",
    "stopping": "is stopping: it takes no more questions",
}
_STATES: Final = {
    "ready": "ready",
    "unreachable": "nothing answers; start it, or set {setting}__URL to its address",
    "unresponsive": "it does not answer in time; its log may say why",
    "starting": "it is loading its model; wait",
    "failed": "it answers as no healthy engine would; look at its log, and at {setting}__URL",
    "unauthorized": "it refuses the gateway's key; set {setting}__API_KEY",
    "missing_models": "it does not serve {missing}; start it with that name, or set "
    "GLORE_MODELS__<ROLE> to a name that it serves",
    "misfit": "it does not fit its roles: {problem}; docs/guides/own-models.md says what they need",
}
_CIRCUITS: Final = {
    "open": "its calls failed; none is made until a trial succeeds",
    "half_open": "its calls failed; a trial is being made",
}
_SHARED: Final = ("generation", "scoring")  # engines of several roles; others are named by theirs


def run_status(url: str) -> None:
    """Print what the gateway at `url` says of itself.

    Raises CommandFailedError when it cannot be reached, WrongArgumentError for a URL that is none,
    typer.Exit with 1 when it is not ready and with `DEGRADED` when it answers without an engine.
    """
    try:
        with Client(url, api_key=own_key()) as client:
            readiness = client.ready()
    except GloreError as error:
        raise CommandFailedError(from_gateway(error, url).format_message()) from error
    except ValueError as error:  # not a URL, not a key
        raise WrongArgumentError(str(error)) from error
    typer.echo(visible("\n".join(in_words(readiness, url))))
    if not readiness.ready:
        raise typer.Exit(DEGRADED if readiness.degraded else 1)


def in_words(readiness: Readiness, name: str) -> Iterator[str]:
    """What /readyz says of the gateway of this name, a line for each engine and broken circuit."""
    yield f"{name} {_HEADS.get(readiness.status, readiness.status)}"
    for engine, state in readiness.engines.items():
        yield f"  {engine}: {_state(readiness, engine, state)}"
    for role, circuit in (readiness.circuits or {}).items():
        yield f"  {role}: {_CIRCUITS.get(circuit, circuit)}"


def _state(readiness: Readiness, engine: str, state: str) -> str:
    if state not in _STATES:  # of a later version
        return state
    level = "" if engine in _SHARED else "ENGINES__"
    return _STATES[state].format(
        setting=f"GLORE_{level}{engine.upper()}",
        missing=", ".join((readiness.missing_models or {}).get(engine, ())) or "its models",
        problem=(readiness.problems or {}).get(engine, "no reason is given"),
    )
