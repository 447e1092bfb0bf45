"""What Ray Data gives batches to, on any node: a client of the engines, free of torch."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import ray

from glore_models.sampling.port import Rollout, SamplingParams
from glore_models.sampling.ray.engines import SamplingServer
from glore_models.sampling.vllm import SamplingError, VllmSampler


class Worker:
    """Draws for batches of prompts.

    A batch starts at the engine it was dealt to and goes on to the next when that one fails.
    """

    def __init__(self, engines: Sequence[SamplingServer], drawing: SamplingParams) -> None:
        self._engines = engines
        self._drawing = drawing
        self._revived = bool(ray.get_runtime_context().was_current_actor_reconstructed)

    def __call__(self, batch: pa.Table) -> dict[str, list[Any]]:
        """A row for each of `key`, `prompt`, `engine`: its `drawn` rollouts, or a `problem`."""
        keys: list[str] = batch["key"].to_pylist()
        first: int = batch["engine"][0].as_py()
        drawn, problem = self._draw(batch["prompt"].to_pylist(), first)
        return {
            "key": keys,
            "drawn": [packed(rollouts) for rollouts in drawn] if drawn else [""] * len(keys),
            "problem": [problem] * len(keys),
            "revived": [self._revived] * len(keys),
        }

    def _draw(self, prompts: list[str], first: int) -> tuple[list[list[Rollout]], str]:
        problem = ""
        for turn in range(len(self._engines)):
            engine = self._engines[(first + turn) % len(self._engines)]
            try:
                sampler = VllmSampler(
                    engine.address(),
                    engine.model,
                    api_key=engine.api_key,
                    concurrency=len(prompts),
                )
                return sampler.sample(
                    prompts,
                    n=self._drawing.n,
                    temperature=self._drawing.temperature,
                    max_tokens=self._drawing.max_tokens,
                ), ""
            except SamplingError as error:
                problem = str(error)
        return [], problem


def packed(rollouts: Sequence[Rollout]) -> str:
    """Rollouts as the text that travels between processes."""
    return json.dumps([[each.text, each.finished, each.tokens] for each in rollouts])


def unpacked(text: str) -> list[Rollout]:
    """What `packed` made text of."""
    return [Rollout(text, finished, tokens) for text, finished, tokens in json.loads(text)]
