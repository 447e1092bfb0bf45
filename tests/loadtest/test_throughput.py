"""The throughput benchmark runs on a toy base; no time is judged here."""

from pathlib import Path

import pytest

from loadtest import throughput
from models.data.problems import Problem


def test_both_ways_are_measured_and_compared(
    tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--problems", "2", "--rollouts", "2", "--max-tokens", "4", "--rank", "2"]
    assert throughput.main([str(tiny_base), *small, "--rounds", "1"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[1:]] == ["| sampling", "| training"]
    for row in rows[1:]:
        ours, plain, ratio = (float(cell) for cell in row.strip("| ").split(" | ")[1:])
        assert ours > 0
        assert plain > 0
        assert ratio == pytest.approx(ours / plain, rel=0.05)


def test_the_ratio_is_that_of_the_medians() -> None:
    given = iter([10.0, 2.0, 90.0, 1.0, 20.0, 4.0])
    compared = throughput.compare("x", lambda: next(given), lambda: next(given), rounds=3)
    assert compared.ours == (10.0, 90.0, 20.0)
    assert compared.ratio == 10.0


def test_every_prefix_is_asked_for() -> None:
    problem = Problem("1", "q", "4", "2 + 2 = 4\n#### 4", "s")
    first, second = throughput.prefix_prompts([problem])
    assert first == "Question: q\nSolution:\n"
    assert second == first + "2 + 2 = 4\n"
