"""Locks between processes: files that one process at a time holds."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class InUseError(ValueError):
    """Another process works in the same folder."""


@contextmanager
def lock_file(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the file, made if need be, for this process; whatever it holds stays as it is.

    However the process ends, the file is free again. While another process holds it, `waiting`
    is called once and the lock is waited for; without it, InUseError is raised. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if waiting is None:
                message = f"another process works in {path.parent}"
                raise InUseError(message) from error
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def lock_folder(folder: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a folder, made if need be, by the file `lock` in it. As `lock_file`."""
    with lock_file(folder / "lock", waiting):
        yield
