"""Every parameter of the openai client: honoured, a hint that may be given, or refused by name."""

import inspect
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.resources.chat.completions import AsyncCompletions
from pydantic import AnyHttpUrl, ValidationError

from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated
from service.api.openai.request import ChatRequest, chat_task
from service.api.schemas import SamplingIn
from service.app import create_app
from service.refinement.types import Sampling, Strategy
from service.settings import EngineSettings, Settings
from tests.service.api.openai.conftest import DOCS, LIMITS, client_of
from tests.service.fakes import QUESTION, FakeEngines

TRANSPORT = {"extra_headers", "extra_query", "extra_body", "timeout"}
MESSAGES = [{"role": "user", "content": QUESTION}]
FUNCTION = {"name": "add", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": FUNCTION}
CACHED = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://elsewhere/image.png"}}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
PARAMETER, VALUE, INVALID = "unsupported_parameter", "unsupported_value", "invalid_value"
TOO_LONG = "context_length_exceeded"
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}

HONOURED: dict[str, list[Any]] = {
    "messages": [
        MESSAGES,
        [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
        [{"role": "system", "content": ""}, *MESSAGES],
        [{"role": "developer", "content": []}, *MESSAGES],
        [{"role": "system", "content": None, "name": None}, {**MESSAGES[0], "name": ""}],
        [{"role": "system", "content": "You are a helpful assistant."}, *MESSAGES],
        [*MESSAGES, {"role": "assistant", "content": "#### 12"}, *MESSAGES],
    ],
    "model": ["glore", "glore-draft", "glore-best-of-n"],
    "temperature": [None, 0, 0.7, 2],
    "top_p": [None, 0.1, 1],
    "max_tokens": [None, 1, 1024, 64.0, 1025, 4096, 128_000.0],
    "max_completion_tokens": [None, 1, 1024, 4096],
    "seed": [None, 0, 42, -1, 7.0],
    "stop": [None, [], "</s>", ["</s>"], ["a", "b", "c", "d"]],
    "stream": [None, False],  # True: test_chunks.py
    "stream_options": [None],  # test_chunks.py
}
HINTS: dict[str, list[Any]] = {
    "parallel_tool_calls": [None, True, False],
    "prompt_cache_key": [None, "key"],
    "safety_identifier": [None, "somebody"],
    "user": [None, "somebody"],
}
NEUTRAL: dict[str, list[Any]] = {
    "audio": [None],
    "frequency_penalty": [None, 0, 0.0],
    "function_call": [None, "none", "auto"],
    "functions": [None, []],
    "logit_bias": [None, {}],
    "logprobs": [None, False],
    "metadata": [None, {}],
    "modalities": [None, ["text"]],
    "moderation": [None],
    "n": [None, 1],
    "prediction": [None],
    "presence_penalty": [None, 0],
    "prompt_cache_options": [None],
    "prompt_cache_retention": [None, "in_memory"],
    "reasoning_effort": [None],
    "response_format": [None, {"type": "text"}],
    "service_tier": [None, "auto", "default"],
    "store": [None, False],
    "tool_choice": [None, "none", "auto"],
    "tools": [None, []],
    "top_logprobs": [None, 0],
    "verbosity": [None, "medium"],
    "web_search_options": [None],
}
REFUSED: list[tuple[str, Any, str]] = [
    ("audio", {"voice": "alloy", "format": "mp3"}, PARAMETER),
    ("frequency_penalty", 0.5, PARAMETER),
    ("frequency_penalty", False, PARAMETER),
    ("function_call", {"name": "add"}, VALUE),
    ("functions", [FUNCTION], PARAMETER),
    ("logit_bias", {"50256": -100}, PARAMETER),
    ("logprobs", True, PARAMETER),
    ("logprobs", 0, PARAMETER),
    ("max_completion_tokens", 4096.5, INVALID),
    ("max_tokens", 0, INVALID),
    ("max_tokens", True, INVALID),
    ("max_tokens", "64", INVALID),
    ("metadata", {"run": "1"}, PARAMETER),
    ("modalities", ["text", "audio"], VALUE),
    ("moderation", {"model": "omni-moderation-latest"}, PARAMETER),
    ("n", 2, VALUE),
    ("n", True, VALUE),
    ("parallel_tool_calls", "yes", INVALID),
    ("prediction", {"type": "content", "content": "x"}, PARAMETER),
    ("presence_penalty", -2, PARAMETER),
    ("prompt_cache_key", 7, INVALID),
    ("prompt_cache_options", {"mode": "implicit"}, PARAMETER),
    ("prompt_cache_retention", "24h", VALUE),
    ("reasoning_effort", "low", PARAMETER),
    ("response_format", {"type": "json_object"}, VALUE),
    ("response_format", SCHEMA, VALUE),
    ("safety_identifier", ["x"], INVALID),
    ("seed", "0", INVALID),
    ("seed", 0.5, INVALID),
    ("service_tier", "flex", VALUE),
    ("stop", ["a", "b", "c", "d", "e"], INVALID),
    ("stop", 7, INVALID),
    ("store", True, PARAMETER),
    ("stream", "yes", INVALID),
    ("stream_options", {}, PARAMETER),
    ("stream_options", {"include_usage": True}, PARAMETER),
    ("temperature", 2.1, INVALID),
    ("tool_choice", "required", VALUE),
    ("tools", [TOOL], PARAMETER),
    ("top_logprobs", 5, PARAMETER),
    ("top_p", 0, INVALID),
    ("user", 7, INVALID),
    ("verbosity", "low", VALUE),
    ("web_search_options", {}, PARAMETER),
]
NESTED: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": []}, "messages", INVALID),
    ({"messages": [{"role": "system", "content": ""}]}, "messages", VALUE),
    ({"messages": [{"role": "user", "content": " \n"}]}, "messages.0.content", INVALID),
    ({"messages": [{"role": "user", "content": "x" * 4001}]}, "messages", TOO_LONG),
    ({"messages": [{"role": "user", "content": "x" * 20_001}]}, "messages", TOO_LONG),
    ({"messages": [{"role": "user", "content": []}]}, "messages.0.content", INVALID),
    ({"messages": ["x"]}, "messages.0", VALUE),
    ({"messages": [{"role": "tool", "content": "1", "tool_call_id": "1"}]}, "messages.0", VALUE),
    ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content", INVALID),
    (
        {"messages": [{"role": "user"}]},
        "messages.0.content",
        "missing_required_parameter",
    ),
    ({"messages": [{**MESSAGES[0], "name": "Tom"}]}, "messages.0.name", PARAMETER),
    ({"messages": [{"role": "system", "content": 7}, *MESSAGES]}, "messages.0.content", INVALID),
    (
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}, *MESSAGES]},
        "messages.0.tool_calls",
        PARAMETER,
    ),
    (
        {"messages": [{"role": "user", "content": [IMAGE]}]},
        "messages.0.content.0.type",
        VALUE,
    ),
    (
        {"messages": [{"role": "user", "content": [CACHED]}]},
        "messages.0.content.0.prompt_cache_breakpoint",
        PARAMETER,
    ),
    (
        {"stream": True, "stream_options": {"include_obfuscation": True}},
        "stream_options.include_obfuscation",
        PARAMETER,
    ),
    ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", INVALID),
    ({"stop": ""}, "stop.0", INVALID),
    ({"stop": ["x", ""]}, "stop.1", INVALID),
    ({"seed": 1, "temperature": 0.1}, "seed", PARAMETER),
    ({"seed": 1, "model": "glore-best-of-n"}, "seed", PARAMETER),
    ({"extra_body": {"glore": {"n": 3}}}, "glore.n", PARAMETER),
    ({"extra_body": {"glore": {"n": 5}}, "model": "glore-gated"}, "glore.n", PARAMETER),
    ({"extra_body": {"top_k": 5}}, "top_k", PARAMETER),
    ({"extra_body": {"model": None}}, "model", INVALID),
    ({"extra_body": {"glore": []}}, "glore", INVALID),
    ({"extra_body": {"glore": {"strategy": "draft"}}}, "glore.strategy", PARAMETER),
    ({"extra_body": {"glore": {"n": 9}}}, "glore.n", INVALID),
    ({"extra_body": {"glore": {"deadline_ms": 99}}}, "glore.deadline_ms", INVALID),
    ({"extra_body": {"glore": {"deadline_ms": 120_001}}}, "glore.deadline_ms", INVALID),
    ({"extra_body": {"glore": {"max_engine_calls": 17}}}, "glore.max_engine_calls", INVALID),
    (
        {"extra_body": {"glore": {"max_generated_tokens": 8193}}},
        "glore.max_generated_tokens",
        INVALID,
    ),
    ({"extra_headers": {"Glore-Deadline-Ms": "99"}}, "header.Glore-Deadline-Ms", INVALID),
]
TAKEN = [
    (name, value) for table in (HONOURED, HINTS, NEUTRAL) for name in table for value in table[name]
]


