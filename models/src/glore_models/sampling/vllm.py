"""Sampling from a vLLM server's `POST /v1/completions`.

No seed is ever sent: a seeded request ends the engine process on CPU builds.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from glore_models.sampling.port import Rollout


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
        """`n` rollouts for each prompt, in order. Raises SamplingError.

        vLLM refuses to be greedy more than once: one rollout is drawn then, and repeated.
        """
        asked = n if temperature > 0 else 1
        body: dict[str, str | int | float] = {
            "model": self.model,
            "n": asked,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "return_token_ids": True,  # to count them; servers that do not know it pass it over
        }
        drawn = asyncio.run(self._all(prompts, body))
        return [rollouts * (n // asked) for rollouts in drawn]

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
            rollouts = [_rollout(choice) for choice in choices]
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
            status = f" {error.status}" if isinstance(error, aiohttp.ClientResponseError) else ""
            message = f"no completion from {self.url}: {type(error).__name__}{status}"
            raise SamplingError(message) from error
        if len(rollouts) != body["n"]:
            message = f"{len(rollouts)} completions from {self.url}, not {body['n']}"
            raise SamplingError(message)
        return rollouts


def served_name(url: str, checkpoint: Path, api_key: str | None = None) -> str:
    """The name under which the server at `url` serves the folder `checkpoint`.

    On another machine the folder may lie elsewhere: its last name has to be the same. Raises
    SamplingError when nothing answers, or only other models are served.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    served = asyncio.run(_models(f"{url}/v1/models", headers))
    for name, root in served.items():
        if _same(Path(root), checkpoint):
            return name
    found = ", ".join(served.values()) or "nothing"
    message = f"{url} serves {found}, not {checkpoint}: start an engine of that folder"
    raise SamplingError(message)


async def _models(url: str, headers: dict[str, str]) -> dict[str, str]:
    """The folders that are served, by name."""
    timeout = aiohttp.ClientTimeout(total=60)
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.get(url) as response,
        ):
            response.raise_for_status()
            answer = await response.json()
        return {str(model["id"]): str(model["root"]) for model in answer["data"]}
    except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
        message = f"no models from {url}: {type(error).__name__}"
        raise SamplingError(message) from error


def _same(there: Path, here: Path) -> bool:
    if there.is_dir() and here.is_dir():
        return there.samefile(here)
    return there.name == here.name


def _rollout(choice: dict[str, Any]) -> Rollout:
    """No request names a text to stop at: what `stop` was for is an end token, the last id."""
    ended = choice["finish_reason"] == "stop"
    tokens = len(choice.get("token_ids") or ())
    return Rollout(str(choice["text"]), ended, max(0, tokens - ended))
