"""Words that change what an equation beside them means."""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FRACTIONS = (
    "half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth"
    " eighths tenth tenths hundredth hundredths thousandth thousandths"
)

# A run of words with one of these in it is not the unit of the number before.
PROSE: Final = _words(
    "and or but so then thus hence the is are was were be been has have had will would can which"
    " that this these those he she it they we you his her their if when while because since as at"
    " to from into with after before not equals equal makes leaves gives gets total sum answer"
    " result number amount altogether"
)
# These end a unit: "12 portions a day".
BEHIND_UNIT: Final = _words("a an per each every in for of on at by and or to")
# Among the words before an expression these take part in it: "twice the sum 5 + 3".
TAKES_PART: Final = _words(
    f"{_FRACTIONS} times plus minus negative twice thrice double doubled triple tripled root sqrt"
    " square squared cube cubed log ln sin cos tan exp mod modulo power average mean median product"
    " difference quotient divided multiplied off reciprocal inverse opposite absolute remainder"
    " factorial floor ceiling digit digits"
)
# Directly before an expression these name its first number or count something: "day 5 - 3".
NAMES: Final = _words(
    "step day week month year hour room question problem case example part chapter section page"
    " exercise equation figure table item option version round level grade phase base choose team"
    " one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty"
    " dozen hundred thousand million by than over when"
)
# Before an expression these only suppose it.
SUPPOSES: Final = _words(
    "if whether suppose supposing assume assuming unless say imagine guess not"
)
# What follows one of these stands for itself: "of his 8 apples, so he has 3 + 4".
BEGINS_CLAUSE: Final = _words(
    "is are was were be have has had will would makes leaves gives get gets got so then thus hence"
    " therefore because since he she it they we you total altogether equals means needs"
)
# Behind a number these make another of it: "3 remainder 2", "3 and a half".
CHANGES: Final = _words(
    f"{_FRACTIONS} remainder rem mod modulo times plus minus over divided multiplied point squared"
    " cubed am pm o'clock percentage factorial choose base carry borrow"
)
# Between two numbers these offer both, or a range.
JOINS: Final = _words("and or to")
# Sums of other things come in these.
POINTS: Final = _words("point points calorie calories credit credits coin coins")
