"""A question while it is answered: what is known of it, and how that looks."""

from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from glore.formats.steps import first_error, split_steps
from glore.terminal import visible
from glore_client import (
    Candidate,
    DoneEvent,
    DraftDelta,
    DraftWritten,
    Finding,
    FirstError,
    RefinedDelta,
    RefinedWritten,
    SelectedEvent,
    SolveEvent,
    SolveResult,
    StepScores,
)

_WORDS = {
    "draft": "draft",
    "sample": "sample",
    "global_refinement": "global refinement",
    "local_refinement": "local refinement",
}


@dataclass(slots=True)
class RefinementView:
    """A refinement, or a sample drawn after the draft, as far as it is written."""

    kind: str
    base: int | None  # the index of the candidate that it refines
    round: int
    text: str
    is_whole: bool = False


@dataclass(slots=True)
class AskView:
    """What the events have said so far."""

    draft: str = ""  # as far as it is written
    steps: tuple[str, ...] = ()  # of the whole draft
    scores: dict[int, tuple[float, ...]] = field(default_factory=dict)  # by candidate, of its steps
    first_error: FirstError | None = None  # of the draft
    refinements: list[RefinementView] = field(default_factory=list)
    candidates: dict[int, Candidate] = field(default_factory=dict)  # whole ones, by index
    result: SolveResult | None = None

    def note(self, event: SolveEvent) -> None:
        """Take in the next event."""
        match event:
            case DraftDelta(text=text):
                self.draft += text
            case DraftWritten(candidate=candidate, samples=samples, steps=steps):
                self.draft, self.steps = candidate.solution, steps
                self.candidates = dict(enumerate([candidate, *samples]))
            case StepScores(candidate=index, scores=scores):
                self.scores[index] = scores
            case FirstError():
                self.first_error = event
            case RefinedDelta():
                self._add(event)
            case RefinedWritten(candidate=candidate, place=index):
                self._complete(candidate)
                self.candidates[index] = candidate
            case DoneEvent(result=result):
                self.result = result
            case SelectedEvent():  # `done` says it again
                pass

    def findings(self) -> dict[int, list[Finding]]:
        """What is refuted in the draft, by step."""
        return self.candidates[0].findings_by_step if self.candidates else {}

    def _add(self, delta: RefinedDelta) -> None:
        for each in self.refinements:
            if (each.kind, each.base, each.round) == (delta.kind, delta.base, delta.round):
                each.text += delta.text
                return
        prefix = self._prefix(delta.base) if delta.kind == "local_refinement" else ""
        text = prefix + delta.text
        self.refinements.append(RefinementView(delta.kind, delta.base, delta.round, text))

    def _complete(self, candidate: Candidate) -> None:
        """Take the whole text. An older gateway names no base: it refines the draft."""
        for each in reversed(self.refinements):
            same = (each.kind, each.base) == (candidate.kind, candidate.base or 0)
            if same and not each.is_whole:
                each.text, each.is_whole = candidate.solution, True
                return
        self.refinements.append(
            RefinementView(candidate.kind, candidate.base, 1, candidate.solution, is_whole=True)
        )

    def _prefix(self, base: int) -> str:
        """The steps before the first error, which a local refinement keeps."""
        if base not in self.candidates or self.first_error is None:
            return ""
        candidate = self.candidates[base]
        wrong = min((each.step for each in candidate.findings), default=None)
        if wrong is None:
            wrong = first_error(self.scores.get(base, ()), self.first_error.threshold)
        steps = split_steps(candidate.solution)[: wrong or 0]
        return "".join(f"{step.text}\n" for step in steps)


def render_progress(story: AskView) -> RenderableType:
    """The draft with coloured steps and the refinements, as far as they have come."""
    parts: list[RenderableType] = [_heading("Draft"), _draft(story)]
    for each in story.refinements:
        again = f", round {each.round}" if each.round > 1 else ""
        parts += [Text(), _heading(f"{_word(each.kind).capitalize()}{again}")]
        parts.append(_inset(_text(each.text.strip())))
    return Group(*parts)


def render_result(result: SolveResult) -> RenderableType:
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


def _draft(story: AskView) -> RenderableType:
    if not story.steps:
        return _inset(_text(story.draft))
    error, scores, findings = story.first_error, story.scores.get(0, ()), story.findings()
    table = Table.grid(padding=(0, 2))
    for index, step in enumerate(story.steps):
        score = scores[index] if index < len(scores) else None
        style = "" if score is None or error is None else colour(score, error.threshold)
        if index in findings:
            style = "red"
        text = _text(step, style)
        if error is not None and index == error.index:
            text.append("  ").append("<- first error", "bold red")
        for finding in findings.get(index, ()):
            text.append("\n^ ").append_text(_text(str(finding), "bold red"))
        table.add_row(Text("   -" if score is None else f"{score:.2f}", style), text)
    if error is None or not scores:
        return _inset(table)
    return _inset(Group(table, legend(error.threshold)))


def _candidates(result: SolveResult) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for index, candidate in enumerate(result.candidates):
        won = index == result.selected.candidate
        marks = Text("<- winner" if won else "", "bold green")
        if candidate.findings:
            marks.append("  " if won else "")
            stopped = ", stopped there" if candidate.finish_reason == "stopped" else ""
            reason = f"refuted ({candidate.findings[0]}){stopped}"
            marks.append_text(_text(reason, "not bold red"))
        table.add_row(
            Text(_score(candidate)),
            _text(_word(candidate.kind)),
            _text(candidate.answer or "no answer"),
            marks,
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
