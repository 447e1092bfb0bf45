"""`glore up`: everything on this machine, from an empty cache to a service that answers.

Checks, cache, engines, gateway, in this order, each stage visible. Whatever ends this process,
a Ctrl-C, an error or SIGKILL, what it started ends with it (see `glore_models.serving.guard`).
With a preset there is no cache to make: its engines fetch other people's models by themselves.
"""

import os
import shlex
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from glore import installation
from glore.settings import Settings
from glore.variables import PREFIX, names_of, secret_names
from glore_models.serving import checks, engines
from glore_models.serving.bundle import chosen_bundle
from glore_models.serving.cache import Cache, check_disk, default_cache
from glore_models.serving.errors import ServingError
from glore_models.serving.preset_engines import preset_gateway, preset_named, preset_servers
from glore_models.serving.presets import Preset
from glore_models.serving.processes import PYTHON, Guarded, Launch, own_logs, stop_all
from glore_models.serving.revival import Revival
from glore_models.serving.screen import Screen
from glore_models.serving.stack import Stack

_EXAMPLE = (
    "Harper is required to submit a 45-page report. She already finished writing 2/3 of the "
    "report. How many pages does she have left to write?"
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """Someone asked us to stop."""


def up_command(
    *,
    host: str,
    port: int,
    cache: Path | None,
    generation_port: int,
    scoring_port: int,
    orm_port: int = 8103,
    preset: str | None = None,
    dry_run: bool = False,
    warning: str | None = None,
) -> int:
    """Run the whole service on `host`:`port` until it is stopped; the exit status.

    `cache` is the model cache's folder (None: GLORE_CACHE, else ~/.cache/glore). An engine
    whose address is given (GLORE_GENERATION__URL, GLORE_SCORING__URL) is not started here.
    With a `preset`, its SORM takes the scoring port and its ORM `orm_port`. A `dry_run` prints
    the commands and starts nothing. A `warning` is shown first.
    Problems are printed on standard output, with a way out; 0 after a Ctrl-C or SIGTERM.
    """
    screen = Screen()
    models = Cache(cache.expanduser().resolve() if cache else default_cache(), chosen_bundle())
    ports = {"generation": generation_port, "scoring": scoring_port}
    if warning:
        screen.note(f"warning: {warning}")
    try:
        with _stoppable():
            if preset is not None:
                ports = {"generation": generation_port, "sorm": scoring_port, "orm": orm_port}
                _up_preset(preset_named(preset), host, port, ports, models, screen, dry=dry_run)
            else:
                _up_bundled(host, port, ports, models, screen, dry=dry_run)
    except _Stopped:
        screen.text("Stopped.")
        return 0
    except ServingError as error:
        screen.problem(error.problem, error.way_out)
        return 1
    except OSError as error:
        screen.problem(
            f"{error.filename}: {error.strerror}." if error.filename else f"{error}.",
            "Is it yours, and is there room? --cache or GLORE_CACHE names another folder.",
        )
        return 1
    return 0


def _up_bundled(
    host: str, port: int, ports: Mapping[str, int], models: Cache, screen: Screen, *, dry: bool
) -> None:
    """The bundled models in two engines."""
    local = {name: at for name, at in ports.items() if not _elsewhere(name)}
    if not dry:
        _check(host, port, local)
    if local:
        models.bundle.check()
    launches = local_engines(models, local)
    gateway = engines.gateway(host, port, launches.values(), models.bundle)
    if dry:
        screen.text(described((*launches.values(), gateway)))
        return
    with _logs(models, port, screen) as logs:
        if local:
            prepare(models, logs, screen)
        _serve(host, [tuple(launches)], launches, gateway, logs, screen)


def _up_preset(
    preset: Preset,
    host: str,
    port: int,
    ports: Mapping[str, int],
    models: Cache,
    screen: Screen,
    *,
    dry: bool,
) -> None:
    """A preset's models, one engine after another.

    Two that measure the memory of one GPU at the same time take each other's for their own.
    """
    launches = preset_servers(preset, ports)
    gateway = preset_gateway(preset, host, port, launches)
    for name in launches:
        server = preset.servers[name]
        screen.note(f"{name}: {server.model}, {server.weights:.1f} GB, {server.licence}")
    if dry:
        screen.text(described((*launches.values(), gateway)))
        return
    options = {"generation": "--generation-port", "sorm": "--scoring-port", "orm": "--orm-port"}
    checks.check_port(host, port, "gateway", "--port")
    for name, launch in launches.items():
        checks.check_port(engines.HERE, launch.port, f"{name} engine", options[name])
    if launches:
        checks.check_gpu(preset.memory if len(launches) == len(preset.servers) else 0.0)
    with _logs(models, port, screen) as logs:
        _serve(host, [(name,) for name in launches], launches, gateway, logs, screen)


@contextmanager
def _logs(models: Cache, port: int, screen: Screen) -> Iterator[Path]:
    """Where the logs go. Raises ServingError."""
    with own_logs(models.logs, port) as logs:
        if logs != models.logs:
            screen.note(f"another service writes its logs into {models.logs}; ours are in {logs}")
        yield logs


def described(launches: Iterable[Launch], environment: Mapping[str, str] = os.environ) -> str:
    """The commands, each with what it is started with beside `environment`, and GLORE_ settings.

    Of those that may hold a secret the names alone.
    """
    secret = secret_names(names_of(Settings))
    blocks = []
    for launch in launches:
        ours = {
            name: value
            for name, value in sorted(launch.environment.items())
            if name.startswith(PREFIX) or environment.get(name) != value
        }
        hidden = "".join(f"# with {name} as it is set here\n" for name in ours if name in secret)
        shown = [
            f"{name}={shlex.quote(value)}" for name, value in ours.items() if name not in secret
        ]
        command = " \\\n  ".join([*shown, shlex.join(launch.command)])
        blocks.append(f"# {launch.name}, port {launch.port}\n{hidden}{command}\n")
    return "\n" + "\n".join(blocks)


def local_engines(models: Cache, ports: Mapping[str, int]) -> dict[str, Launch]:
    """The engines named in `ports`, on those ports, by name. Raises ServingError."""
    kinds = {"generation": engines.generation_engine, "scoring": engines.scoring_engine}
    return {name: kinds[name](models, port) for name, port in ports.items()}


def prepare(models: Cache, logs: Path, screen: Screen) -> None:
    """Make the model cache where it is not whole, in a process of its own. Raises ServingError."""
    screen.progress("checking the model cache")
    to_make = models.to_make()
    if not to_make:
        screen.note(f"models: whole and up to date in {models.root}")
        return
    for part, why in to_make.items():
        screen.note(f"models: {part} {why}")
    check_disk(models)
    command = (
        *PYTHON,
        "-m",
        "glore_models.serving.build",
        str(models.root),
        str(models.bundle.path),
    )
    maker = Guarded(Launch("build", command, engines.without_settings(os.environ)), logs)
    try:
        while (status := maker.wait(0.5)) is None:
            screen.progress("making the models", next(iter(maker.tail(1)), "starting"))
    finally:
        stop_all([maker])
    if status:
        last = "\n".join(f"    {line}" for line in maker.tail(4))
        raise ServingError(
            problem=f"The model cache could not be made (status {status}):\n{last}",
            way_out=f"The whole log: {maker.log}. What was finished is kept; start again to go on.",
        )
    screen.note(f"models: made in {models.root}")


def _check(host: str, port: int, local: Mapping[str, int]) -> None:
    checks.check_port(host, port, "gateway", "--port")
    for name, engine_port in local.items():
        checks.check_port(engines.HERE, engine_port, f"{name} engine", f"--{name}-port")
    if local:
        checks.check_vllm()
        checks.check_programs()
        checks.check_memory(len(local))


def _serve(
    host: str,
    order: Sequence[Sequence[str]],
    launches: Mapping[str, Launch],
    gateway: Launch,
    logs: Path,
    screen: Screen,
) -> None:
    """Start the engines, each group of `order` once the one before it is ready; then the rest."""
    with Stack(logs) as stack:
        try:
            for group in order:
                for name in group:
                    screen.note(f"{name} engine: starting, log in {logs}")
                    stack.start(launches[name])
                stack.wait_ready(list(group), screen.progress)
            screen.note("gateway: starting")
            stack.start(gateway)
            stack.wait_ready(["gateway"], screen.progress)
            screen.settle()
            screen.note("ready")
            screen.text(_try_this(host, gateway.port))
            Revival(stack, screen.note, vital=_vital()).watch()
        finally:
            screen.settle()
            _ignore_signals()
            screen.note("stopping what was started")


def _try_this(host: str, port: int) -> str:
    here = engines.HERE if host in {"0.0.0.0", "::"} else host  # noqa: S104
    address = f"http://{f'[{here}]' if ':' in here else here}:{port}"
    elsewhere = "" if address == "http://127.0.0.1:8000" else f" --url {address}"
    return f"""
GLoRe answers on {address} (its API: {address}/docs). Try, in another terminal:

  curl -s {address}/solve -H 'Content-Type: application/json' \\
    -d '{{"question": "{_EXAMPLE}"}}'

or with coloured steps, while it is answered:

  {installation.command(f"ask {shlex.quote(_EXAMPLE)}{elsewhere}")}

Ctrl-C stops everything that was started here.
"""


def _elsewhere(engine: str) -> bool:
    """Whether the engine, or each role it would serve, has an address of its own."""
    roles = (f"ENGINES__{role.upper()}" for role in engines.ROLES_OF[engine])
    return _has_address(engine.upper()) or all(_has_address(role) for role in roles)


def _vital() -> tuple[str, ...]:
    """The engine that drafts, unless the student has one of its own elsewhere."""
    return () if _has_address("ENGINES__STUDENT") else ("generation",)


def _has_address(name: str) -> bool:
    return bool(os.environ.get(f"GLORE_{name}__URL"))


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the block by _Stopped; they are ignored from then on."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    except _Stopped:
        raise
    except BaseException:
        _restore(before)
        raise
    else:
        _restore(before)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _ignore_signals() -> None:
    """Once we are stopping, a second Ctrl-C shall not leave half of it running."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
