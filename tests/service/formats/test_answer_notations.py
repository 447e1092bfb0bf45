"""A number in any notation is read as that number or not at all, and as no other."""

# ruff: noqa: RUF001 - characters that look alike are what this is about

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from glore.formats.answers import parse_answer, plain_number

DOCUMENTED = Path(__file__).parents[3] / "docs" / "guides" / "own-models.md"


def plain(number: Decimal) -> str:
    text = plain_number(format(number, "f"))
    assert text is not None
    return text


numbers = st.one_of(
    st.integers(0, 2000).map(Decimal),
    st.decimals(0, 10**10, allow_nan=False, places=2),
    st.integers(0, 10**15).map(Decimal),
)


def in_groups(digits: str, separator: str, *, indian: bool = False) -> str:
    last, rest = digits[-3:], digits[:-3]
    size = 2 if indian else 3
    groups = []
    while rest:
        groups.append(rest[-size:])
        rest = rest[:-size]
    return separator.join([*reversed(groups), last])


def a_number(number: Decimal, data: st.DataObject) -> str:
    """The digits, grouped and with as many decimals as you like."""
    whole, _, decimals = format(number, "f").partition(".")
    separator = data.draw(
        st.sampled_from(
            ["", ",", " ", "\u00a0", "\u2009", "\u202f", r"\,", "'", "’", "{,}", r",\!"]
        )
    )
    indian = separator == "," and data.draw(st.booleans())
    text = in_groups(whole, separator, indian=indian)
    decimals += "0" * data.draw(st.integers(0, 3))
    text = f"{text}.{decimals}" if decimals else text
    digits = data.draw(st.sampled_from(["0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩"]))
    return text.translate(str.maketrans("0123456789", digits))


SIGNS = ["-", "−", "－", "- ", "−\u2009"]
MONEY = ["{}", "$ {}", "${}", r"\${}", "€{}", "£{}", "₹ {}", "Rs.{}", "Rs. {}", "US${}", "EUR {}"]
BEHIND = [
    *("{}", "{}.", "{}%", "{} %", r"{}\%", "{} percent", "{}$", "{} €", "{} USD", "{} dollars."),
    *("{} apples", "{}kg", "{} cm", "{} m²", r"{}\text{{ apples}}", r"{} \text{{ m}}^2", "{} °C"),
    *("{} per week", "{} km/h", "{} clips, altogether", "{} (in total)", "{} days/week"),
]
AROUND = [
    *("{}", "**{}**", "*{}*", "__{}__", "`{}`", '"{}"', "${}$", r"\({}\)", r"\[ {} \]"),
    *(
        r"\boxed{{{}}}",
        r"$\boxed{{{}}}$",
        r"**\boxed{{\text{{{}}}}}**",
        r"\text{{{}}}",
    ),
]
ANNOUNCED = [
    *("{}", "= {}", "Answer: {}", "**Answer:** {}", "**Answer: {}**", "The final answer is {}"),
    *("The answer is: {}", "Therefore, the answer is {}", "Ans: {}", "Final Answer: {}"),
]
PLACES = [
    *("#### {}", "####{}", "3 + 4 = 7\n#### {}\n", "####\n{}", "#### Final Answer\n\n{}\n"),
    *(
        "#### {}\r\n",
        "##### {}",
        "#### {}</s>",
        "#### {}<|end|>\n",
        "#### Step 2: Add 3\n#### {}",
        "So 5.\n\n#### {}\n\nDone.",
    ),
]
IN_BOXES = [
    *(r"\boxed{{{}}}", r"It is $\boxed{{{}}}$.", r"**\boxed{{{}}}**", r"x = \boxed{{{}}}"),
    *("So\n\\[\n\\boxed{{{}}}\n\\]\n", "#### Step 2: Add\n1 + 2 = 3\nIt is \\boxed{{{}}}."),
    *(
        r"\boxed{{1}} so \boxed{{{}}}",
        "1/2 of 3\n\nTherefore \\boxed {{{}}} dollars.",
        r"\fbox{{{}}}",
    ),
]


def draw(data: st.DataObject, templates: list[str], text: str) -> str:
    return data.draw(st.sampled_from(templates)).format(text)


@given(numbers, st.data())
def test_a_number_in_a_supported_notation_is_read(number: Decimal, data: st.DataObject) -> None:
    sign = data.draw(st.sampled_from(["", *SIGNS]))
    money = data.draw(st.sampled_from(MONEY)).format(a_number(number, data))
    text = draw(data, BEHIND, sign + money)
    if data.draw(st.booleans()):
        solution = draw(data, IN_BOXES, text)
    else:
        announcing = data.draw(st.sampled_from(ANNOUNCED))
        assume(announcing == "{}" or not sign[-1:].isspace())  # `Answer: - 3` may be no minus
        around = draw(data, AROUND, text)
        assume("*" not in around or announcing != "**Answer: {}**")  # nested, and so ambiguous
        solution = draw(data, PLACES, announcing.format(around))
    expected = plain(-number if sign else number)
    assert parse_answer(solution) == expected


