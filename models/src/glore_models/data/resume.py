"""Work that goes on after a kill: rows are appended to a file, chunk by chunk."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from glore_models.data.files import append_jsonl, read_jsonl, write_jsonl

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)
else:
    Row = TypeVar("Row")

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def load_nothing() -> None:
    """Nothing to load, or loaded already."""


def resume_map(
    path: Path,
    kind: type[Row],
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Sequence[Row]],
    *,
    item_key: Callable[[Item], Key],
    row_key: Callable[[Row], Key],
    chunk: int,
    title: str,
    whole: bool = True,
    load: Callable[[], None] = load_nothing,
) -> dict[Key, Row]:
    """One row for each item, by key: those of the file, the others by `work` on their chunk.

    Chunks are the same however often the work was stopped: a chunk that is not whole is done
    again and only what is missing is appended, so sampled rows do not depend on the kill.

    `work` gives a row for each item, in order; unless `whole`, it gets only those of a chunk
    that are missing. `load` is called once, before the first work. The result holds rows of
    these items alone.
    """
    from tqdm import tqdm

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = read_keyed(path, kind, row_key)
    keys = [item_key(item) for item in items]
    known = sum(key in rows for key in keys)
    with tqdm(
        total=len(items), initial=known, desc=title, unit="row", mininterval=5, disable=not items
    ) as bar:
        for start in range(0, len(items), chunk):
            part = list(zip(keys, items, strict=True))[start : start + chunk]
            missing = {key for key, _ in part if key not in rows}
            if not missing:
                continue
            load()
            load = load_nothing
            wanted = part if whole else [(key, item) for key, item in part if key in missing]
            written = zip(wanted, work([item for _, item in wanted]), strict=True)
            new = {key: row for (key, _), row in written if key in missing}
            append_jsonl(path, new.values())
            rows.update(new)
            bar.update(len(new))
    return {key: rows[key] for key in keys}


def read_keyed(path: Path, kind: type[Row], row_key: Callable[[Row], Key]) -> dict[Key, Row]:
    """The rows of a file by their keys; none without the file."""
    return {row_key(row): row for row in read_jsonl(path, kind)} if path.exists() else {}


def keep_whole_groups(
    path: Path, kind: type[Row], key: Callable[[Row], Key], size: int
) -> set[Key]:
    """The keys that have all their `size` rows; the rows of one that a kill cut off go."""
    if not path.exists():
        return set()
    rows = list(read_jsonl(path, kind))
    counts = Counter(map(key, rows))
    whole = {each for each, count in counts.items() if count >= size}
    if len(whole) < len(counts):
        write_jsonl(path, (row for row in rows if key(row) in whole))
    return whole


def restore_order(
    path: Path, rows: list[Row], keys: Iterable[Key], key: Callable[[Row], Key]
) -> None:
    """Put the rows of a file in the order of `keys`.

    A sampler that has several engines returns first what is finished first. What is chosen from
    the file, by a seed, must not depend on that.
    """
    order = {each: index for index, each in enumerate(keys)}
    ordered = sorted(rows, key=lambda row: order.get(key(row), len(order)))
    if ordered != rows:
        write_jsonl(path, ordered)
