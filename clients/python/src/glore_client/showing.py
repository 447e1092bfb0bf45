"""A result for people: as plain text and as HTML for notebooks.

Texts of models and gateways are shown as text: `visible` escapes hidden characters, `html.escape`
escapes markup, and each text has a line or an element of its own.
"""

from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING

from glore_client.visible import excerpt, visible

if TYPE_CHECKING:
    from glore_client.results import Candidate, Finding, SolveResult, Step

_WORDS = {
    "draft": "draft",
    "sample": "sample",
    "global_refinement": "global refinement",
    "local_refinement": "local refinement",
}
# Half transparent, under text in the page's own colour: readable on light and on dark.
_COLOURS = {
    "red": "rgba(235, 70, 60, 0.28)",
    "yellow": "rgba(215, 160, 30, 0.25)",
    "green": "rgba(60, 170, 80, 0.25)",
    "": "transparent",
}
_CELL = "padding: 1px 10px 1px 6px; text-align: left; vertical-align: top;"
_MODEL_TEXT = "white-space: pre-wrap; overflow-wrap: anywhere;"
_DIM = "opacity: 0.75;"


def in_words(finding: "Finding") -> str:
    """A finding in one line."""
    source = f"{finding.expression} = " if finding.expression else ""
    return excerpt(f"{source}{finding.claimed}: it is {finding.expected}")


def as_text(result: "SolveResult") -> str:
    """The answer, the draft's scored steps, the candidates, the winner's text and the cost."""
    return "\n".join(_lines(result))


def as_html(result: "SolveResult") -> str:
    """The same as one element with its styles in it; the winner and the others can be unfolded."""
    draft = result.draft
    parts = [
        f"<div><b>Answer: {_bdi(_answer(result))}</b></div>",
        f'<div style="{_DIM}">{_bdi(result.selected.explanation)}</div>',
        _heading(f"Draft, {_legend(draft.threshold)}" if _is_scored(result) else "Draft"),
        _table(
            (
                "red" if found else _colour(step.score, draft.threshold),
                (
                    _number(step.score),
                    _bdi(step.text),
                    "".join(
                        [
                            "<b>&larr; first error</b>" if step.index == draft.first_error else "",
                            *(f"<div>{_bdi(str(each))}</div>" for each in found),
                        ]
                    ),
                ),
            )
            for step, found in _found(result)
        ),
        _heading("Candidates"),
        _table(
            (
                "green" if index == result.selected.candidate else "",
                (
                    _number(candidate.outcome_score),
                    _unfolding(candidate),
                    _bdi(_stated(candidate.answer)),
                    "<b>&larr; winner</b>" if index == result.selected.candidate else "",
                    _bdi(_refuted(candidate)) if candidate.findings else "",
                ),
            )
            for index, candidate in enumerate(result.candidates)
        ),
        *(f"<div>{_bdi(missing)}</div>" for missing in _missing(result)),
        f'<div style="{_DIM}">{_bdi(_cost(result))}</div>',
    ]
    # Notebooks would typeset $...$, and \href in it is a link.
    classes = "glore-result tex2jax_ignore mathjax_ignore"
    style = "color: inherit; line-height: 1.5;"
    return f'<div class="{classes}" style="{style}">{"".join(parts)}</div>'


