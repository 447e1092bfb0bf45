"""`glore serve`: the gateway on a socket of its own, without engines."""

import asyncio
import errno
import os
import signal
import socket
from contextlib import suppress

from glore.api.draining import Drain
from glore.app import check_store, create_app
from glore.commands.environment import given_settings
from glore.commands.errors import CommandFailedError
from glore.commands.server import GatewayServer
from glore.errors import ConfigurationError
from glore.startup import log_exposure, log_settings
from glore.telemetry.logs import configure_logs
from glore.telemetry.tracing import open_tracing

_BACKLOG = 2048


def run_serve(*, host: str | None, port: int | None) -> None:
    """Serve until SIGTERM or SIGINT; what is given goes before the settings.

    Raises WrongArgumentError for settings that are not valid, CommandFailedError when it
    cannot start.
    """
    settings = given_settings(host=host, port=port)
    with bind(settings.host, settings.port) as listener:
        try:
            if settings.store is not None:  # the default one fails without an error
                asyncio.run(check_store(settings))  # uvicorn would print a traceback
            tracing = open_tracing(settings)
        except ConfigurationError as error:
            raise CommandFailedError(str(error)) from error
        configure_logs(settings.log_level, written_as=settings.log_format, secrets=settings.secrets)
        log_settings(settings)
        log_exposure(settings)
        drain = Drain()
        app = create_app(settings, drain=drain, tracing=tracing)
        app.openapi()  # takes a fifth of a second, for which no request should hold all others up
        server = GatewayServer(
            app,
            drain,
            delay=settings.drain_delay,
            grace=settings.grace,
            head_timeout=settings.head_timeout,
            keep_alive=settings.keep_alive,
        )
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn's own goes before, and returns
        with suppress(KeyboardInterrupt):  # raised again by uvicorn once it has stopped
            server.run(sockets=[listener])
    if not server.started:
        message = "the gateway did not start; the log above says why"
        raise CommandFailedError(message)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; the port is taken before anything else starts.

    Raises CommandFailedError when the address is in use, not this machine's or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {_reason(error)}"
        raise CommandFailedError(message) from error
    return listener


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; stop what uses it, or choose another with --port"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
