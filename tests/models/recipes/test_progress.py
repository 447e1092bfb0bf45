"""The time left of a run."""

import pytest

from models.recipes.progress import spoken, time_left

EXPECTED = {"a": 100.0, "b": 200.0, "c": 50.0}


def test_what_finished_stages_took_here_scales_what_is_left() -> None:
    assert time_left(EXPECTED, {}, ["a", "b", "c"]) == 350
    assert time_left(EXPECTED, {"a": 50.0}, ["b", "c"]) == 125
    assert time_left(EXPECTED, {"a": 50.0, "unknown": 9.0}, ["b", "new"]) == 100


def test_nothing_is_said_of_what_was_never_measured() -> None:
    assert time_left({}, {"a": 3.0}, ["b"]) is None
    assert spoken(None) == "not known"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(10, "less than a minute"), (170, "about 3 min"), (7500, "about 2 h 5 min")],
)
def test_the_time_is_said_in_words(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
