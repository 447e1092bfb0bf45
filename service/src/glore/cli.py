"""`glore`: the command. What each subcommand does lies in `glore.commands`.

Where glore-models is installed, it adds its own (entry points of the group `glore.commands`).

Everything heavier than the option parser is imported when a subcommand runs, so that
`glore --help` answers at once.
"""

import os
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from glore.commands.options import DEFAULT_URL, AsJson, Correct, Url, Verify
from glore.terminal import visible

_OURS = ("glore", "glore_models", "glore_client")
_OF_MODELS = ("eval", "up", "train")
_STARTS = ("serve", "up", "train")  # they refuse a variable that is unknown


class OneLineErrors(TyperGroup):
    """Says what is wrong in one line on standard error; statuses: `glore.commands.errors`."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line and exit with its status."""
        kwargs["standalone_mode"] = False
        try:
            status = super().main(*args, **kwargs)
        except typer.TyperException as error:
            text = visible(" ".join(error.format_message().split())).rstrip(".")
            context = getattr(error, "ctx", None)
            hint = f" (see {context.command_path} --help)" if context else ""
            typer.echo(f"glore: {text}{hint}", err=True)
            sys.exit(error.exit_code)
        except typer.Abort:
            sys.exit(1)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _OURS:
                raise
            from glore.installation import missing

            typer.echo(f"glore: this needs {missing(error.name or 'a package')}", err=True)
            sys.exit(1)
        sys.exit(status if isinstance(status, int) else 0)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name. Raises CommandFailedError where only its package is missing."""
        command = super().get_command(ctx, cmd_name)
        if command is None and cmd_name in _OF_MODELS:
            from glore.commands.errors import CommandFailedError
            from glore.installation import missing

            message = f"`glore {cmd_name}` needs {missing('glore_models')}"
            raise CommandFailedError(message)
        return command


main = typer.Typer(
    cls=OneLineErrors,
    help="Refinement as a service: find the first wrong step, refine, rerank (after GLoRe).",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _plugin in metadata.entry_points(group="glore.commands"):
    main.registered_commands.extend(_plugin.load().registered_commands)


@main.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    ours = any(name.upper().startswith("GLORE_") for name in os.environ)
    if ours and context.invoked_subcommand not in _STARTS:
        from glore.commands.environment import warn_of_unknown

        warn_of_unknown()


@main.command()
def ask(
    question: Annotated[
        str, typer.Argument(help="The question, in quotes; - reads it from standard input.")
    ],
    *,
    strategy: Annotated[
        str | None,
        typer.Option(help="glore, gated, adaptive, ... (else the gateway's choice)."),
    ] = None,
    url: Url = DEFAULT_URL,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds the gateway may take.")] = 60.0,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, max=2.0, help="0 is greedy (else 0).")
    ] = None,
    n: Annotated[int | None, typer.Option(min=2, max=8, help="Candidates of best_of_n.")] = None,
    max_engine_calls: Annotated[
        int | None, typer.Option(min=1, help="Of the whole question.")
    ] = None,
    max_generated_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of the whole question.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Of refinement at most (else 1).")
    ] = None,
    verify: Verify = True,
    correct: Correct = False,
    as_json: AsJson = False,
) -> None:
    """Ask the running service one question and watch it being refined.

    Ends with 0: answered; 1: no answer; 2: wrong usage; 3: not now, try later; 130: interrupted.
    """
    from glore.commands.ask import AskOptions, run_ask

    options = AskOptions(
        strategy=strategy,
        url=url,
        deadline=deadline,
        temperature=temperature,
        n=n,
        max_engine_calls=max_engine_calls,
        max_generated_tokens=max_generated_tokens,
        rounds=rounds,
        verify=verify,
        correct=correct,
        as_json=as_json,
    )
    run_ask(question, options)


@main.command()
def status(*, url: Url = DEFAULT_URL) -> None:
    """Say whether the running service can answer, and what to do where it cannot.

    Ends with 0: ready; 3: it answers, without one of its engines; 1: not ready, or not there.
    """
    from glore.commands.status import run_status

    run_status(url)


@main.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is; the log names it.")],
) -> None:
    """Make an API key of the gateway, and the line of it for GLORE_API_KEYS_FILE."""
    from glore.commands.key import run_key

    typer.echo(run_key(name))


@main.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address (else GLORE_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port (else GLORE_PORT).")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Print the settings, ask engines and store; serve nothing."),
    ] = False,
) -> None:
    """Run the gateway alone, before engines that run elsewhere (GLORE_... settings).

    With --check it ends with 0: all is there; 1: something is not; 2: a setting is wrong.
    """
    if check:
        from glore.commands.check import run_check

        run_check(host=host, port=port)
        return
    from glore.commands.serve import run_serve

    run_serve(host=host, port=port)


if __name__ == "__main__":
    main()
