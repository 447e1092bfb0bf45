"""`glore ask "..."`: one question, shown while it is refined.

It ends with 0 when there is an answer, and else as `glore.commands.errors` says.
"""

import sys
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.live import Live

from glore.commands.errors import INTERRUPTED, WrongArgumentError, from_gateway
from glore.commands.key import own_key
from glore.commands.story import AskView, render_progress, render_result
from glore.commands.strategy import strategy_named
from glore.terminal import json_text
from glore_client import CallOptions, Client, GloreError, Sampling, SolveResult, Stream

STANDARD_INPUT = "-"
_FRAMES = 12  # per second
_UNWRAPPED = 100_000  # columns, where lines are not read on a screen


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How the question is to be answered, and how the answer is shown."""

    strategy: str | None
    url: str
    deadline: float  # seconds
    temperature: float | None
    n: int | None
    max_engine_calls: int | None
    max_generated_tokens: int | None
    rounds: int | None
    verify: bool
    correct: bool
    as_json: bool


def run_ask(question: str, options: AskOptions) -> None:
    """Ask and show. Raises WrongArgumentError, CommandFailedError, TryLaterError, typer.Exit."""
    call: CallOptions = {
        "strategy": strategy_named(options.strategy) if options.strategy else None,
        "sampling": Sampling(temperature=options.temperature, n=options.n),
        "deadline": options.deadline,
        "max_engine_calls": options.max_engine_calls,
        "max_generated_tokens": options.max_generated_tokens,
        "rounds": options.rounds,  # what is the default is not sent: an older gateway refuses it
        "verify": None if options.verify else False,
        "correct": options.correct or None,
    }
    text = sys.stdin.read() if question == STANDARD_INPUT else question
    if not text.strip():
        message = "the question is empty"
        raise WrongArgumentError(message)
    try:
        with (
            Client(options.url, api_key=own_key()) as client,
            client.stream(text, **call) as events,
        ):
            result = _read_to_end(events) if options.as_json else _shown(events)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except GloreError as error:
        raise from_gateway(error, options.url) from error
    except ValueError as error:  # not a URL, not a time, not a key
        raise WrongArgumentError(str(error)) from error
    if options.as_json:
        print(json_text(result.model_dump(mode="json"), indent=2))  # noqa: T201 - what was asked for


def _read_to_end(stream: Stream) -> SolveResult:
    for _ in stream:
        pass
    return stream.result


def _shown(stream: Stream) -> SolveResult:
    """Show it while it is stream; where there is no terminal, when all has been stream."""
    console = Console(highlight=False)
    story = AskView()
    if console.is_terminal:
        with Live(console=console, refresh_per_second=_FRAMES) as live:
            for event in stream:
                story.note(event)
                live.update(render_progress(story))
    else:
        console.width = _UNWRAPPED
        for event in stream:
            story.note(event)
        console.print(render_progress(story))
    console.print(render_result(stream.result))
    return stream.result
