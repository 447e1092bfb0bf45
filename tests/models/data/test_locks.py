"""That one process at a time works in a folder."""

import os
import signal
from pathlib import Path

import pytest

from glore_models.data.locks import InUseError, lock_folder
from tests.models.forked import in_a_child


def test_a_folder_is_of_one_process_until_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def refused() -> None:
        with (
            pytest.raises(InUseError, match=f"another process works in {folder}"),
            lock_folder(folder),
        ):
            pass

    def killed() -> None:
        with lock_folder(folder):
            os.kill(os.getpid(), signal.SIGKILL)

    with lock_folder(folder):
        assert in_a_child(refused) == 0
    assert in_a_child(killed) == signal.SIGKILL
    with lock_folder(folder):
        pass
