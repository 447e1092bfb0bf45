"""The adapter: prompts as a Ray dataset, mapped by workers, counted by a ledger."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from glore_models.sampling.port import Rollout, SamplingParams, StreamingSampler
from glore_models.sampling.ray.engines import SamplingServer
from glore_models.sampling.ray.ledger import Ledger, Task, batches, tasks
from glore_models.sampling.ray.workers import Worker, unpacked
from glore_models.sampling.vllm import SamplingError

_log = logging.getLogger(__name__)
_BATCH = 8  # prompts in one task at most: what a killed worker loses at most, times its calls
_ROUNDS = 4  # how often what is missing is asked for
_PAUSE = 2.0  # seconds before it is asked for again, doubled each time


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong in one call and was made good."""

    revived: int = 0  # prompts answered by workers that Ray had to start again
    duplicates: int = 0  # deliveries that were dropped
    resubmitted: int = 0  # prompts that were asked for again


class RaySampler(StreamingSampler):
    """Draws through actors of the Ray that was joined, one for each engine.

    About `concurrency` requests are at each engine at a time. `seed` names the prompts; it is
    never sent: the draws of an engine are its own.
    """

    def __init__(
        self, engines: Sequence[SamplingServer], *, seed: int, concurrency: int = 64
    ) -> None:
        self.engines = tuple(engines)
        self.seed = seed
        self.concurrency = concurrency
        self.trouble = Trouble()

    def stream(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """The place of a prompt and its `n` rollouts, each once, as they are finished.

        Raises SamplingError when some stay missing.
        """
        drawing = SamplingParams(n, temperature, max_tokens)
        ledger = Ledger(tasks(prompts, self.seed))
        revived = resubmitted = 0
        problem = ""
        for turn in range(_ROUNDS):
            owed = ledger.owed()
            if not owed:
                break
            if turn:
                resubmitted += len(owed)
                time.sleep(_PAUSE * 2 ** (turn - 1))
            try:
                for row in self._rows(owed, drawing):
                    if row["problem"]:
                        problem = row["problem"]
                        continue
                    place = ledger.settle(row["key"])
                    if place is not None:
                        revived += row["revived"]
                        yield place, unpacked(row["drawn"])
            except ray.exceptions.RayError as error:
                problem = f"Ray: {type(error).__name__}: {str(error).splitlines()[0]}"
        self.trouble = Trouble(revived, ledger.duplicates, resubmitted)
        if self.trouble != Trouble():
            _log.warning("sampling on Ray went on after %s", self.trouble)
        if missing := len(ledger.owed()):
            message = f"{missing} of {len(prompts)} prompts have no rollouts: {problem}"
            raise SamplingError(message)

    def _rows(self, owed: Sequence[Task], drawing: SamplingParams) -> Iterator[dict[str, Any]]:
        """One row for each task that came back, in the order they are finished."""
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # the stage shows progress
        size = min(_BATCH, self.concurrency)
        tables = [
            pa.table(
                {
                    "key": [task.key for task in batch],
                    "prompt": [task.prompt for task in batch],
                    "engine": [number % len(self.engines)] * len(batch),
                }
            )
            for number, batch in enumerate(batches(owed, size))
        ]
        # Ray Data starts a worker that dies again and gives it what it had not delivered, always:
        # its default for max_restarts and max_task_retries is -1
        drawn = ray.data.from_arrow(tables).map_batches(
            Worker,
            fn_constructor_args=(self.engines, drawing),
            batch_size=None,  # a table is a batch
            batch_format="pyarrow",
            num_cpus=1,
            compute=ActorPoolStrategy(
                size=min(len(self.engines), len(tables)),
                max_concurrent_calls_per_actor=max(1, self.concurrency // size),
                enable_true_multi_threading=True,
            ),
        )
        for batch in drawn.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        ):
            yield from batch.to_pylist()
