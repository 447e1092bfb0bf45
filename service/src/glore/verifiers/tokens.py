r"""The tokens of a text with equations: numbers, operators, words, and what cannot be read.

Plain text, Markdown and LaTeX give the same tokens: `\frac{1}{2} \times 4` reads as
`(1)/(2) x 4` does. What is not certain to be arithmetic, such as a variable, a time or an
unknown LaTeX command, is a SYMBOL. A rule takes time linear in what it matches.
"""

import re
from enum import Enum, auto
from typing import Final, NamedTuple


class Kind(Enum):
    """What a token is."""

    NUMBER = auto()  # 1,200.50; in one token also 1/2 and 3 1/2
    OPERATOR = auto()  # + - * / ^
    FRACTION = auto()  # \frac, which two groups follow
    OPEN = auto()
    CLOSE = auto()
    PERCENT = auto()
    MONEY = auto()  # a currency sign, or the $ around a formula
    EQUALS = auto()
    ABOUT = auto()  # is approximately
    RELATION = auto()  # < and the like, arrows
    STOP = auto()  # . , ; : ? !
    LINE = auto()  # the end of a line, with the list marker that begins the next one
    WORD = auto()  # also several in a row, in \text{...}
    SYMBOL = auto()  # what cannot be read
    SPACE = auto()  # never a token


class Token(NamedTuple):
    """A piece of the text with its offsets there. Operators and words have one spelling."""

    kind: Kind
    text: str
    start: int
    end: int


_PRIME = "'\N{RIGHT SINGLE QUOTATION MARK}"
_MINUS = "-\N{MINUS SIGN}\N{EN DASH}"
_TIMES = "*\N{MULTIPLICATION SIGN}\N{MIDDLE DOT}\N{DOT OPERATOR}\N{BULLET OPERATOR}"
_DIVIDE = "/\N{DIVISION SIGN}\N{DIVISION SLASH}\N{FRACTION SLASH}"
_LETTER = r"[^\W\d_\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209c\u2150-\u215e]"  # not ², ₂ or ½
_END = r"(?![A-Za-z])"  # of the name of a LaTeX command
_GROUPED = r"[0-9]{1,3}(?:(?:,|\{,\}|\\,|\\!,?)[0-9]{3})+"  # 1,200 and 1{,}200
_FACTOR = r"[^\S\n]?(?:\.?[0-9]|[($€£¥₹]|\\\$|\\left|\\[dt]?frac)"  # what `x` multiplies by
_UNIT = r"(?:[cmk]m|[km]?g|m[lL]|lbs?|oz|ft|in|yd|mi|hrs?|mins?|secs?|mph|kph)(?![A-Za-z0-9_(^])"
_NOT_YET = (  # what makes something else of the digits before it: 3:30 2,5 5! 101_2 3e5 2nd 3y
    rf"[0-9_]|[.,:{_PRIME}][0-9]|\{{,\}}|!(?!=)|(?!\s?[xX]{_FACTOR}|{_UNIT}){_LETTER}"
)
_MARKER = rf"(?:[{_MINUS}*•‣>]|[(]?(?:[0-9]{{1,2}}|[a-zA-Z])[.)]|\#{{1,6}})[ \t]+"
_ALIGNED = r"(?:aligned|align|gathered|gather|split|equation|multline)\*?"
_TEXT = r"\\(?:text(?:bf|it|rm)?|mathrm|mbox)\s?\{"
_EXPONENT = r"(?:\^\{?[0-9]\}?|[²³])?"  # of a unit

