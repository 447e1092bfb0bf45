"""Unknown options: a TypeError from the call itself that names the nearest one that exists."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints
from unittest.mock import AsyncMock

import pytest

from glore_client import (
    AsyncClient,
    CallOptions,
    Client,
    InvalidResponseError,
    Question,
    RetryPolicy,
    Sampling,
)
from tests.clients.python.fakes import Connect, Gateway, ok, read_stream
from tests.clients.python.samples import QUESTION

# A call, a keyword that it has not, and what the error names.
UNKNOWN = [
    ("solve", "temperature", r"sampling=Sampling\(temperature=\.\.\.\)"),
    ("solve", "n", r"sampling=Sampling\(n=\.\.\.\)"),
    ("solve", "stratgy", "'strategy'"),
    ("solve", "dead_line", "'deadline'"),
    ("solve", "requestid", "'request_id'"),
    ("solve", "headers", r"with_options\(headers=\.\.\.\)"),
    ("solve", "zzz", "its options are question, request_id, strategy"),
    ("stream", "n", r"sampling=Sampling\(n=\.\.\.\)"),
    ("stream", "silense", "'silence'"),
    ("stream", "max_token", r"sampling=Sampling\(max_tokens=\.\.\.\)"),
    ("solve_many", "concurency", "'concurrency'"),
    ("solve_many", "stratgy", "'strategy'"),
    ("solve_many", "top_p", r"sampling=Sampling\(top_p=\.\.\.\)"),
    ("solve_batch", "idempotencykey", "'idempotency_key'"),
    ("solve_batch", "concurrency", r"solve_many\(concurrency=\.\.\.\)"),
    ("solve_batch", "temperature", r"sampling=Sampling\(temperature=\.\.\.\)"),
    ("ready", "time_out", "'timeout'"),
    ("with_options", "timout", "'timeout'"),
    ("with_options", "base_url", r"lient\(base_url=\.\.\.\)"),
]


@pytest.mark.parametrize(("call", "unknown", "named"), UNKNOWN)
def test_an_unknown_option_of_a_call_names_the_nearest(
    connect: Connect, call: str, unknown: str, named: str
) -> None:
    gateway = Gateway([ok()])
    arguments = [] if call in {"ready", "with_options"} else [[QUESTION]]
    with pytest.raises(TypeError, match=rf"^{call}\(\) has no option '{unknown}'.*{named}"):
        getattr(connect(gateway), call)(*arguments, **{unknown: 8})
    assert gateway.requests == []


@pytest.mark.parametrize(
    ("make", "unknown", "named"),
    [
        (Client, "base_ulr", "'base_url'"),
        (AsyncClient, "apikey", "'api_key'"),
        (Client, "timeout", r"with_options\(timeout=\.\.\.\)"),
        (Client, "max_retries", r"retry=RetryPolicy\(max_retries=\.\.\.\)"),
        (Sampling, "temprature", "'temperature'"),
        (Sampling, "seed", "its options are temperature, top_p, max_tokens, n"),
        (Question, "stratgy", "'strategy'"),
        (RetryPolicy, "retries", "'max_retries'"),
    ],
)
def test_an_unknown_argument_of_a_class_names_the_nearest(
    make: Callable[..., Any], unknown: str, named: str
) -> None:
    arguments = [QUESTION] if make is Question else []
    with pytest.raises(TypeError, match=rf"\(\) has no option '{unknown}'.*{named}"):
        make(*arguments, **{unknown: 1})


def test_each_unknown_option_is_named() -> None:
    options: Any = {"stratgy": "draft", "n": 8}
    with Client() as client, pytest.raises(TypeError, match=r"'stratgy'.*; .*'n'"):
        client.solve(QUESTION, **options)


def test_every_documented_option_is_accepted(connect: Connect) -> None:
    options: Any = {
        "strategy": "draft",
        "sampling": Sampling(n=2),
        "deadline": 2.0,
        "max_engine_calls": 3,
        "max_generated_tokens": 4,
        "rounds": 2,
        "verify": False,
        "correct": True,
        "timeout": 5.0,
    }
    assert options.keys() == get_type_hints(CallOptions).keys()
    gateway = Gateway([ok(), ok(), ok(), ok()])
    connect(gateway).solve(QUESTION, **options)
    list(connect(gateway).solve_many([QUESTION], **options))
    with pytest.raises(InvalidResponseError):  # an answer that is not a stream
        read_stream(connect(gateway), **options)
    connect(gateway).with_options(**options).solve(QUESTION)
    assert len(gateway.requests) == 4
    assert all(gateway.body(i) == gateway.body(0) for i in range(4))
    sent = {name: gateway.body().get(name) for name in ("rounds", "verify", "correct")}
    assert sent == {"rounds": 2, "verify": False, "correct": True}


async def test_a_mock_of_a_client_has_calls_to_await() -> None:
    mock = AsyncMock(spec=AsyncClient)
    mock.solve.return_value = "12"
    assert await mock.solve(QUESTION) == "12"
    assert asyncio.iscoroutinefunction(AsyncClient.ready)
    assert not asyncio.iscoroutinefunction(AsyncClient.stream)


def test_what_stands_behind_a_call_is_still_seen() -> None:
    assert "request_id" in inspect.signature(Client.solve).parameters
    assert (Client.solve.__doc__ or "").startswith("The answer to `question`.")
    assert Client.solve.__name__ == "solve"
    assert list(inspect.signature(Sampling).parameters) == [
        "temperature",
        "top_p",
        "max_tokens",
        "n",
    ]
