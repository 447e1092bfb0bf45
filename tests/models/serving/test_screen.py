import io

from rich.console import Console

from glore_models.serving.screen import Screen, shortened
from tests.service.clock import ManualClock


def test_lines_elsewhere_than_on_a_terminal_come_at_a_bearable_pace() -> None:
    output, clock = io.StringIO(), ManualClock()
    screen = Screen(Console(file=output), clock)
    for second in range(61):
        screen.progress("engines", "loading" if second < 12 else "warming up")
        clock.advance(1.0)
    said = [line.split() for line in output.getvalue().splitlines()]
    assert [(line[0], line[-1]) for line in said] == [
        ("0", "loading"), ("12", "up"), ("32", "up"), ("52", "up"),
    ]  # fmt: skip


def test_a_terminal_shows_one_moving_line_that_is_cleared() -> None:
    output = io.StringIO()
    screen = Screen(Console(file=output, force_terminal=True, highlight=False))
    screen.progress("engines", "loading [weights]")
    screen.progress("engines")
    screen.problem("It broke [sadly].", "Mend it.")
    assert "It broke [sadly]." in output.getvalue()
    assert "Mend it." in output.getvalue()


def test_a_long_line_is_cut() -> None:
    assert shortened("a  b\nc") == "a b c"
    assert len(shortened("x" * 500)) == 60
