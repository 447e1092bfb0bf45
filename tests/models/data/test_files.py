from dataclasses import dataclass
from pathlib import Path

from glore_models.data.files import append_jsonl, read_json, read_jsonl, write_json


def test_an_object_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    assert read_json(path) == {}
    write_json(path, {"a": ["é", None]})
    assert read_json(path) == {"a": ["é", None]}
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    several: tuple[int, ...] = ()


def test_cut_at_any_byte_a_file_gives_the_rows_before_the_cut_and_is_gone_on_with(
    tmp_path: Path,
) -> None:
    path, rows = tmp_path / "rows.jsonl", [Row("é £5", (1, 2)), Row("½ + ½ = 1"), Row("🙂\n\u2028")]
    append_jsonl(path, rows)
    assert list(read_jsonl(path, Row)) == rows
    content = path.read_bytes()
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        whole = rows[: content[:size].count(b"\n")]
        assert list(read_jsonl(path, Row)) == whole
        append_jsonl(path, rows[len(whole) :])
        assert path.read_bytes() == content
