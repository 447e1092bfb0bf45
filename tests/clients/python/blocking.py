"""`AsyncClient` with the calls of `Client`, so that one test serves for both."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, Self

from glore_client import AsyncClient, AsyncStream


class Blocking:
    """An async object without await: `runner` runs what its attributes and methods return."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        if not inspect.isroutine(attribute):
            return self._wrapped(attribute)
        return lambda *arguments, **options: self._wrapped(attribute(*arguments, **options))

    def __enter__(self) -> Self:
        self._run(self._target.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self._target.__aexit__(*error))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        end = object()
        item = self._run(anext(self._target, end))
        if item is end:
            raise StopIteration
        return item

    def close(self) -> None:
        self._run(self._target.aclose())

    def _wrapped(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._run(value)
        if isinstance(value, AsyncClient | AsyncStream | AsyncGenerator):
            return Blocking(value, self._runner)
        return value

    def _run(self, awaitable: Awaitable[Any]) -> Any:
        async def result() -> Any:
            return await awaitable

        return self._runner.run(result())
