r"""A text as it reads: LaTeX, Markdown and variants of characters made plain.

What only dresses a text (emphasis, quotes, `\text{...}`, `\boxed{...}`) becomes `"`, so that no two
characters come together that did not touch. What is not understood stays, so that a reader who
does not know it stumbles. Every function is linear in the length of the text.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

DRESSING: Final = '"'

_CHARACTERS: Final = str.maketrans(
    {
        **dict.fromkeys("\u2212\uff0d\ufe63", "-"),  # the minus sign, its full and small forms
        **dict.fromkeys("\u00a0\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000", " "),
        **dict.fromkeys("\u2018\u2019\u02bc\uff07", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", DRESSING),
        **dict.fromkeys("\u200b\u2060\ufeff\ufe0f", DRESSING),  # of no width
        **dict.fromkeys("\u2705\u2714\u2611\U0001f389\U0001f3af", DRESSING),  # ticks and cheers
        **dict(zip("\uff0b\uff0e\uff0c\uff05\uff04\uff1a\uff1d\uff01", "+.,%$:=!", strict=True)),
        **dict(zip("\uff08\uff09\u3002", "().", strict=True)),
        "\u2103": "°C",
        "\u2109": "°F",
    }
)
_FOREIGN_DIGIT = re.compile(r"[^\D\x00-\x7f]")

_LATEX = re.compile(
    r"\{,\}|\^(?:\\circ|\{\\circ\})|\^([23])(?!\d)|\^\{([23])\}"
    r"|\\([A-Za-z]++)(?>(\s*+\{)?)|\\(.)|[{}]",
    re.DOTALL,
)
_DRESS = frozenset(
    ("boxed", "fbox", "mbox", "text", "textbf", "textit", "textrm", "mathbf", "mathit", "mathrm")
)
_COMMANDS = {
    "approx": "≈",
    "degree": "°",
    "implies": "⇒",
    "qquad": " ",
    "quad": " ",
    "Rightarrow": "⇒",
    "rightarrow": "→",
    "therefore": "⇒",
    "to": "→",
}
_ESCAPES = {
    **dict.fromkeys(",;:> ", " "),
    **dict.fromkeys("()[]$", "$"),
    "!": "",
    "%": "%",
}
_POWERS = {"2": "²", "3": "³"}

_EMPHASIS = re.compile(r"\*++|_++|`++")
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*+(\{)?")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_UNBRACED = re.compile(r"[^$\n]*+")


@dataclass(frozen=True, slots=True)
class Box:
    r"""One `\boxed{...}` of a text: where it stands, what is in it; None if it does not end."""

    start: int
    end: int
    content: str | None


def plain_text(text: str) -> str:
    """The text without LaTeX, emphasis and typographic variants, as far as they are known."""
    if not text.isascii():
        text = _FOREIGN_DIGIT.sub(_ascii_digit, text.translate(_CHARACTERS))
    if "\\" in text or "{" in text or "^" in text:
        text = _without_latex(text)
    return _without_emphasis(text)


def boxes(text: str) -> list[Box]:
    r"""The boxes of a text in order, without those inside others. `\boxed 18` has no braces."""
    found: list[Box] = []
    end = 0
    closing: dict[int, int] | None = None
    for match in _BOX.finditer(text):
        if match.start() < end:
            continue
        if match[1] is None:
            end = _end_of_unbraced(text, match.end())
            content: str | None = text[match.end() : end]
        else:
            closing = _closing_braces(text) if closing is None else closing
            close = closing.get(match.end() - 1)
            content = None if close is None else text[match.end() : close]
            end = match.end() if close is None else close + 1
        found.append(Box(match.start(), end, content))
    return found


def _end_of_unbraced(text: str, start: int) -> int:
    """Where the formula or line ends: what has no braces has no other end."""
    match = _UNBRACED.match(text, start)
    return match.end() if match else start


def _closing_braces(text: str) -> dict[int, int]:
    """The index of each closing brace by that of its opening one."""
    closing, opened = {}, []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            closing[opened.pop()] = match.start()
    return closing


def _ascii_digit(found: re.Match[str]) -> str:
    return str(unicodedata.decimal(found[0]))


def _without_latex(text: str) -> str:
    parts: list[str] = []
    braces: list[str] = []
    end = 0
    for match in _LATEX.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        parts.append(_plain(match, braces))
    parts.append(text[end:])
    parts.extend("{" for brace in braces if brace == DRESSING)  # never closed: not understood
    return "".join(parts)


def _plain(match: re.Match[str], braces: list[str]) -> str:
    """What is put for one piece of LaTeX. `braces`: what closes the open ones."""
    whole = match[0]
    digit, command, opens, escaped = match[1] or match[2], match[3], match[4], match[5]
    if digit:
        return _POWERS[digit]
    if command and opens:
        braces.append(DRESSING if command in _DRESS else "}")
        return DRESSING if command in _DRESS else whole
    if command:
        return DRESSING if command == "boxed" else _COMMANDS.get(command, whole)
    if escaped:
        return _ESCAPES.get(escaped, whole)
    if whole == "{":
        braces.append("}")
    elif whole == "}":
        return braces.pop() if braces else whole
    return {"{,}": ","}.get(whole, "°" if whole.startswith("^") else whole)


def _without_emphasis(text: str) -> str:
    """Pairs of `**`, `_` and the like as dressing, and one that ends the text; others stay.

    A mark opens where it touches what follows and nothing before it, and closes the other way
    round, so neither `3*4` nor `3 * 4` is emphasis.
    """
    dressed: set[int] = set()
    opened: list[re.Match[str]] = []
    last = len(text.rstrip(" .!\t\r\n"))
    for match in _EMPHASIS.finditer(text):
        start, end = match.span()
        before, after = text[max(start - 1, 0) : start], text[end : end + 1]
        closes = before.strip() != "" and not after.isalnum()
        opens = after.strip() != "" and not before.isalnum()
        if closes and opened and opened[-1][0] == match[0]:
            dressed |= {opened.pop().start(), start}
        elif opens:
            opened.append(match)
        elif closes and end == last:
            dressed.add(start)
    return _EMPHASIS.sub(lambda match: DRESSING if match.start() in dressed else match[0], text)
