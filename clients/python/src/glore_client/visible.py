"""Text of somebody else, made safe to show: nothing in it is invisible or obeyed."""

import unicodedata

# Controls, directions and other invisible characters, lone surrogates, line and paragraph ends.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# They join the letters of some scripts and the parts of some emoji.
_JOINERS = frozenset("\u200c\u200d")


def visible(text: str, kept: str = "") -> str:
    """The text with an escape, as `repr` writes it, for each hidden character.

    `kept`: hidden characters that stay as they are, such as a newline.
    """
    if text.isprintable():
        return text
    return "".join(
        repr(each)[1:-1]
        if unicodedata.category(each) in _HIDDEN and each not in _JOINERS and each not in kept
        else each
        for each in text
    )


def excerpt(text: str, longest: int = 200) -> str:
    """The beginning of the text in one line of at most `longest` characters."""
    line = visible(" ".join(text[: 4 * longest].split()))
    if len(line) > longest or len(text) > 4 * longest:
        return f"{line[: longest - 1]}…"
    return line
