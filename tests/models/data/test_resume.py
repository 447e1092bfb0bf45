"""Work that goes on after a kill does what is missing, in the same chunks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from glore_models.data.files import append_jsonl, read_jsonl
from glore_models.data.resume import keep_whole_groups, read_keyed, restore_order, resume_map


@dataclass(frozen=True, slots=True)
class Row:
    key: int
    chunk: tuple[int, ...] = ()


class Work:
    """Gives each item a row that names its chunk; `fails_at` calls it is killed."""

    def __init__(self, fails_at: int = 10) -> None:
        self.chunks: list[tuple[int, ...]] = []
        self.loads = 0
        self.fails_at = fails_at

    def __call__(self, items: Sequence[int]) -> list[Row]:
        if len(self.chunks) == self.fails_at:
            raise KeyboardInterrupt
        self.chunks.append(tuple(items))
        return [Row(item, tuple(items)) for item in items]

    def load(self) -> None:
        self.loads += 1

    def run(self, path: Path, items: Sequence[int], *, whole: bool) -> dict[int, Row]:
        return resume_map(
            path,
            Row,
            items,
            self,
            item_key=lambda item: item,
            row_key=lambda row: row.key,
            chunk=3,
            title="rows",
            whole=whole,
            load=self.load,
        )


@pytest.mark.parametrize("whole", [True, False])
def test_after_a_kill_the_chunks_and_so_the_rows_are_the_same(
    tmp_path: Path, *, whole: bool
) -> None:
    items = range(8)
    every = Work().run(tmp_path / "undisturbed.jsonl", items, whole=whole)
    path = tmp_path / "killed.jsonl"
    with pytest.raises(KeyboardInterrupt):
        Work(fails_at=1).run(path, items, whole=whole)
    work = Work()
    assert work.run(path, items, whole=whole) == every
    assert work.chunks == [(3, 4, 5), (6, 7)]
    assert work.loads == 1
    assert read_keyed(path, Row, lambda row: row.key) == every


@pytest.mark.parametrize(("whole", "requested"), [(True, (0, 1, 2)), (False, (1, 2))])
def test_of_a_chunk_that_is_cut_off_what_is_there_stays(
    tmp_path: Path, requested: tuple[int, ...], *, whole: bool
) -> None:
    path = tmp_path / "rows.jsonl"
    append_jsonl(path, [Row(0, (9,))])
    work = Work()
    rows = work.run(path, range(3), whole=whole)
    assert rows[0] == Row(0, (9,))
    assert work.chunks == [requested]
    assert [row.key for row in read_jsonl(path, Row)] == [0, 1, 2]


def test_nothing_is_loaded_for_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    Work().run(path, range(3), whole=True)
    work = Work()
    assert list(work.run(path, [2], whole=True)) == [2]
    assert (work.chunks, work.loads) == ([], 0)


def test_of_a_group_that_is_not_whole_nothing_stays(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert keep_whole_groups(path, Row, lambda row: row.key, 2) == set()
    append_jsonl(path, [Row(1, (1,)), Row(1, (2,)), Row(2, (1,))])
    assert keep_whole_groups(path, Row, lambda row: row.key, 2) == {1}
    assert list(read_jsonl(path, Row)) == [Row(1, (1,)), Row(1, (2,))]


def test_rows_get_the_order_of_their_keys(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.jsonl", [Row(3), Row(1, (1,)), Row(7), Row(1, (2,))]
    append_jsonl(path, rows)
    restore_order(path, rows, [1, 3], lambda row: row.key)
    assert list(read_jsonl(path, Row)) == [Row(1, (1,)), Row(1, (2,)), Row(3), Row(7)]
