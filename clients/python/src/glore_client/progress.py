"""How far many questions have come, shown or told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

# False: nothing; True: a bar (tqdm); a function gets how many are done, of how many (None: unknown)
Progress: TypeAlias = bool | Callable[[int, int | None], object]


@contextmanager
def shown(progress: Progress, total: int | None) -> Iterator[Callable[[], object]]:
    """What is to be called for each question that is done.

    Raises ModuleNotFoundError, which says what to install, for a bar without tqdm.
    """
    if callable(progress):
        done = 0

        def tell() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        yield tell
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