def _lines(result: "SolveResult") -> Iterator[str]:
    draft, winner = result.draft, result.selected
    yield f"Answer: {excerpt(_answer(result))}"
    yield excerpt(winner.explanation)
    yield ""
    yield f"Draft, {_legend(draft.threshold)}" if _is_scored(result) else "Draft"
    for step, found in _found(result):
        is_first = step.index == draft.first_error
        mark = "!" if is_first or found else " "
        yield from _indented(step.text, f"{mark} {_number(step.score)}  ")
        if is_first:
            yield "          ^ first error"
        for finding in found:
            yield f"          ^ {finding}"
    yield ""
    yield "Candidates"
    rows = [
        (excerpt(_word(each.kind), 40), excerpt(_stated(each.answer), 40))
        for each in result.candidates
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for index, (each, (kind, answer)) in enumerate(zip(result.candidates, rows, strict=True)):
        marks = ["<- winner"] if index == winner.candidate else []
        marks += [refuted] if (refuted := _refuted(each)) else []
        row = f"  {_number(each.outcome_score)}  {kind:{widths[0]}}  {answer:{widths[1]}}"
        yield f"{row}  {', '.join(marks)}".rstrip()
    yield ""
    yield f"Solution, {excerpt(_word(winner.kind))}"
    yield from _indented(result.solution, "  ")
    yield ""
    for missing in _missing(result):
        yield excerpt(missing)
    yield excerpt(_cost(result))


def _indented(text: str, head: str) -> Iterator[str]:
    """The lines of the text, the first one behind `head` and the others as far in."""
    for line in _shown(text).split("\n"):
        yield f"{head}{line}".rstrip()
        head = " " * len(head)


def _shown(text: str) -> str:
    """Foreign text with its line ends; hidden characters are escaped."""
    return visible(text.replace("\r\n", "\n").strip("\n"), allowed="\n\t")


def _answer(result: "SolveResult") -> str:
    return "none stated" if result.answer is None else result.answer


def _stated(answer: str | None) -> str:
    return "no answer" if answer is None else answer


def _is_scored(result: "SolveResult") -> bool:
    return any(step.score is not None for step in result.draft.steps)


def _found(result: "SolveResult") -> Iterator[tuple["Step", list["Finding"]]]:
    """The steps of the draft, each with what is refuted in it."""
    found = result.candidates[0].findings_by_step
    for step in result.draft.steps:
        yield step, found.get(step.index, [])


def _refuted(candidate: "Candidate") -> str:
    """That a candidate is refuted or stopped, with the first of the reasons; else empty."""
    if not candidate.findings:
        return ""
    first, *others = candidate.findings
    more = f", and {len(others)} more" if others else ""
    stopped = ", stopped there" if candidate.finish_reason == "stopped" else ""
    return f"refuted ({first}{more}){stopped}"


def _legend(threshold: float) -> str:
    return f"steps below {threshold:.2f} count as wrong"


def _missing(result: "SolveResult") -> Iterator[str]:
    for each in result.degraded:
        yield f"Without {_word(each.stage)}: {_word(each.reason)}."


def _cost(result: "SolveResult") -> str:
    usage = result.usage
    return (
        f"{usage.seconds:.1f} s, {usage.engine_calls} engine calls, "
        f"{usage.generated_tokens} tokens generated, request {result.request_id}"
    )


def _number(score: float | None) -> str:
    return "   -" if score is None else f"{score:.2f}"


def _word(word: str) -> str:
    return _WORDS.get(word, word.replace("_", " "))


def _colour(score: float | None, threshold: float) -> str:
    """Red below the threshold, green in the upper half of what is above it, else yellow."""
    if score is None:
        return ""
    if score < threshold:
        return "red"
    return "green" if score >= (1 + threshold) / 2 else "yellow"


def _bdi(text: str) -> str:
    """Foreign text in an element of its own: direction, lines and markup do not leave it."""
    return f'<bdi style="{_MODEL_TEXT}">{escape(_shown(text))}</bdi>'


def _heading(text: str) -> str:
    return f'<div style="margin-top: 6px;"><b>{escape(text)}</b></div>'


def _table(rows: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    """A table of rows of HTML, each with the name of its colour."""
    body = "".join(
        f'<tr style="background: {_COLOURS[colour]}; color: inherit;">'
        + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
        + "</tr>"
        for colour, cells in rows
    )
    return f'<table style="border-collapse: collapse; margin: 0;">{body}</table>'


def _unfolding(candidate: "Candidate") -> str:
    summary = f"<summary>{_bdi(_word(candidate.kind))}</summary>"
    return f"<details>{summary}{_bdi(candidate.solution)}</details>"
