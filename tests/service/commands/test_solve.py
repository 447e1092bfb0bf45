from typing import Literal

from rich.console import Console

from glore_client import SolveResult
from service.commands.solve import colour, render
from tests.clients.python import samples


def shown(body: dict[str, object], *, colours: bool = False) -> str:
    system: Literal["standard"] | None = "standard" if colours else None
    console = Console(width=100, highlight=False, force_terminal=colours, color_system=system)
    with console.capture() as capture:
        console.print(render(SolveResult.model_validate(body)))
    return capture.get()


def test_colours_follow_the_threshold() -> None:
    assert colour(0.49, 0.5) == "red"
    assert colour(0.5, 0.5) == "yellow"
    assert colour(0.75, 0.5) == "green"
    assert colour(0.5, 0.3) == "yellow"


def test_steps_are_coloured_and_the_first_error_is_marked() -> None:
    text = shown(samples.result(selected=1), colours=True)
    assert "\x1b[32m3 x 4 = 12 " in text
    assert "\x1b[31m12 - 2 = 12" in text
    assert "\x1b[1;31m<- first error\x1b[0m" in text


def test_text_of_a_model_is_never_markup() -> None:
    body = samples.result(selected=1)
    body["draft"]["steps"][0]["text"] = "[red]3[/red] [BAD]"
    body["solution"] = "[/nothing] 4"
    text = shown(body)
    assert "[red]3[/red] [BAD]" in text
    assert "[/nothing] 4" in text


def test_a_draft_alone_needs_no_list_of_candidates() -> None:
    body = samples.result(
        strategy="draft", candidates=[samples.candidate("draft", None)], first_error=None
    )
    for step in body["draft"]["steps"]:
        step["score"] = None
    text = shown(body)
    assert "Candidates" not in text
    assert "first error" not in text
    assert "Answer: none stated" in text


def test_what_is_missing_is_said() -> None:
    text = shown(samples.result(degraded=[{"stage": "refine_locally", "reason": "deadline"}]))
    assert "Without refine locally: deadline." in text