OTHERS = [
    *("{a}/{b}", "{a} {b}/{c}", "{a}½", r"\frac{{{a}}}{{{b}}}", r"{a}\frac{{{b}}}{{{c}}}"),
    *("{a} and a half", "{a} quarters", "{a} of {b}", "{a} out of {b}", "{a} in {b}"),
    *("{a}:{b}", "{a} : {b}", "{a} to {b}", "{a}-{b}", "{a}–{b}", "{a} – {b}", "{a}..{b}"),
    *("{a}e{b}", "{a}E-{b}", "{a}^{b}", "{a}^{{{b}}}", "{a}**{b}", "{a}²", "{a}×10^{b}", "{a}!"),
    *(r"{a}\times 10^{{{b}}}", r"{a}\pi", "{a}π", "{a} pi", r"{a}\sqrt{{{b}}}", r"\sqrt{{{a}}}"),
    *("{a} + {b}", "{a}+{b}", "{a} - {b}", "{a} * {b}", "{a}*{b}", "{a} x {b}", "{a} × {b}"),
    *(
        "{a} + {b} = {c}",
        "{a} = {b}",
        "{a} ÷ {b}",
        "x = {a}",
        "{a}x",
        "{a}y + {b}",
        "{a} x",
        "n={a}",
    ),
    *("{a} and {b}", "{a} or {b}", "{a} & {b}", "{a}; {b}", "{a}, {b}", "({a}, {b})", "[{a}, {b}]"),
    *("{{{a}, {b}}}", "{a} | {b}", "{a} apples and {b} oranges", "{a} feet {b} inches", "({a})"),
    *("{a}, {b} and {c}", "{a} hours and {b} minutes", "{a}'{m}\"", "{a} dollars and {b} cents"),
    *("{a}k", "{a}K", "{a} k", "{a}M", "{a}m", "{a}B", "{a} million", "{a} thousand", "{a} dozen"),
    *("${a}M", "${a} m", "{a} hundred", "{a} lakh", "{a} crore", "{a} bn", "{a} Mio.", "{a}T"),
    *("> {a}", "<{a}", "≥ {a}", "≤{a}", r"\le {a}", r"x \ge {a}", "{a}+", "{a} or more", "± {a}"),
    *(
        "at least {a}",
        "{a} at most",
        "~{a}",
        "≈ {a}",
        "about {a}",
        "{a} ± {b}",
        "{a} approximately",
    ),
    *("{h}:{m}", "{h}:{m} pm", "{h} pm", "{h} a.m.", "{h} o'clock", "2026-{h}-{m}", "{h}/{m}/2026"),
    *("{h} May", "May {h}", "{h}th", "{h}. May 2026", "1st", "{h}.{h}.2026", "0x{h}", "No. {a}"),
    *(
        "{a}...",
        "{a}.{b}.{c}",
        "0.({a})",
        r"{a}.\overline{{{b}}}",
        "--{a}",
        "+-{a}",
        "{a}-",
        "{a}?",
    ),
    *(
        "A) {a}",
        "({a}",
        "{a})",
        "Answer {a}",
        "{a}. Multiply",
        "{a}) Add",
        "Step {a}",
        "Day {a}: {b}",
    ),
    *(
        "There are {a} apples",
        "Total: {a}",
        "not {a}",
        "negative {a}",
        "minus {a}",
        "{a} below zero",
    ),
    *("{a} is wrong", "{a} if it rains", "half of {a}", "twice {a}", "{a} squared", "{a} over {b}"),
    *("{a},", "{a}_000", "{a} (in thousands)", "{a} apples ({b} each)", "two", "none", "∞", "nan"),
]


@given(st.data())
def test_what_is_no_single_number_has_no_answer(data: st.DataObject) -> None:
    of = {name: data.draw(st.integers(1, 999)) for name in "abc"}
    clock = {"h": data.draw(st.integers(1, 12)), "m": f"{data.draw(st.integers(10, 59))}"}
    text = data.draw(st.sampled_from(OTHERS)).format(**of, **clock)
    if data.draw(st.booleans()):
        solution = draw(data, [each for each in IN_BOXES if "####" not in each], text)
    else:
        around = [each for each in AROUND if "boxed" not in each and each != "`{}`"]
        solution = draw(data, ["#### {}", "####{}", "####\n{}"], draw(data, around, text))
    assert parse_answer(solution) is None


@pytest.mark.parametrize("decimals", ["5", "50", "1234", "5000"])
@given(st.integers(0, 999), st.data())
def test_a_decimal_comma_is_not_guessed(decimals: str, whole: int, data: st.DataObject) -> None:
    text = draw(data, MONEY, f"{whole},{decimals}")
    assert parse_answer(draw(data, PLACES, draw(data, AROUND, text))) is None