async def create(openai: AsyncOpenAI, **parameters: Any) -> Any:  # noqa: ANN401 - as its own
    ask: Any = openai.chat.completions.create
    return await ask(**({"model": "glore", "messages": MESSAGES} | parameters))


def test_every_parameter_of_the_client_is_in_one_table() -> None:
    known = set(inspect.signature(AsyncCompletions.create).parameters) - {"self"} - TRANSPORT
    assert [*HONOURED, *HINTS, *NEUTRAL] == list(dict.fromkeys([*HONOURED, *HINTS, *NEUTRAL]))
    assert {*HONOURED, *HINTS, *NEUTRAL} == known
    assert set(ChatRequest.model_fields) == known | {"glore"}
    assert {name for name, *_ in REFUSED} >= set(NEUTRAL)


def test_every_parameter_is_in_the_table_of_the_docs() -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    named = {cell.strip("` ") for row in rows for cell in row.split("|")[1].split(",")}
    assert set(ChatRequest.model_fields) <= named


@pytest.mark.parametrize(("name", "value"), TAKEN)
async def test_what_is_honoured_or_asks_for_nothing_is_taken(
    openai: AsyncOpenAI, name: str, value: object
) -> None:
    completion = await create(openai, **{name: value})
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(("name", "value", "code"), REFUSED)
async def test_what_is_not_honoured_is_refused_by_name(
    openai: AsyncOpenAI, engines: FakeEngines, name: str, value: object, code: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        await create(openai, **{name: value})
    assert (refused.value.param, refused.value.code) == (name, code)
    assert refused.value.type == "invalid_request_error"
    assert f"{name}: " in refused.value.message
    assert engines.student.calls == 0


@pytest.mark.parametrize(("parameters", "param", "code"), NESTED)
async def test_the_place_of_a_fault_is_named(
    openai: AsyncOpenAI,
    engines: FakeEngines,
    parameters: dict[str, Any],
    param: str,
    code: str,
) -> None:
    with pytest.raises(BadRequestError) as refused:
        await create(openai, **parameters)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert engines.student.calls == 0


async def test_all_faults_are_told_at_once_and_no_value(openai: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await create(openai, top_logprobs=31415, temperature=27182, verbosity="sixteen")
    for name in ("top_logprobs", "temperature", "verbosity"):
        assert f"{name}: " in refused.value.message
    for value in ("31415", "27182", "sixteen"):
        assert value not in refused.value.message


async def test_all_that_does_not_go_together_is_told_at_once(openai: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await create(
            openai,
            seed=31415,
            temperature=1,
            stream_options={},
            extra_body={"glore": {"n": 4}},
        )
    for name in ("seed", "stream_options", "glore.n"):
        assert f"{name}: " in refused.value.message
    assert "31415" not in refused.value.message


def body(**fields: object) -> ChatRequest:
    return ChatRequest.model_validate({"model": "glore", "messages": MESSAGES} | fields)


def test_what_is_honoured_reaches_the_task() -> None:
    options = {"deadline_ms": 900, "max_engine_calls": 4, "max_generated_tokens": 99, "n": 5}
    task = chat_task(
        body(model="glore-best-of-n", temperature=0.5, top_p=0.9, max_tokens=70, glore=options),
        LIMITS,
    )
    assert task.question == QUESTION
    assert task.strategy is Strategy.BEST_OF_N
    assert task.sampling == Sampling(temperature=0.5, top_p=0.9, max_tokens=70, n=5)
    assert task.budget.deadline == 0.9
    assert (task.budget.max_calls, task.budget.max_generated_tokens) == (4, 99)


def test_what_is_left_out_is_as_for_solve() -> None:
    task = chat_task(body(temperature=None, glore={}), LIMITS)
    assert task.strategy is Strategy.GLORE
    assert task.sampling == Sampling()
    assert task.budget.deadline == 60.0
    assert (task.budget.max_calls, task.budget.max_generated_tokens) == (16, 8192)


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60}, 60),
        ({"max_tokens": 50, "max_completion_tokens": 60}, 50),
        ({"max_tokens": 60, "max_completion_tokens": 50}, 50),
        ({"max_tokens": None, "max_completion_tokens": 50}, 50),
        ({"max_tokens": 4096, "max_completion_tokens": 50}, 50),
        ({"max_tokens": 4096}, 1024),
        ({"max_completion_tokens": 1025}, 1024),
    ],
)
def test_the_smaller_bound_on_tokens_counts(given: dict[str, Any], most: int) -> None:
    assert chat_task(body(**given), LIMITS).sampling.max_tokens == most


def test_the_bound_on_tokens_is_that_of_solve() -> None:
    assert SamplingIn(max_tokens=1024).max_tokens == 1024
    with pytest.raises(ValidationError):
        SamplingIn(max_tokens=1025)


async def test_a_seed_reaches_no_engine(settings: Settings) -> None:
    async with running(Simulated()) as (simulator, url):
        engine = EngineSettings(url=AnyHttpUrl(url))
        app = create_app(settings.model_copy(update={"generation": engine, "scoring": engine}))
        async with app.router.lifespan_context(app), client_of(app) as client:
            answers = [
                (await create(client, seed=seed)).choices[0].message.content for seed in (1, 2)
            ]
    assert answers[0] == answers[1]
    assert set(simulator.came.values()) == {2}  # each engine call came again, word for word
