"""How long it will still take, from rows on disk and a clock of the test's own."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.evaluation.paper.remaining import STEPS, Share, TimeLeft


@dataclass
class HandClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def add_rows(folder: Path, file: str, rows: int, seconds: object) -> None:
    path = folder / f"{file}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {} if seconds is None else {"seconds": seconds}
    with path.open("a", encoding="utf-8") as lines:
        lines.write((json.dumps(row) + "\n") * rows)


def left(folder: Path, step: str, *shares: Share, clock: HandClock | None = None) -> str:
    made = TimeLeft(folder, shares, clock or HandClock())
    return made.line(shares[0].student, shares[0].set, step)


EI = Share("ei", "easy", 100, 20)


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    assert left(tmp_path, "drafts", EI) == "ei/easy drafts: time left not known"


def test_rows_on_disk_tell_how_long_others_of_their_phase_take(tmp_path: Path) -> None:
    add_rows(tmp_path, "ei/easy/drafts", 10, [30.0])
    assert left(tmp_path, "drafts", EI) == (
        "ei/easy drafts: time left about 45 min, "
        "without samples, sorm, orm, rollouts, global, local (not known yet)"
    )


def test_what_engines_take_on_the_wall_is_learnt(tmp_path: Path) -> None:
    clock = HandClock(1000.0)
    add_rows(tmp_path, "ei/easy/drafts", 10, [30.0])
    time_left = TimeLeft(tmp_path, [EI], clock)
    clock.now += 900
    add_rows(tmp_path, "ei/easy/drafts", 10, [30.0])  # (300 + 900) / (300 + 300): twice as long
    line = time_left.line("ei", "easy", "drafts")
    assert line.startswith("ei/easy drafts: time left about 1 h 20 min, without")


@pytest.mark.parametrize(
    ("step", "minutes"),
    [("local", 13 + 13), ("sorm of candidates", 13 + 13), ("orm of candidates", 13)],
)
def test_what_is_scored_later_is_expected_beyond_the_drafts(
    tmp_path: Path, step: str, minutes: int
) -> None:
    share = Share("ei", "easy", 10, 0)
    for role in ("sorm", "orm"):
        add_rows(tmp_path, f"ei/easy/{role}", 10, 60.0)
    add_rows(tmp_path, "ei/easy/local", 5, [1.0])
    assert left(tmp_path, step, share) == f"ei/easy {step}: time left about {minutes} min"
    add_rows(tmp_path, "ei/easy/orm", 3, 60.0)
    assert left(tmp_path, step, share) == f"ei/easy {step}: time left about {minutes - 3} min"


def test_later_sets_and_students_count(tmp_path: Path) -> None:
    for name in dict.fromkeys(step.phase for step in STEPS):
        add_rows(tmp_path, f"sft/all/{name}", 1, 0.0)
    add_rows(tmp_path, "sft/easy/global", 10, [60.0])
    shares = (Share("sft", "easy", 15, 0), Share("ei", "easy", 15, 0), Share("ei", "all", 15, 0))
    line = "sft/easy global: time left about 20 min"  # 5 and 15 of easy; those of all cost nothing
    assert left(tmp_path, "global", *shares) == line
    assert left(tmp_path, "local", *shares) == "sft/easy local: time left about 15 min"


def test_rollouts_are_of_labelled_questions_and_old_ones_without_seconds_tell_nothing(
    tmp_path: Path,
) -> None:
    for name in ("global", "local", "sorm", "orm"):
        add_rows(tmp_path, f"ei/all/{name}", 1, 0.0)
    share = Share("ei", "easy", 10, 100)  # 9 rows are expected
    add_rows(tmp_path, "ei/easy/rollouts", 2, None)
    unknown = "ei/easy rollouts: time left less than a minute, without rollouts (not known yet)"
    assert left(tmp_path, "rollouts", share) == unknown
    add_rows(tmp_path, "ei/easy/rollouts", 1, 120.0)
    assert left(tmp_path, "rollouts", share) == "ei/easy rollouts: time left about 12 min"


def test_a_scorer_that_is_compared_counts_when_it_is_there(tmp_path: Path) -> None:
    share = Share("ei", "easy", 10, 0)
    for name in ("orm", "orm_matched"):
        add_rows(tmp_path, f"ei/easy/{name}", 2, 60.0)
    assert "orm_matched" not in left(tmp_path, "orm of candidates", share)
    compared = TimeLeft(tmp_path, [share], HandClock(), ("orm_matched",))
    line = compared.line("ei", "easy", "orm_matched of drafts")
    assert line == "ei/easy orm_matched of drafts: time left about 8 min"


def test_a_row_that_is_being_written_does_not_count(tmp_path: Path) -> None:
    add_rows(tmp_path, "ei/easy/drafts", 99, [60.0])
    path = tmp_path / "ei" / "easy" / "drafts.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + '{"seconds": [6', encoding="utf-8")
    assert left(tmp_path, "drafts", EI).startswith("ei/easy drafts: time left about 1 min, without")
