"""Which rollouts are still owed: one set for every prompt, whatever dies on the way."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glore_models.sampling.prefixes import chunk_by_prefix


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt to be sampled, and its place among those of the call."""

    key: str
    place: int
    prompt: str


class Ledger:
    """What came back, counted once: a second delivery of a key is dropped.

    `duplicates` counts what was dropped.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._owed = {task.key: task for task in tasks}
        self._settled: set[str] = set()
        self.duplicates = 0

    def settle(self, key: str) -> int | None:
        """The place of the prompt `key`; None when it was settled before.

        Raises KeyError for a key that was never asked for.
        """
        if key in self._settled:
            self.duplicates += 1
            return None
        task = self._owed.pop(key)
        self._settled.add(key)
        return task.place

    def owed(self) -> list[Task]:
        """What is to be sampled still, in the order of the call."""
        return list(self._owed.values())


def tasks(prompts: Sequence[str], seed: int) -> list[Task]:
    """A task for each prompt.

    Its key is a hash of the seed, the prompt and how often the same prompt came before it, so
    it stays the same when the prompts are split up in another way.
    """
    before: Counter[str] = Counter()
    made = []
    for place, prompt in enumerate(prompts):
        made.append(Task(task_key(seed, prompt, before[prompt]), place, prompt))
        before[prompt] += 1
    return made


def task_key(seed: int, prompt: str, index: int) -> str:
    """The stable name of the `index`-th time that `prompt` is sampled under `seed`."""
    return hashlib.sha256(f"{seed}\n{index}\n{prompt}".encode()).hexdigest()


def batches(owed: Sequence[Task], size: int) -> list[Sequence[Task]]:
    """The tasks in order, up to `size` at a time; a batch ends where a solution's prefixes do."""
    parts = chunk_by_prefix([task.prompt for task in owed], size)
    return [owed[part.start : part.stop] for part in parts]
