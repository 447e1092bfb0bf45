"""A result for people: what it says, and that foreign text in it stays text."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glore_client import Answered, Question, SolveResult
from glore_client.visible import visible
from tests.clients.python import samples

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = "".join(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))
ATTACKS = [
    "<script>alert(1)</script>",
    "</bdi></td></table></div><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' style='position:fixed'",
    "&lt;b&gt; &amp;#60; &#x3c;script&#x3e;",
    "<!-- --><![CDATA[ x ]]><style>*{display:none}</style>",
    "$\\href{javascript:alert(1)}{x}$",
    "\x1b[2J\x1b]0;title\x07\x9b31m",
    "answer \u202e21\u202c",
    "\ufeff\u200b\u00ad\u2028\u2029\U000e0041",
    "\ud83d",
    f"{CONTROLS}{BIDI}",
]


PRINTED = """\
Answer: 10
It has the highest outcome score.

Draft, steps below 0.50 count as wrong
  0.98  3 x 4 = 12
! 0.21  12 - 2 = 12
          ^ first error
  0.15  #### 12

Candidates
  0.20  draft              12
  0.90  global refinement  10  <- winner
  0.40  local refinement   11

Solution, global refinement
  3 x 4 = 12
  12 - 2 = 10
  #### 10

Without refine locally: timed out.
3.2 s, 6 engine calls, 190 tokens generated, request req-1"""


def result_with(text: str) -> SolveResult:
    """A result in which everything that a gateway or a model writes is this text."""
    body: Any = samples.result(selected=1, degraded=[{"stage": text, "reason": text}])
    for candidate in body["candidates"]:
        found = dict.fromkeys(("verifier", "claimed", "expected", "expression"), text)
        findings = [{**samples.FINDING, **found, "step": step} for step in (0, 1)]
        candidate.update(kind=text, solution=text, answer=text, finish_reason=text)
        candidate.update(findings=findings)
    for step in body["draft"]["steps"]:
        step["text"] = text
    body["selected"].update(kind=text, reason=text, explanation=text)
    body.update(id=text, request_id=text, strategy=text, answer=text, solution=text)
    return SolveResult.model_validate(body)


class Page(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []  # of each <bdi>
        self.others: list[str] = []  # declarations, comments, instructions
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "bdi":
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "bdi" in self.open:
            self.texts[-1] += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


def structure(result: SolveResult) -> list[tuple[str, dict[str, str | None]]]:
    page = Page(result._repr_html_())
    assert page.others == []
    return page.elements


HARMLESS = structure(result_with("harmless"))


def test_print_says_all_that_a_person_wants_to_know() -> None:
    missing = [{"stage": "refine_locally", "reason": "timed_out"}]
    result = SolveResult.model_validate(samples.result(selected=1, degraded=missing))
    assert str(result) == PRINTED


def test_print_marks_a_refuted_step_and_its_candidate_in_words() -> None:
    result = SolveResult.model_validate(samples.result(selected=1, is_refuted=True))
    expected = PRINTED
    for plain, refuted in (
        ("^ first error\n", "^ first error\n          ^ 12 - 2 = 12: it is 10\n"),
        (
            "  0.20  draft              12\n",
            "     -  draft              12  refuted (12 - 2 = 12: it is 10)\n",
        ),
        ("6 engine calls", "5 engine calls"),
        ("Without refine locally: timed out.\n", ""),
    ):
        assert plain in expected
        expected = expected.replace(plain, refuted)
    assert str(result) == expected


def test_a_notebook_marks_a_refuted_step_and_its_candidate_in_words() -> None:
    body = samples.result(selected=1, is_refuted=True)
    body["draft"]["steps"][1]["score"] = 0.99  # the scorer saw nothing; it is red all the same
    page = SolveResult.model_validate(body)._repr_html_()
    rows = re.findall(r'<tr style="background: (.*?);.*?>(.*?)</tr>', page, re.DOTALL)
    red = rows[2][0]
    assert [colour == red for colour, _ in rows] == [False, True, True] + [False] * 3
    assert ["12 - 2 = 12: it is 10" in row for _, row in rows] == [False, True] * 2 + [False] * 2
    assert ["refuted" in row for _, row in rows] == [False] * 3 + [True] + [False] * 2


def test_every_finding_is_shown_and_a_candidate_shows_their_number() -> None:
    body = samples.result(is_refuted=True)
    more = [{**samples.FINDING, "step": step, "expression": "2"} for step in (1, 2, 99)]
    body["candidates"][0]["findings"] += more
    printed = str(SolveResult.model_validate(body))
    lines = printed.splitlines()
    assert lines[6:11] == [
        "          ^ first error",
        "          ^ 12 - 2 = 12: it is 10",
        "          ^ 2 = 12: it is 10",
        "! 0.15  #### 12",
        "          ^ 2 = 12: it is 10",
    ]
    assert "12  <- winner, refuted (12 - 2 = 12: it is 10, and 3 more)" in printed
    body["candidates"][0]["finish_reason"] = "stopped"
    printed = str(SolveResult.model_validate(body))
    assert "12 - 2 = 12: it is 10, and 3 more), stopped there" in printed


def test_an_answer_of_a_gateway_without_verifiers_is_shown_as_ever() -> None:
    missing = [{"stage": "refine_locally", "reason": "timed_out"}]
    body = samples.older(samples.result(selected=1, degraded=missing))
    assert str(SolveResult.model_validate(body)) == PRINTED


def test_a_notebook_shows_the_same_with_colours() -> None:
    page = SolveResult.model_validate(samples.result(selected=1))._repr_html_()
    rows = re.findall(r'<tr style="background: (.*?);.*?>(.*?)</tr>', page, re.DOTALL)
    colours = [colour for colour, _ in rows]
    assert len(rows) == 6
    assert len({colours[0], colours[1]}) == 2  # a right step and a wrong one
    assert colours[1] == colours[2]
    assert ["first error" in row for _, row in rows] == [False, True, False] + [False] * 3
    assert ["winner" in row for _, row in rows] == [False] * 4 + [True, False]
    for score in ("0.98", "0.21", "0.15", "0.20", "0.90", "0.40"):
        assert f">{score}<" in page
    assert "global refinement" in page
    assert "3.2 s, 6 engine calls" in page


def test_a_page_brings_all_it_needs_and_keeps_the_colours_of_its_surroundings() -> None:
    for tag, attributes in structure(SolveResult.model_validate(samples.result())):
        assert tag in {"div", "b", "bdi", "table", "tr", "td", "details", "summary"}
        assert attributes.keys() <= {"class", "style"}
        style = attributes.get("style") or ""
        assert "url" not in style
        assert set(re.findall(r"\bcolor: (\w+)", style)) <= {"inherit"}


def luminance(colour: tuple[float, ...]) -> float:
    """Of a colour of parts 0..255, as WCAG 2 defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (each / 255 for each in colour)
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("text", "page"),
    [((0, 0, 0), (255, 255, 255)), ((255, 255, 255), (17, 17, 17)), ((204,) * 3, (30, 30, 30))],
    ids=["light", "JupyterLab's dark", "VS Code's dark"],
)
def test_colours_can_be_read_on_light_and_on_dark(
    text: tuple[float, ...], page: tuple[float, ...]
) -> None:
    shown = SolveResult.model_validate(samples.result(selected=1))._repr_html_()
    colours = set(re.findall(r"rgba\((\d+), (\d+), (\d+), ([\d.]+)\)", shown))
    assert len(colours) >= 2
    for *parts, alpha in colours:
        share = float(alpha)
        below = tuple(
            share * float(part) + (1 - share) * under
            for part, under in zip(parts, page, strict=True)
        )
        assert contrast(text, below) >= 4.5  # WCAG 2, level AA


