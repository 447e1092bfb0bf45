"""`glore solve "..."`: one question, and how its answer came about."""

from typing import get_args

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from glore_client import Client, GloreError, Sampling, SolveResult, Step, Strategy
from service.commands.errors import WrongArgumentError, from_gateway
from service.commands.key import own_key

_WORDS = {
    "draft": "draft",
    "sample": "sample",
    "global_refinement": "global refinement",
    "local_refinement": "local refinement",
}


def run_solve(  # noqa: PLR0913 - one option each
    question: str,
    *,
    strategy: str,
    url: str,
    deadline: float,
    temperature: float | None,
    n: int | None,
    as_json: bool,
) -> None:
    """Ask and print. Raises WrongArgumentError or CommandFailedError."""
    chosen = strategy_named(strategy)
    if not question.strip():
        message = "the question is empty"
        raise WrongArgumentError(message)
    sampling = Sampling(temperature=temperature, n=n)
    try:
        with Client(url, api_key=own_key()) as client:
            result = client.solve(question, strategy=chosen, sampling=sampling, deadline=deadline)
    except GloreError as error:
        raise from_gateway(error, url) from error
    except ValueError as error:  # not a URL, not a time, not a key
        raise WrongArgumentError(str(error)) from error
    if as_json:
        print(result.model_dump_json(indent=2))  # noqa: T201 - what was asked for
    else:
        Console(highlight=False).print(render(result))


def strategy_named(name: str) -> Strategy:
    """The strategy of this name. Raises WrongArgumentError."""
    names: tuple[Strategy, ...] = get_args(Strategy)
    for strategy in names:
        if strategy == name:
            return strategy
    message = f"no strategy {name!r}; the strategies are {', '.join(names)}"
    raise WrongArgumentError(message)


def render(result: SolveResult) -> RenderableType:
    """The draft with coloured steps, the candidates, the winner, the answer and the cost."""
    parts: list[RenderableType] = [_heading("Draft"), _steps(result)]
    if len(result.candidates) > 1:
        parts += [_heading("Candidates"), _candidates(result)]
    if result.selected.kind != "draft":
        winner = Text(result.solution.strip())
        parts += [_heading(_word(result.selected.kind).capitalize()), _inset(winner)]
    answer = Text.assemble("Answer: ", (result.answer or "none stated", "bold green"))
    parts += [Text(), answer, Text(result.selected.explanation)]
    parts += [
        Text(f"Without {_word(missing.stage)}: {_word(missing.reason)}.", "yellow")
        for missing in result.degraded
    ]
    usage = result.usage
    cost = (
        f"{usage.seconds:.1f} s, {usage.engine_calls} engine calls, "
        f"{usage.generated_tokens} tokens generated, request {result.request_id}"
    )
    return Group(*parts, Text(cost, "dim"))


def colour(score: float, threshold: float) -> str:
    """Red below the threshold, green in the upper half of what is above it, else yellow."""
    if score < threshold:
        return "red"
    return "green" if score >= (1 + threshold) / 2 else "yellow"


def _steps(result: SolveResult) -> RenderableType:
    draft = result.draft
    threshold = 0.5 if draft.threshold is None else draft.threshold
    table = Table.grid(padding=(0, 2))
    for step in draft.steps:
        mark = "<- first error" if step.index == draft.first_error else ""
        style = "" if step.score is None else colour(step.score, threshold)
        table.add_row(Text(_score(step), style), Text(step.text, style), Text(mark, "bold red"))
    return _inset(table)


def _candidates(result: SolveResult) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for place, candidate in enumerate(result.candidates):
        won = place == result.selected.candidate
        score = "-" if candidate.outcome_score is None else f"{candidate.outcome_score:.2f}"
        table.add_row(
            Text(score),
            Text(_word(candidate.kind)),
            Text(candidate.answer or "no answer"),
            Text("<- winner" if won else "", "bold green"),
            style="bold" if won else None,
        )
    return _inset(table)


def _score(step: Step) -> str:
    return "   -" if step.score is None else f"{step.score:.2f}"


def _word(word: str) -> str:
    return _WORDS.get(word, word.replace("_", " "))


def _heading(text: str) -> Text:
    return Text(f"\n{text}" if text != "Draft" else text, "bold underline")


def _inset(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2))