BESIDE_BOXES = [
    *(
        "-{}",
        "2{}",
        "{}^2",
        "{}/2",
        "{}:2",
        "{}2",
        "2,{}",
        "{},000",
        "{}.5",
        "{} million",
        "{} dozen",
    ),
    *(r"\frac{{{}}}{{4}}", r"3 \times {}", r"{} \pi", r"x \ge {}", "x > {}", r"x \neq {}", "{}x"),
    *("It is not {}", "At least {}", "More than {}", "{} or 20", "20 and {}", "{}, 20", "{} = 20"),
    *("minus {}", "half {}", "{} and a half", "{}-{}", "{} to {}", "x = {}, y = 1{}", "({})"),
]


@given(st.sampled_from(BESIDE_BOXES), st.integers(1, 999), st.data())
def test_a_box_that_is_a_part_of_something_has_no_answer(
    template: str, number: int, data: st.DataObject
) -> None:
    around = data.draw(st.sampled_from(["{}", "${}$", r"\({}\)", "So {}.", "**{}**", "{}\n"]))
    box = rf"\boxed{{{number}}}"
    assert parse_answer(around.format(template.format(box, rf"\boxed{{{number + 1}}}"))) is None


FRAGMENTS = [
    *(" ", "  ", "\t", ".", ",", ":", ";", "!", "?", "-", "−", "–", "+", "*", "**", "_", "`", "/"),
    *(
        "$",
        "€",
        "%",
        "°",
        "'",
        '"',
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "=",
        "<",
        ">",
        "~",
        "^",
        "²",
        "½",
    ),
    *("\\", r"\boxed{", r"\boxed", r"\text{", r"\frac{", r"\,", r"\!", r"\%", r"\$", r"\(", r"\)"),
    *(
        "apples",
        "kg",
        "m",
        "k",
        "x",
        "e",
        "million",
        "dozen",
        "half",
        "and",
        "or",
        "per",
        "of",
        "a",
    ),
    *(
        "Answer",
        "answer",
        "is",
        "The",
        "so",
        "Rs.",
        "USD",
        "Step",
        "pm",
        "####",
        "\n",
        "\r",
        "é",
        "π",
    ),
    *(
        "\u00a0",
        "\u2009",
        "\u200b",
        "\u2028",
        "<|end|>",
        "</s>",
        "{,}",
        "\ue000",
        "\ue001",
        "１",
        "٣",
    ),
]
BETWEEN_TWO = re.compile(r"[A-Za-z*_`/:;=<>~^²½π+–€%°()\[\]\-]")


@given(
    st.lists(st.sampled_from([*FRAGMENTS, "#1", "#2", "#2"]), min_size=1, max_size=12),
    st.sampled_from(["#### ", "\\boxed{", "So it is \\boxed{", "", "#### Step\n"]),
)
@example(["#1", "π"], "#### ")
@example(["**", "#1", "**", "#2"], "#### ")
@example(["#1", r"\boxed{", "#2", "}"], "")
def test_no_digits_come_from_two_numbers(parts: list[str], begin: str) -> None:
    """All digits of an answer stood in one place, with nothing but separators between them."""
    written = {"#1": "17", "#2": "345"}
    text = begin + "".join(written.get(part, part) for part in parts) + "}"
    answer = parse_answer(text)
    if answer is None:
        return
    assert plain_number(answer) == answer
    digits = [(str(int(char)), index) for index, char in enumerate(text) if char.isdecimal()]
    wanted = answer.lstrip("-").replace(".", "").strip("0") or "0"
    stripped = "".join(digit for digit, _ in digits)
    indices = [at for at in range(len(stripped)) if stripped.startswith(wanted, at)]
    between = [text[digits[at][1] : digits[at + len(wanted) - 1][1] + 1] for at in indices]
    assert any(not BETWEEN_TWO.search(each) for each in between), (text, answer)


@given(st.text())
def test_without_a_digit_there_is_no_answer(text: str) -> None:
    assume(not any(char.isdecimal() for char in text))
    assert parse_answer(f"#### {text}") is None
    assert parse_answer(f"\\boxed{{{text}}}") is None


def documented() -> list[tuple[str, str | None]]:
    """The examples of both tables with what is read."""
    page = DOCUMENTED.read_text(encoding="utf-8").partition("\n## The answer of a solution\n")[2]
    read, none = page.partition("\n| null |")[::2]
    rows = none.partition("\n\n")[0]
    found: list[tuple[str, str | None]] = []
    found += re.findall(r"`([^`]+)` is (-?[\d.]*\d)", read)
    found += [(text, None) for row in rows.splitlines() for text in re.findall(r"`([^`]+)`", row)]
    return [(text.replace("⏎", "\n"), answer) for text, answer in found]


@pytest.mark.parametrize(("solution", "answer"), documented())
def test_what_is_documented_holds(solution: str, answer: str | None) -> None:
    assert parse_answer(solution) == answer


def test_all_examples_are_found_in_the_documentation() -> None:
    examples = documented()
    assert len(examples) > 90
    assert sum(answer is None for _, answer in examples) > 50