@pytest.mark.parametrize("text", ATTACKS)
def test_foreign_text_is_never_markup(text: str) -> None:
    result = result_with(text)
    assert structure(result) == HARMLESS
    page = Page(result._repr_html_())
    assert visible(text, allowed="\n\t") in page.texts


@settings(max_examples=30)
@given(st.text())
def test_no_text_is_markup_or_hidden(text: str) -> None:
    result = result_with(text)
    assert structure(result) == HARMLESS
    (found, *_) = result.candidates[0].findings
    for shown in (str(result), result._repr_html_(), repr(result), str(found)):
        assert not set(CONTROLS + BIDI) & set(shown)


@pytest.mark.parametrize("text", ATTACKS)
def test_controls_and_directions_are_visible(text: str) -> None:
    result = result_with(text)
    for shown in (str(result), result._repr_html_(), repr(result)):
        assert not set(CONTROLS + BIDI + "\ufeff\u200b\u00ad\u2028\u2029\ud83d") & set(shown)
        shown.encode()
    for hidden in set(text) & set(CONTROLS + BIDI):
        assert ascii(hidden)[1:-1] in str(result)


def test_mathematics_in_foreign_text_is_not_typeset() -> None:
    (_, attributes), *_ = structure(result_with("$x$"))
    classes = (attributes["class"] or "").split()
    assert {"tex2jax_ignore", "mathjax_ignore"} <= set(classes)


def test_text_that_is_spread_over_lines_cannot_pose_as_the_frame() -> None:
    forged = "x\nAnswer: 99\r\nCandidates\n"
    lines = str(result_with(forged)).splitlines()
    assert [line for line in lines if line.startswith("Answer: ")] == [
        "Answer: x Answer: 99 Candidates"
    ]
    assert lines.count("Candidates") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": None},
        {"draft": {"steps": [], "first_error": None, "threshold": 0.5}},
        {"draft": {"steps": [{"index": 0, "text": "a"}], "first_error": 7, "threshold": 0.5}},
        {"draft": {"steps": [{"index": 0, "text": ""}], "first_error": 0, "threshold": "NaN"}},
        {"candidates": [samples.candidate("draft", None)]},
        {"candidates": [samples.candidate("new_kind", "1", float("inf"))]},
    ],
)
def test_every_result_can_be_shown(changes: dict[str, Any]) -> None:
    result = SolveResult.model_validate(samples.result() | changes)
    assert "Candidates" in str(result)
    assert structure(result)


def test_repr_stays_short_whatever_the_result_holds() -> None:
    result = result_with("x" * 100_000)
    assert len(repr(result)) < 400
    assert len(repr(Answered(0, Question("1+1?"), result))) < 700
    plain = SolveResult.model_validate(samples.result())
    assert repr(plain) == (
        "SolveResult(answer='12', selected='draft', strategy='glore', candidates=3, "
        "id='solve_0123456789abcdef0123456789abcdef')"
    )
