"""JSON that is read value by value means what it means to Python's own parser."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glore.api.json_text import MAX_MEMBERS, JsonText, check_size
from glore.errors import InvalidRequestError

LONGEST = 100
_SPACE = st.text(" \t\r\n", max_size=3)
_LEAF = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8)
_VALUES = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def array_in(content: bytes, longest: int) -> list[object]:
    text = JsonText(content, longest)
    values = [text.value() for _ in text.items("[", "]")]
    text.end()
    return values


@given(st.lists(_VALUES, max_size=6), _SPACE)
def test_an_array_is_what_it_is_to_python(values: list[object], space: str) -> None:
    content = f"{space}[{f'{space},{space}'.join(map(json.dumps, values))}{space}]{space}"
    assert array_in(content.encode(), 10_000) == values


@given(st.text('[]{},:"1 x', max_size=12))
def test_what_is_no_array_to_python_is_none_here(content: str) -> None:
    try:
        expected = json.loads(content)
    except ValueError:
        with pytest.raises(InvalidRequestError):
            array_in(content.encode(), LONGEST)
    else:
        if isinstance(expected, list):
            assert array_in(content.encode(), LONGEST) == expected
        else:
            with pytest.raises(InvalidRequestError):
                array_in(content.encode(), LONGEST)


@pytest.mark.parametrize(
    "value", ['"' + "x" * (LONGEST - 2) + '"', "1" * LONGEST, "[" + "1," * 48 + "1]"]
)
def test_a_value_may_be_so_long_and_no_longer(value: str) -> None:
    assert JsonText(f"  {value} ,".encode(), LONGEST).value() == json.loads(value)
    with pytest.raises(InvalidRequestError, match="not acceptable: body") as refused:
        JsonText(value.encode(), len(value) - 1).value()
    assert f"more than {len(value) - 1} characters" in refused.value.faults[0].message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1 2]", "Not valid JSON at character 3: Expecting ','"),
        (b"[1, x]", "Not valid JSON at character 4: Expecting value"),
        (b"{1}", "Not valid JSON at character 0: Expecting '['"),
        (b"[1] 2", "Not valid JSON at character 4: Extra data"),
        (b"[" + b"1" * 401 + b"]", "Not readable as JSON"),
        (b"[" * 5000, "Not readable as JSON"),
        (b"\xff", "Not readable as UTF-8"),
    ],
)
def test_what_is_wrong_is_reported_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        array_in(content, 10_000)
    assert refused.value.faults[0].message == message


def test_values_are_counted_wherever_they_are() -> None:
    check_size({"a": [1, {"b": 2}], "c": 3}, 6)
    with pytest.raises(InvalidRequestError) as refused:
        check_size({"a": [1, {"b": 2}], "c": 3}, 5, "questions.7")
    assert refused.value.faults[0].field == "questions.7"
    assert refused.value.faults[0].message == "More than 5 values"
    wide = {str(index): 0 for index in range(MAX_MEMBERS)}
    check_size([wide, wide], 1000)
    with pytest.raises(InvalidRequestError) as refused:
        check_size([wide | {"one": "more"}], 1000)
    assert refused.value.faults[0].message == f"An object of more than {MAX_MEMBERS} members"
