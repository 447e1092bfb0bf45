"""Several local samplers side by side, each in a process of its own.

A GPU is busy with one token of thousands of rollouts of a small model for a few milliseconds, while
Python takes ten times that to tell it what to do. Other processes fill the time between.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from glore_models.sampling.port import Rollout, SamplingParams, StreamingSampler
from glore_models.sampling.vllm import SamplingError

if TYPE_CHECKING:
    from glore_models.sampling.local import LocalSampler


class PooledSampler(StreamingSampler):
    """`processes` local samplers of one checkpoint; each is handed one full batch after the other.

    What is drawn follows from the seed, the prompts and the size of a batch, not from how many
    processes there are. They end with `close`, or with the process that made them.
    """

    def __init__(
        self, checkpoint: Path, *, seed: int, processes: int, rows: int | None = None
    ) -> None:
        """`rows` as in `LocalSampler`; every process has so many of its own."""
        self.seed = seed
        self.rows = rows
        self._pool = ProcessPoolExecutor(
            processes, get_context("spawn"), _load, (checkpoint, rows, os.getpid())
        )

    def stream(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> Iterator[tuple[int, list[Rollout]]]:
        """The place of each prompt and its rollouts, as batches are finished, the longest first.

        Raises SamplingError when a process ends before its work.
        """
        from glore_models.sampling.local import rows_at_a_time

        drawing = SamplingParams(n, temperature, max_tokens)
        size = max(1, (self.rows or rows_at_a_time()) // n)
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]), reverse=True)
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        asked: dict[Future[list[list[Rollout]]], list[int]] = {
            self._pool.submit(_draw, [prompts[place] for place in part], drawing, self.seed): part
            for part in parts
        }
        try:
            for future in as_completed(asked):
                yield from zip(asked[future], future.result(), strict=True)
        except BrokenProcessPool as error:
            message = "a sampling process ended before its work: was there memory enough for it?"
            raise SamplingError(message) from error
        finally:
            for future in asked:
                future.cancel()

    @property
    def close(self) -> Callable[[], None]:
        """What ends the processes, as soon as they are done with what they are at.

        It does not hold the sampler itself, so that it can be called when that is gone.
        """
        return partial(self._pool.shutdown, cancel_futures=True)


_sampler: "LocalSampler"  # of a process of the pool


def _load(checkpoint: Path, rows: int | None, owner: int) -> None:
    global _sampler  # noqa: PLW0603 - a process of a pool has no other place
    from glore_models.sampling.local import LocalSampler

    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()
    _sampler = LocalSampler(checkpoint, seed=0, rows=rows)


def _end_with(owner: int) -> None:
    """A process whose owner was killed would wait for work for ever."""
    while os.getppid() == owner:
        time.sleep(1.0)
    os._exit(1)


def _draw(prompts: list[str], drawing: SamplingParams, seed: int) -> list[list[Rollout]]:
    seen = hashlib.sha256(repr((seed, drawing, prompts)).encode())
    _sampler.generator.manual_seed(int.from_bytes(seen.digest()[:6], "big"))
    return _sampler.sample(
        prompts, n=drawing.n, temperature=drawing.temperature, max_tokens=drawing.max_tokens
    )
