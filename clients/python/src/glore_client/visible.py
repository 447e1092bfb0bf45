"""Foreign text, made safe to show: hidden and control characters are escaped."""

import unicodedata

# Controls, directions and other invisible characters, lone surrogates, line and paragraph ends.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# They join the letters of some scripts and the parts of some emoji.
_JOINERS = frozenset("\u200c\u200d")


def visible(text: str, allowed: str = "") -> str:
    """The text with an escape, as `repr` writes it, for each hidden character.

    `allowed`: hidden characters that are not escaped, such as a newline.
    """
    if text.isprintable():
        return text
    return "".join(
        repr(each)[1:-1]
        if unicodedata.category(each) in _HIDDEN and each not in _JOINERS and each not in allowed
        else each
        for each in text
    )


def excerpt(text: str, limit: int = 200) -> str:
    """The beginning of the text in one line of at most `limit` characters."""
    line = visible(" ".join(text[: 4 * limit].split()))
    if len(line) > limit or len(text) > 4 * limit:
        return f"{line[: limit - 1]}…"
    return line
