"""A phase appends rows to its own file, chunk by chunk, and goes on after a kill.

Chunks are the same however often a phase was stopped: a chunk that is not whole is done
again and only what is missing is appended, so sampled rows do not depend on the kill.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from glore.formats.steps import split_steps
from glore_models.data.files import append_jsonl, read_json, read_jsonl, write_json
from glore_models.data.rollouts import PrefixRollouts
from glore_models.evaluation.paper.ports import Scorer
from glore_models.sampling.port import Drawing, Sampler

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)
else:
    Row = TypeVar("Row")
Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Clock = Callable[[], float]

BATCH_ROWS = 512  # rollouts in a chunk, if the sampler has no `rows` of its own
BATCH_SCORES = 64  # solutions in a chunk, if the scorer has no `rows` of its own


class OtherModelsError(ValueError):
    """Rows were made by other models or settings; the text names the file."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text to continue for a problem; `place` tells apart several of one problem."""

    problem: str
    place: int
    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """The completions of one prompt, as they came: one entry per rollout."""

    problem: str
    place: int
    texts: tuple[str, ...]
    tokens: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TimedRollouts(PrefixRollouts):
    """Rollouts of a prefix with the sampler's `seconds`; older rows have none."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The step scores of one solution; `seconds` of the scorer."""

    problem: str
    text: str
    scores: tuple[float, ...]
    seconds: float


def rollouts_at_once(sampler: Sampler, n: int) -> int:
    """Prompts in a chunk of `n` rollouts each: a full batch of the sampler."""
    return max(1, int(getattr(sampler, "rows", BATCH_ROWS)) // n)


def scores_at_once(scorer: Scorer) -> int:
    """Solutions in a chunk: as many as the scorer wants."""
    return int(getattr(scorer, "rows", BATCH_SCORES))


def _nothing() -> None:
    """What is loaded once is not loaded again."""


def fill(
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
    load: Callable[[], None] = _nothing,
) -> dict[Key, Row]:
    """One row for each item, by key: those of the file, the others by `work` on their chunk.

    `work` gives a row for each item, in order; unless `whole`, it gets only those of a chunk
    that are missing. `load` is called once, before the first work. The result holds rows of
    these items alone.
    """
    from tqdm import tqdm

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = _kept(path, kind, row_key)
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
            load = _nothing
            asked = part if whole else [(key, item) for key, item in part if key in missing]
            made = zip(asked, work([item for _, item in asked]), strict=True)
            new = {key: row for (key, _), row in made if key in missing}
            append_jsonl(path, new.values())
            rows.update(new)
            bar.update(len(new))
    return {key: rows[key] for key in keys}


def generate(
    path: Path,
    prompts: Sequence[Prompt],
    sampler: Sampler,
    drawing: Drawing,
    *,
    title: str,
    load: Callable[[], None] = _nothing,
    clock: Clock = time.perf_counter,
) -> dict[tuple[str, int], Generated]:
    """`drawing.n` completions of each prompt, by (problem, place); loading is not timed."""

    def work(part: Sequence[Prompt]) -> list[Generated]:
        started = clock()
        drawn = sampler.sample(
            [prompt.text for prompt in part],
            n=drawing.n,
            temperature=drawing.temperature,
            max_tokens=drawing.max_tokens,
        )
        tokens = [[rollout.tokens for rollout in rollouts] for rollouts in drawn]
        each = (clock() - started) / max(1, sum(map(sum, tokens)))  # seconds per token
        return [
            Generated(
                prompt.problem,
                prompt.place,
                tuple(rollout.text for rollout in rollouts),
                tuple(counts),
                tuple(each * count for count in counts),
            )
            for prompt, rollouts, counts in zip(part, drawn, tokens, strict=True)
        ]

    return fill(
        path,
        Generated,
        prompts,
        work,
        item_key=lambda prompt: (prompt.problem, prompt.place),
        row_key=lambda row: (row.problem, row.place),
        chunk=rollouts_at_once(sampler, drawing.n),
        title=title,
        load=load,
    )


def score(
    path: Path,
    solutions: Sequence[tuple[str, str, str]],
    scorer: Scorer,
    *,
    title: str,
    load: Callable[[], None] = _nothing,
    clock: Clock = time.perf_counter,
) -> dict[tuple[str, str], Scored]:
    """The scores of each different (problem, question, text), by (problem, text).

    A text without steps has no scores and costs nothing; loading is not timed.
    """
    different = list(dict.fromkeys(solutions))

    def work(part: Sequence[tuple[str, str, str]]) -> list[Scored]:
        steps = [tuple(step.text for step in split_steps(text)) for _, _, text in part]
        asked = [
            (question, each) for (_, question, _), each in zip(part, steps, strict=True) if each
        ]
        started = clock()
        found = iter(scorer.score(asked))
        sizes = [
            len(question) + len(text) if each else 0
            for (_, question, text), each in zip(part, steps, strict=True)
        ]
        per_character = (clock() - started) / max(1, sum(sizes))
        return [
            Scored(problem, text, next(found) if each else (), per_character * size)
            for (problem, _, text), each, size in zip(part, steps, sizes, strict=True)
        ]

    return fill(
        path,
        Scored,
        different,
        work,
        item_key=lambda item: (item[0], item[2]),
        row_key=_scored_key,
        chunk=scores_at_once(scorer),
        title=title,
        whole=False,
        load=load,
    )


def read_scores(path: Path) -> dict[tuple[str, str], Scored]:
    """The scores in a file of that phase, by (problem, text); none without the file."""
    return _kept(path, Scored, _scored_key)


def _kept(path: Path, kind: type[Row], row_key: Callable[[Row], Key]) -> dict[Key, Row]:
    return {row_key(row): row for row in read_jsonl(path, kind)} if path.exists() else {}


def _scored_key(row: Scored) -> tuple[str, str]:
    return row.problem, row.text


class Stamps:
    """Which models and settings the files of a folder were made with."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "made_with.json"

    def check(self, file: str, made_with: dict[str, Any]) -> None:
        """Remember what `file` is made with. Raises OtherModelsError when it was something else."""
        known = read_json(self.path)
        if file in known and known[file] != made_with:
            differing = [key for key in made_with if known[file].get(key) != made_with[key]]
            message = (
                f"{self.path.parent / file} was made with another {', '.join(differing)}; "
                f"remove {self.path.parent} to make it again"
            )
            raise OtherModelsError(message)
        if file not in known:
            write_json(self.path, {**known, file: made_with})
