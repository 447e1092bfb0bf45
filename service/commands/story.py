"""A question while it is answered: what is known of it, and how that looks."""

from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from glore_client import (
    Candidate,
    DoneEvent,
    DraftDelta,
    DraftWritten,
    FirstError,
    RefinedDelta,
    RefinedWritten,
    SelectedEvent,
    SolveEvent,
    SolveResult,
    StepScores,
)
from service.terminal import visible

_WORDS = {
    "draft": "draft",
    "sample": "sample",
    "global_refinement": "global refinement",
    "local_refinement": "local refinement",
}


@dataclass(slots=True)
class Story:
    """What the events have told so far."""

    draft: str = ""  # as far as it is written
    steps: tuple[str, ...] = ()  # once it is whole
    scores: tuple[float, ...] = ()  # of the steps
    first_error: FirstError | None = None
    refined: dict[str, str] = field(default_factory=dict)  # kind -> as far as it is written
    result: SolveResult | None = None

    def note(self, event: SolveEvent) -> None:
        """Take in what is told next."""
        match event:
            case DraftDelta(text=text):
                self.draft += text
            case DraftWritten(candidate=candidate, steps=steps):
                self.draft, self.steps = candidate.solution, steps
            case StepScores(candidate=0, scores=scores):
                self.scores = scores
            case FirstError():
                self.first_error = event
            case RefinedDelta(kind=kind, text=text):
                self.refined[kind] = self.refined.get(kind, self._kept(kind)) + text
            case RefinedWritten(candidate=candidate):
                self.refined[candidate.kind] = candidate.solution
            case DoneEvent(result=result):
                self.result = result
            case StepScores() | SelectedEvent():  # `done` says it again
                pass

    def _kept(self, kind: str) -> str:
        """The steps before the first error, which a local refinement keeps."""
        if kind != "local_refinement" or self.first_error is None or not self.first_error.index:
            return ""
        return "".join(f"{step}\n" for step in self.steps[: self.first_error.index])


def picture(story: Story) -> RenderableType:
    """The draft with coloured steps and the refinements, as far as they have come."""
    parts: list[RenderableType] = [_heading("Draft"), _draft(story)]
    for kind, text in story.refined.items():
        parts += [Text(), _heading(_word(kind).capitalize()), _inset(_text(text.strip()))]
    return Group(*parts)


def conclusion(result: SolveResult) -> RenderableType:
    """The candidates and the winner, the answer, what is missing, and the cost."""
    parts: list[RenderableType] = [Text()]
    if len(result.candidates) > 1:
        parts += [_heading("Candidates"), _candidates(result), Text()]
    parts.append(Text("Answer: ").append_text(_text(result.answer or "none stated", "bold green")))
    parts.append(_text(result.selected.explanation))
    parts += [
        _text(f"Without {_word(missing.stage)}: {_word(missing.reason)}.", "yellow")
        for missing in result.degraded
    ]
    usage = result.usage
    cost = (
        f"{usage.seconds:.1f} s, {usage.engine_calls} engine calls, "
        f"{usage.generated_tokens} tokens generated, request {result.request_id}"
    )
    return Group(*parts, _text(cost, "dim"))


def colour(score: float, threshold: float) -> str:
    """Red below the threshold, green in the upper half of what is above it, else yellow."""
    if score < threshold:
        return "red"
    return "green" if score >= _sure_from(threshold) else "yellow"


def legend(threshold: float) -> Text:
    """What the colours of the steps mean."""
    sure = _sure_from(threshold)
    return Text.assemble(
        "Step scores: ",
        (f"below {threshold:.2f} an error", "red"),
        ", ",
        (f"{threshold:.2f} to {sure:.2f} doubtful", "yellow"),
        ", ",
        (f"from {sure:.2f} right", "green"),
    )


def _sure_from(threshold: float) -> float:
    return (1 + threshold) / 2


def _draft(story: Story) -> RenderableType:
    if not story.steps:
        return _inset(_text(story.draft))
    error = story.first_error
    table = Table.grid(padding=(0, 2))
    for index, step in enumerate(story.steps):
        score = story.scores[index] if index < len(story.scores) else None
        style = "" if score is None or error is None else colour(score, error.threshold)
        text = _text(step, style)
        if error is not None and index == error.index:
            text.append("  ").append("<- first error", "bold red")
        table.add_row(Text("   -" if score is None else f"{score:.2f}", style), text)
    if error is None or not story.scores:
        return _inset(table)
    return _inset(Group(table, legend(error.threshold)))


def _candidates(result: SolveResult) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for place, candidate in enumerate(result.candidates):
        won = place == result.selected.candidate
        table.add_row(
            Text(_score(candidate)),
            _text(_word(candidate.kind)),
            _text(candidate.answer or "no answer"),
            Text("<- winner" if won else "", "bold green"),
            style="bold" if won else None,
        )
    return _inset(table)


def _score(candidate: Candidate) -> str:
    return "-" if candidate.outcome_score is None else f"{candidate.outcome_score:.2f}"


def _text(text: str, style: str = "") -> Text:
    """What a model or a gateway wrote: never markup, never a command to the terminal."""
    return Text(visible(text), style)


def _word(word: str) -> str:
    return _WORDS.get(word, word.replace("_", " "))


def _heading(text: str) -> Text:
    return Text(text, "bold underline")


def _inset(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2), expand=False)
