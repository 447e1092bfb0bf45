"""Progress of many questions, as a bar or for a function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

# False: nothing; True: a bar (tqdm); a function gets how many are done, and of how many (or None)
Progress: TypeAlias = bool | Callable[[int, int | None], object]


@contextmanager
def progress_counter(progress: Progress, total: int | None) -> Iterator[Callable[[], object]]:
    """A function to call for each question that is done.

    Raises ModuleNotFoundError, which says what to install, if a bar needs tqdm.
    """
    if callable(progress):
        done = 0

        def count_one() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        yield count_one
    elif progress:
        try:
            from tqdm.auto import tqdm
        except ModuleNotFoundError as error:
            message = "progress=True needs tqdm: pip install 'glore-client[progress]'"
            raise ModuleNotFoundError(message, name=error.name) from None
        with tqdm(total=total, unit="question") as bar:
            yield bar.update
    else:
        yield lambda: None
