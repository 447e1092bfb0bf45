r"""The final answer of a solution: one number, or None where it is not certain which.

A solution states its answer behind the last `####`, as in GSM8K, or, without such a line, in its
last `\boxed{...}`. docs/guides/own-models.md lists the notations that are read. A wrong number is
worse than none, so whatever else stands there gives None. The time is linear in the text's length.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from glore.formats.typography import Box, boxes, plain_text

ANSWER_MARK: Final = "####"

_LONGEST: Final = 500  # characters of a line that states an answer, a long number apart
_NEAR_THE_END: Final = 10_000  # characters in which the last box is looked for
# Between the parts of an answer: white space, what dresses it, signs of currencies.
_P: Final = r"[\s\"'$¢-¥฿₠-⃀]"
_LETTERS: Final = "A-Za-zÀ-ÖØ-öø-ÿµ"
_END: Final = r"(?![^\W_])"  # of a word
_NUMBER: Final = (
    r"(?:[1-9]\d{0,2}(?>(?:,\d{3})+)|[1-9]\d?(?:,\d\d)+,\d{3}|[1-9]\d{0,2}(?>(?:[ ]\d{3})+)"
    r"|[1-9]\d{0,2}(?>(?:'\d{3})+)|\d++)(?:\.\d++)?(?![.,']?\d)|\.\d++(?![.,']?\d)"
)
_CODES: Final = "AUD|CAD|CHF|CNY|EUR|GBP|INR|JPY|NZD|RMB|USD"
_MONEY: Final = rf"{_P}*+(?>(?:(?:{_CODES}|Rs\.?+|(?:AU?|CA?|HK|N[TZ]|R|US?)(?=\$)){_P}*+)?)"
_CARDINALS: Final = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
# Units that may touch their number. A single letter may not: `5m` may be five million.
_UNITS: Final = (
    "[cdkm]?m[²³]|[cdkm]m|CM|KM|ft|in|yd|mi|mph|kph|kmh|km/h|m/s|[km]?g/k?m|[km]g|KG|lbs?|oz|[cm]l"
    f"|hrs?|mins?|secs?|kWh?|k?cal|{_CODES}|Rs"
)
_PER: Final = (
    "second|sec|s|minute|min|hour|hr|h|day|week|month|year|person|child|student|pound|lb|kg|mile|km"
    "|each|item|piece|unit"
)
# Words behind a number that make it another number, a part of one, a bound, a date, or no answer.
_CHANGES: Final = frozenset(
    f"""
    {_CARDINALS.replace("|", " ")} zero tens twice thrice
    hundred hundreds thousand thousands million millions billion billions trillion trillions
    dozen dozens gross score lac lakh lakhs crore crores grand bn mil mio mm mn mrd tsd
    mln bln mlrd trn milliers douzaine douzaines dutzend docena docenas demi demie halb oder ou
    mila mille tausend millionen milliarde milliarden milione milioni millón millones milhão milhões
    half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths seventh
    sevenths eighth eighths ninth ninths tenth tenths twelfth twelfths sixteenth sixteenths
    twentieth twentieths hundredth hundredths thousandth thousandths
    plus minus negative divided multiplied over squared cubed mod modulo power remainder factorial
    doubled tripled halved root pi infinity or least most minimum maximum above below under beyond
    approx approximately roughly if unless not no wrong incorrect false
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec am pm o'clock noon midnight st nd rd th
    """.split()
)

_ROUNDED: Final = frozenset(("approx", "approximately", "roughly"))

_PLAIN: Final = re.compile(rf"\s*+([-+]?+)({_NUMBER})\.?+\s*+")
_LEAD: Final = re.compile(
    rf"(?>(?:{_P}*+(?:(?:answers?|ans|correct|final|hence|is|my|our|result|so|the|therefore|thus)"
    rf"{_END}|[:=,]))*)",
    re.IGNORECASE,
)
_CONNECTED: Final = re.compile(r"(?:[:=,]|\b(?:is|so|thus|hence|therefore))\Z", re.IGNORECASE)
_STATED: Final = re.compile(
    rf"(?P<before>{_MONEY})(?P<sign>[-+]?+)(?P<after>{_MONEY})(?P<number>{_NUMBER})(?P<tail>.*+)",
    re.DOTALL,
)
_MILLIONS: Final = re.compile(rf"{_P}*+m(?!\"?[²³]){_END}")
_TAIL: Final = re.compile(
    rf"(?>(?:{_P}*+\((?i:{_CARDINALS})(?>(?:[\s-]++(?i:{_CARDINALS}|hundred|thousand|and))*)\))?)"
    rf"(?>(?:{_P}*+(?:%|°{_P}*+[CF]?+|(?:{_UNITS})(?>(?:\"?[²³])?))(?![^\W_]))?)"
    rf"(?:{_P}*+\.?+{_P}*+|(?P<words>(?:{_P}|[,(/]).*+))",
    re.DOTALL,
)
_WORD: Final = rf"[{_LETTERS}]++(?>(?:['-][{_LETTERS}]++)*)"
_WORDS: Final = re.compile(
    rf"(?>(?:{_P}|[,()]|/(?={_P}*+(?:{_PER}){_END})|{_WORD}(?>(?:{_P}*+[²³])?)[.!;]?+(?!\d))*)"
)
_EACH_WORD: Final = re.compile(_WORD)
# A word of one letter: an article, or a unit at the end. Any other is a variable.
_SINGLE: Final = re.compile(rf"a\s++[{_LETTERS}]{{2}}|[mghslL]{_P}*+(?:[²³.,)/]|\Z)")

_REFUSAL: Final = re.compile(
    rf"{_P}*+(?:none|nothing|unknown|undefined|n/a|no|not|cannot|can't|impossible){_END}",
    re.IGNORECASE,
)
_HEADING: Final = re.compile(
    rf"{_P}*+(?>(?:\(?\d++(?>(?:\.\d++)*)\s*+[.):-]{_P}*+)?)[{_LETTERS}]{{2}}"
)
_TURN_ENDS: Final = re.compile(r"<\|\w++\|>|</s>")  # a model's own token, not its text
_LATER: Final = re.compile(r"\d[\d,]*+(?>(?:\.\d++)?)")

_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters around the box that is read
_BEFORE_BOX: Final = re.compile(
    rf"(?:\A|(?<![\\{_LETTERS}])(?P<word>[{_LETTERS}]++)|(?<!\d)[:.,;]|(?<![<>!])=|[?!≈⇒→]){_P}*+\Z"
)
_AFTER_BOX: Final = re.compile(
    rf"{_P}*+(?:\Z|[.;!?](?!\d)|,(?!{_P}*+\d)|%|°"
    rf"|(?P<word>a(?=\s++[{_LETTERS}]{{2}})|(?=[{_LETTERS}]{{2}}){_WORD})(?!{_P}*+\d))"
)
_BETWEEN: Final = re.compile(r"\b(?:then|so|thus|hence|therefore|finally|final)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Stated:
    """The number that a line states; `words` stand behind it."""

    number: str
    words: bool


def parse_answer(solution: str) -> str | None:
    """The answer of a solution in plain form ('1,080.0' gives '1080'), or None.

    Without a mark it is that of the last box. A mark with nothing, `Answer:` or a heading behind
    it leaves the answer to the next line, or to the last box after it.
    """
    _, mark, marked = solution.rpartition(ANSWER_MARK)
    if not mark:
        return _boxed(solution)
    line, _, below = marked.partition("\n")
    title = _is_label(line) or _is_heading(line)
    stated = _stated(line)
    if _is_label(line):
        line, _, below = below.lstrip().partition("\n")
        stated = _stated(line)
    if stated is None:
        return _boxed(marked) if title or _holds_box(line) else None
    if _holds_box(below) and _boxed(below) != stated.number:
        return None
    later = _LATER.findall(below) if stated.words else []
    # `#### 3 friends share` above the text of a step is a heading and no answer
    return stated.number if not later or plain_number(later[-1]) == stated.number else None


def stated_answer(step: str) -> str | None:
    """What a step that begins with `####` says after it; None for a heading or any other step."""
    text = step.strip()
    stated = text.removeprefix(ANSWER_MARK).strip()
    return stated or None if text.startswith(ANSWER_MARK) and not _is_heading(stated) else None


def plain_number(text: str) -> str | None:
    """A number without thousands separators or trailing zeros; None if the text is not one.

    Every digit counts, however many there are; zero has no sign.
    """
    match = _PLAIN.fullmatch(text)
    return _plain(match[1], match[2]) if match else None


def same_answer(left: str | None, right: str | None) -> bool:
    """Whether both are answers and name the same number. No answer equals nothing."""
    if left is None or right is None:
        return False
    return plain_number(left) == plain_number(right) is not None


def _plain(sign: str, digits: str) -> str:
    number = format(Decimal(re.sub(r"[,' ]", "", digits)), "f")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"-{number}" if sign == "-" and number != "0" else number


def _stated(line: str) -> _Stated | None:
    """The one number that the line states, as a line behind `####` or the inside of a box."""
    if (number := plain_number(line)) is not None:
        return _Stated(number, words=False)
    line = _TURN_ENDS.split(line, maxsplit=1)[0]
    if len(line) > _LONGEST:
        return None
    text = plain_text(line)
    lead = _LEAD.match(text)
    start = lead.end() if lead else 0
    match = _STATED.fullmatch(text, start)
    if match is None or (start and not _leads_to(match, text[:start])):
        return None
    tail = _TAIL.fullmatch(match["tail"])
    words = tail["words"] if tail else None
    if tail is None or (words is not None and not _leave_it(words)):
        return None
    money = (match["before"] + match["after"]).strip()
    if money and _MILLIONS.match(match["tail"]):
        return None  # `$5 m`
    return _Stated(_plain(match["sign"], match["number"]), words=words is not None)


def _leads_to(stated: re.Match[str], lead: str) -> bool:
    """Not so in `Answer 3`, a title, nor in `Answer: - 3`, where the dash may be no minus."""
    dash = stated["sign"] and stated["after"][:1].isspace()
    return _CONNECTED.search(lead) is not None and not dash


def _leave_it(words: str) -> bool:
    """Whether the words behind a number leave it the number that it is."""
    if not _WORDS.fullmatch(words):
        return False
    found = list(_EACH_WORD.finditer(words))
    if not found or found[0][0].lower() == "and":
        return False
    return all(
        _SINGLE.match(words, each.start()) if len(each[0]) == 1 else _changes_nothing(each[0])
        for each in found
    )


def _changes_nothing(word: str) -> bool:
    return _CHANGES.isdisjoint(word.lower().split("-"))


def _is_label(line: str) -> bool:
    """Whether the line only announces an answer, as `Final Answer:` does, or is blank."""
    text = plain_text(line.strip()[:_LONGEST])
    lead = _LEAD.match(text)
    return not text[lead.end() if lead else 0 :].strip(" \t\r\n\"'$.")


def _is_heading(line: str) -> bool:
    """Whether the line is a title, as chat models begin parts of a solution, and no answer."""
    text = plain_text(line[:_LONGEST])
    title = _HEADING.match(text) is not None and _REFUSAL.match(text) is None
    return title and _stated(line) is None


def _holds_box(text: str) -> bool:
    return "\\boxed" in text or "\\fbox" in text


def _boxed(text: str) -> str | None:
    """The number in the last box, if nothing around the box makes it another or one of several."""
    text = text[-_NEAR_THE_END:]
    found = boxes(text)
    if not found:
        return None
    number = _in_box(text, found[-1])
    if number is None or len(found) == 1 or _in_box(text, found[-2]) == number:
        return number
    between = text[found[-2].end : found[-1].start]
    return number if _BETWEEN.search(between) else None


def _in_box(text: str, box: Box) -> str | None:
    if box.content is None or _OPEN in text or _CLOSE in text:
        return None
    begin = text.rfind("\n", 0, box.start) + 1
    end = text.find("\n", box.end)
    left, right = text[begin : box.start], text[box.end : None if end < 0 else end]
    plain = plain_text(f"{left[-_LONGEST:]}{_OPEN}{_CLOSE}{right[:_LONGEST]}")
    before, _, after = plain.partition(_OPEN + _CLOSE)
    stated = _stated(box.content)
    left_of, right_of = _BEFORE_BOX.search(before), _AFTER_BOX.match(after)
    if stated is None or left_of is None or right_of is None:
        return None
    words = {(left_of["word"] or "").lower(), (right_of["word"] or "").lower()}
    beside = words - _ROUNDED  # the box says what the number is rounded to
    fits = not beside & {"and", "than"} and all(map(_changes_nothing, beside))
    return stated.number if fits else None
