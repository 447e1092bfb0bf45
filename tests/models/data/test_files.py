from pathlib import Path

from models.data.files import read_json, write_json


def test_an_object_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    assert read_json(path) == {}
    write_json(path, {"a": ["é", None]})
    assert read_json(path) == {"a": ["é", None]}
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]
