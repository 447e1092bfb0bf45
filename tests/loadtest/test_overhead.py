"""The benchmark of the gateway's overhead runs on this checkout; no time is judged here."""

import pytest

from loadtest import overhead
from loadtest.raw_engine import CallInterval, union_seconds


def test_each_gateway_is_measured_in_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--rounds", "1", "--share", "0.02", "--latency", "0.001"]
    assert overhead.main(arguments) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[4:]]
    assert [row[:2] for row in rows] == [[case.name, "this"] for case in overhead.CASES]
    for _, _, p50, p99, rate, cpu in rows:
        assert 0 < float(p50) <= float(p99)
        assert float(rate) > 0
        assert float(cpu) >= 0


def test_traces_are_measured_beside_no_traces(capsys: pytest.CaptureFixture[str]) -> None:
    case = overhead.CASES[0].name
    arguments = ["--rounds", "1", "--share", "0.02", "--traced", "--cases", case]
    assert overhead.main(arguments) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[4:]]
    assert [row[:2] for row in rows] == [[case, "this"], [case, "this, traced"]]


def test_intervals_that_overlap_count_once() -> None:
    assert union_seconds([]) == 0
    assert union_seconds([CallInterval(1, 2), CallInterval(4, 5)]) == 2
    assert (
        union_seconds(
            [CallInterval(4, 8), CallInterval(1, 2), CallInterval(5, 6), CallInterval(7, 9)]
        )
        == 6
    )
