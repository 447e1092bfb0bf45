import os
import signal
from pathlib import Path

import pytest

from models.data.files import InUseError, alone, read_json, write_json
from tests.models.forked import in_a_child


def test_an_object_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    assert read_json(path) == {}
    write_json(path, {"a": ["é", None]})
    assert read_json(path) == {"a": ["é", None]}
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


def test_a_folder_is_of_one_process_until_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def refused() -> None:
        with pytest.raises(InUseError, match=f"another process works in {folder}"), alone(folder):
            pass

    def killed() -> None:
        with alone(folder):
            os.kill(os.getpid(), signal.SIGKILL)

    with alone(folder):
        assert in_a_child(refused) == 0
    assert in_a_child(killed) == signal.SIGKILL
    with alone(folder):
        pass