_RULES: Final = (
    (Kind.LINE, rf"(?>(?:\n[ \t]*+)+)(?>(?:{_MARKER})*)"),
    (Kind.SPACE, r"[^\S\n]+"),
    (Kind.PERCENT, r"\\?%|percent(?!\w)"),
    (Kind.MONEY, r"(?:US)?\\?\$|[€£¥₹]"),
    (Kind.WORD, rf"{_LETTER}{{2,}}+(?>(?:[{_PRIME}/-]{_LETTER}++)*){_EXPONENT}(?![\w(\[^])"),
    (Kind.LINE, rf"\\\\(?:\[[^\]\n]{{0,9}}\])?|\\(?:newline|hline){_END}"),
    (Kind.LINE, rf"\\(?:begin|end)\{{{_ALIGNED}\}}"),
    (Kind.SPACE, r"&+|~(?=[\\0-9])|\\[,;:! ()\[\]]"),
    (Kind.SPACE, rf"\\(?:q?quad|left|right|[bB]igg?[lr]?|displaystyle|boxed){_END}"),
    (Kind.SPACE, r"\*\*(?![0-9(])|(?<![0-9)])\*\*"),  # bold type
    (Kind.WORD, rf"{_TEXT}[^{{}}0-9=+*<>\\]*+\}}{_EXPONENT}"),
    (Kind.SYMBOL, rf"{_TEXT}[^{{}}]*+\}}"),
    (Kind.NUMBER, r"[1-9][0-9]{0,3} [1-9][0-9]?/[1-9][0-9]?(?![\w/!^]|[.,:][0-9])"),
    (Kind.NUMBER, r"(?:[1-9][0-9]{0,3} ?)?[½⅓⅔¼¾⅛⅜⅝⅞]"),
    (Kind.NUMBER, r"\\[dt]?frac\s?[0-9]\s?[1-9](?![0-9])"),
    (
        Kind.NUMBER,
        rf"(?!0[0-9xXbBoO])(?:{_GROUPED}|[0-9]{{1,15}})(?:\.[0-9]{{1,15}})?(?!{_NOT_YET})",
    ),
    (Kind.NUMBER, rf"(?<![\w)])\.[0-9]{{1,15}}(?!{_NOT_YET})"),
    (
        Kind.SYMBOL,
        rf"\.{{2,}}|…|\\[lcdv]?dots[a-z]?|\.?[0-9](?>(?:[.,:{_PRIME}]?\w)*)!*|(?<=[)\]}}])!",
    ),
    (Kind.FRACTION, rf"\\[dt]?frac{_END}"),
    (Kind.RELATION, r"[<>=!:]=|=>|->|[<>≤≥≠→⇒⟹∴]"),
    (
        Kind.RELATION,
        rf"\\(?:leq?|geq?|neq?|lt|gt|to|implies|iff|therefore|[A-Za-z]*arrow){_END}",
    ),
    (Kind.EQUALS, r"="),
    (Kind.ABOUT, rf"[≈≃≅]|\\(?:approx|simeq|cong){_END}"),
    (Kind.WORD, rf"/\s?{_LETTER}{{2,}}+(?>(?:[/-]{_LETTER}+)*)|(?<=[0-9])-{_LETTER}{{3,}}+"),
    (Kind.WORD, r"°(?:\s?[CF](?!\w))?|\^\s?\{?\s?\\circ\s?\}?|¢"),
    (
        Kind.OPERATOR,
        rf"\\(?:times|cdot|ast|div){_END}|\\\*|\*\*|[{_MINUS}{_TIMES}{_DIVIDE}+^²³]",
    ),
    (Kind.OPERATOR, rf"[xX](?={_FACTOR})"),
    (Kind.STOP, r"[?!]+|[.,;:—]"),
    (Kind.OPEN, r"[(\[{]"),
    (Kind.CLOSE, r"[)\]}]"),
    (Kind.WORD, rf"[aAI](?= {_LETTER}{{2}})"),
    (Kind.SYMBOL, rf"[^\W\d][\w{_PRIME}]*+(?:_\{{[^{{}}]{{0,20}}\}})?(?:\^\{{?\w\}}?)?"),
    (Kind.SYMBOL, r"\\(?:[A-Za-z]+|.)(?:_\{[^{}]{0,20}\}|_\w)?"),
    (Kind.SYMBOL, r"[\0-\x1f\"#'@`|]++|."),
)
_PATTERN: Final = re.compile("|".join(f"({rule})" for _, rule in _RULES), re.DOTALL)
_KINDS: Final = (Kind.SPACE, *(kind for kind, _ in _RULES))
_SPELLED: Final = {
    **dict.fromkeys([*_TIMES, *"xX", "\\times", "\\cdot", "\\ast", "\\*"], "*"),
    **dict.fromkeys([*_DIVIDE, "\\div"], "/"),
    **dict.fromkeys(_MINUS, "-"),
    "**": "^",
}
_MOST_TOKENS: Final = 3000  # about 15,000 characters of prose
_BEFORE_TIMES: Final = (
    Kind.NUMBER,
    Kind.CLOSE,
    Kind.PERCENT,
    Kind.WORD,
    Kind.MONEY,
)
_VARIABLE_X: Final = re.compile(rf"[xX](?<!{_LETTER}[xX])(?!{_LETTER}|{_FACTOR})")


def has_variable_x(text: str) -> bool:
    """Whether an `x` in `text` does not multiply: `2x + 3`."""
    return _VARIABLE_X.search(text) is not None


def tokenize(text: str, *, x_multiplies: bool) -> list[Token]:
    """The tokens of `text` in order, of whole lines up to a limit, in time linear in its length.

    Where `text` begins and ends with a newline, so do the tokens with a LINE.
    """
    tokens: list[Token] = []
    for match in _PATTERN.finditer(text):
        kind, spelled = _KINDS[match.lastindex or 0], match.group()
        if kind is Kind.SPACE:
            continue
        if kind is Kind.OPERATOR:
            operand = tokens and tokens[-1].kind in _BEFORE_TIMES
            if spelled in "xX" and not (operand and x_multiplies):
                kind = Kind.SYMBOL
            spelled = _SPELLED.get(spelled, spelled)
        elif kind is Kind.WORD:
            spelled = spelled.rpartition("{")[2].strip("} ").lower()
        tokens.append(Token(kind, spelled, *match.span()))
        if len(tokens) == _MOST_TOKENS:
            return _whole_lines(tokens)
    return tokens


def _whole_lines(tokens: list[Token]) -> list[Token]:
    """The tokens without the last line, which is cut off, and the one that may go on in it."""
    lines = [index for index, token in enumerate(tokens) if token.kind is Kind.LINE]
    return tokens[: lines[-2] + 1] if len(lines) > 1 else []
