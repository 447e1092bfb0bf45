"""Sampling from a vLLM server's `POST /v1/completions`.

No seed is ever sent: a seeded request ends the engine process on CPU builds.
"""

import asyncio
from collections.abc import Sequence

import aiohttp

from models.sampling.port import Rollout


class SamplingError(Exception):
    """The server gave no usable completion."""


class VllmSampler:
    """A model served at `url` (no trailing slash), at most `concurrency` requests at a time."""

    def __init__(
        self, url: str, model: str, *, api_key: str | None = None, concurrency: int = 64
    ) -> None:
        self.url = url
        self.model = model
        self.headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.concurrency = concurrency

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        """`n` rollouts for each prompt, in order. Raises SamplingError."""
        body: dict[str, str | int | float] = {
            "model": self.model,
            "n": n,
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        return asyncio.run(self._all(prompts, body))

    async def _all(
        self, prompts: Sequence[str], body: dict[str, str | int | float]
    ) -> list[list[Rollout]]:
        gate = asyncio.Semaphore(self.concurrency)
        timeout = aiohttp.ClientTimeout(total=600)
        async with aiohttp.ClientSession(headers=self.headers, timeout=timeout) as session:

            async def one(prompt: str) -> list[Rollout]:
                async with gate:
                    return await self._one(session, {**body, "prompt": prompt})

            return await asyncio.gather(*(one(prompt) for prompt in prompts))

    async def _one(
        self, session: aiohttp.ClientSession, body: dict[str, str | int | float]
    ) -> list[Rollout]:
        try:
            async with session.post(f"{self.url}/v1/completions", json=body) as response:
                response.raise_for_status()
                answer = await response.json()
            choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
            rollouts = [Rollout(str(c["text"]), c["finish_reason"] == "stop", 0) for c in choices]
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
            message = f"no completion from {self.url}: {type(error).__name__}"
            raise SamplingError(message) from error
        if len(rollouts) != body["n"]:
            message = f"{len(rollouts)} completions from {self.url}, not {body['n']}"
            raise SamplingError(message)
        return rollouts
