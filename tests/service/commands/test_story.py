"""How a question looks while it is answered, event by event."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console, RenderableType

from glore.commands.story import AskView, colour, render_progress, render_result
from glore_client import SolveResult
from glore_client.events import READERS
from tests.clients.python import samples

RESULT = samples.result(selected=1)


def printed(part: RenderableType, *, colours: bool = False) -> str:
    system: Literal["standard"] | None = "standard" if colours else None
    console = Console(width=100, highlight=False, force_terminal=colours, color_system=system)
    with console.capture() as capture:
        console.print(part)
    return capture.get()


def shown(events: Sequence[tuple[str, dict[str, Any]]], *, colours: bool = False) -> str:
    """The picture after these events."""
    story = AskView()
    for name, data in events:
        story.note(READERS[name](json.dumps(data)))
    return printed(render_progress(story), colours=colours)


def until(name: str, events: Sequence[tuple[str, dict[str, Any]]]) -> list[tuple[str, Any]]:
    """The events up to the first of this name."""
    names = [each for each, _ in events]
    return list(events[: names.index(name) + 1])


def lines(text: str) -> list[str]:
    """Those of a picture, without the blanks that fill a column."""
    return [line.rstrip() for line in text.splitlines()]


STORY = samples.events_of(RESULT)


def test_the_draft_is_shown_as_it_is_written() -> None:
    text = shown(STORY[:1])
    assert "3 x 4 = 12" in text
    assert "####" not in text
    assert "#### 12" in shown(STORY[:2])


def test_a_whole_draft_is_shown_in_steps_that_wait_for_their_scores() -> None:
    text = shown(until("draft", STORY))
    assert "     -  3 x 4 = 12" in text
    assert "first error" not in text


def test_colours_follow_the_threshold() -> None:
    assert colour(0.49, 0.5) == "red"
    assert colour(0.5, 0.5) == "yellow"
    assert colour(0.75, 0.5) == "green"
    assert colour(0.5, 0.3) == "yellow"


def test_steps_are_coloured_and_the_first_error_is_marked() -> None:
    text = shown(until("first_error", STORY), colours=True)
    assert "\x1b[32m0.98\x1b[0m" in text
    assert "\x1b[32m3 x 4 = 12 " in text
    assert "\x1b[31m12 - 2 = 12" in text
    assert "\x1b[1;31m<- first error\x1b[0m" in text


def test_a_step_that_fits_is_on_one_line_whether_an_error_is_marked_or_not() -> None:
    """98 columns are left of 100: a score and two blanks take 6."""
    long = "x" * 92
    for marked in (None, 2):
        body = samples.result(selected=1, first_error=marked)
        body["draft"]["steps"][0]["text"] = long
        assert f"  0.98  {long}\n" in shown(until("first_error", samples.events_of(body)))


def test_the_colours_and_the_threshold_are_explained_once_there_are_any() -> None:
    explained = "Step scores: below 0.50 an error, 0.50 to 0.75 doubtful, from 0.75 right"
    assert "Step scores" not in shown(until("draft", STORY))
    for marked in (None, 1):
        events = until("first_error", samples.events_of(samples.result(first_error=marked)))
        assert shown(events).count(explained) == 1
    coloured = shown(events, colours=True)
    for style, text in (("31", "below 0.50"), ("33", "0.50 to"), ("32", "from 0.75")):
        assert f"\x1b[{style}m{text}" in coloured


def test_refinements_are_shown_as_they_are_written() -> None:
    events = until("first_error", STORY)
    delta = {"kind": "global_refinement", "base": 0, "round": 1, "text": "Let me see"}
    text = shown([*events, ("refined.delta", delta)])
    assert "Global refinement\n  Let me see" in text


def test_a_local_refinement_begins_with_the_steps_that_it_keeps() -> None:
    events = until("first_error", STORY)
    delta = {"kind": "local_refinement", "base": 0, "round": 1, "text": "12 - 2 = 10"}
    text = shown([*events, ("refined.delta", delta)])
    assert "Local refinement\n  3 x 4 = 12" in text
    assert "\n  12 - 2 = 10" in text


def test_a_refuted_step_says_what_is_wrong_before_there_are_scores() -> None:
    events = samples.events_of(samples.result(selected=1, is_refuted=True))
    text = shown(until("first_error", events))
    assert lines(text)[2:4] == [
        "     -  12 - 2 = 12  <- first error",
        "        ^ 12 - 2 = 12: it is 10",
    ]
    coloured = shown(until("first_error", events), colours=True)
    assert "\x1b[31m12 - 2 = 12" in coloured
    assert lines(shown(until("scores", events)))[2:4] == [
        "  0.21  12 - 2 = 12  <- first error",
        "        ^ 12 - 2 = 12: it is 10",
    ]


def refined(
    kind: str, base: int | None, position: int, solution: str
) -> tuple[str, dict[str, Any]]:
    written = {**samples.candidate(kind, None), "base": base, "solution": solution}
    return "refined", {"candidate": written, "place": position}


def delta(kind: str, base: int, number: int, text: str) -> tuple[str, dict[str, Any]]:
    return "refined.delta", {"kind": kind, "base": base, "round": number, "text": text}


def test_refinements_of_several_rounds_stand_one_after_the_other() -> None:
    events = [
        *until("first_error", STORY),
        delta("global_refinement", 0, 1, "one"),  # fails after it
        delta("global_refinement", 0, 2, "two"),
        delta("global_refinement", 0, 2, " more"),
        refined("global_refinement", 0, 1, "two whole"),
        refined("sample", None, 2, "drawn"),
    ]
    _, _, text = shown(events).partition("Global refinement\n")
    assert lines(text) == [
        *("  one", "", "Global refinement, round 2", "  two whole", "", "Sample", "  drawn"),
    ]


def test_a_local_refinement_keeps_the_steps_of_its_base() -> None:
    """As far as its base is right: verifiers say so before scores do."""
    events = [
        *until("first_error", STORY),
        refined("global_refinement", 0, 1, "first\nsecond\nthird\n"),
        ("scores", {"candidate": 1, "scores": [0.9, 0.9, 0.1]}),
    ]
    reported = shown([*events, delta("local_refinement", 1, 2, "anew")])
    assert lines(reported)[-4:] == ["Local refinement, round 2", "  first", "  second", "  anew"]
    events[-2][1]["candidate"]["findings"] = [samples.FINDING]
    reported = shown([*events, delta("local_refinement", 1, 2, "anew")])
    assert lines(reported)[-3:] == ["Local refinement, round 2", "  first", "  anew"]


def test_events_of_a_gateway_without_verifiers_make_the_same_picture() -> None:
    new = {"findings", "base", "round", "found_by"}

    def older(data: Any) -> Any:
        if isinstance(data, list):
            return [older(each) for each in data]
        if isinstance(data, dict):
            return {name: older(each) for name, each in data.items() if name not in new}
        return data

    written = until("selected", STORY)
    assert shown([(name, older(data)) for name, data in written]) == shown(written)


def test_scores_of_other_candidates_are_not_those_of_the_draft() -> None:
    events = until("draft", STORY)
    assert shown([*events, ("scores", {"candidate": 1, "scores": [0.1, 0.1, 0.1]})]) == shown(
        events
    )


def test_text_of_a_model_is_neither_markup_nor_a_command_to_the_terminal() -> None:
    text = shown([("draft.delta", {"text": "[red]3[/red] [/nothing] \x1b[2J\x9b2J\r7"})])
    assert "[red]3[/red] [/nothing] \ufffd[2J\ufffd2J\ufffd7" in text


def test_the_end_tells_the_candidates_and_the_winner() -> None:
    text = printed(render_result(SolveResult.model_validate(RESULT)))
    assert "0.20  draft" in text
    assert "0.90  global refinement  10  <- winner" in text
    assert "Answer: 10\nIt has the highest outcome score." in text
    assert "request req-1" in text


def test_refuted_candidates_say_why() -> None:
    result = SolveResult.model_validate(samples.result(selected=1, is_refuted=True))
    rows = lines(printed(render_result(result)))[2:5]
    assert rows[0] == "  -     draft              12  refuted (12 - 2 = 12: it is 10)"
    assert rows[1] == "  0.90  global refinement  10  <- winner"
    body = samples.result(is_refuted=True)
    stored = printed(render_result(SolveResult.model_validate(body)))
    assert "12  <- winner  refuted (12 - 2 = 12: it is 10)" in stored
    body["candidates"][0]["finish_reason"] = "stopped"
    stopped = printed(render_result(SolveResult.model_validate(body)))
    assert "refuted (12 - 2 = 12: it is 10), stopped there" in stopped
    assert "refuted" not in printed(render_result(SolveResult.model_validate(RESULT)))


def test_a_draft_alone_needs_no_list_of_candidates() -> None:
    body = samples.result(
        strategy="draft", candidates=[samples.candidate("draft", None)], first_error=None
    )
    text = printed(render_result(SolveResult.model_validate(body)))
    assert "Candidates" not in text
    assert "Answer: none stated" in text


def test_what_is_missing_is_said() -> None:
    body = samples.result(degraded=[{"stage": "refine_locally", "reason": "deadline"}])
    text = printed(render_result(SolveResult.model_validate(body)))
    assert "Without refine locally: deadline." in text
