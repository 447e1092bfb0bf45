"""Every parameter of the openai client: honoured, a hint that is ignored, or refused by name."""

import inspect
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.resources.chat.completions import AsyncCompletions
from pydantic import AnyHttpUrl, ValidationError

from glore.api.openai import parameters
from glore.api.openai.parameters import Hints
from glore.api.openai.request import ChatRequest, chat_job
from glore.api.schemas import SamplingIn
from glore.app import create_app
from glore.refinement.types import Sampling, Strategy
from glore.role_settings import EngineSettings
from glore.settings import Settings
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated
from tests.service.api.openai.conftest import DOCS, LIMITS, client_of
from tests.service.fakes import QUESTION, FakeEngines

TRANSPORT = {"extra_headers", "extra_query", "extra_body", "timeout"}
MESSAGES = [{"role": "user", "content": QUESTION}]
FUNCTION = {"name": "add", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": FUNCTION}
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
    "model": ["glore", "glore-adaptive", "glore-draft", "glore-best-of-n"],
    "temperature": [None, 0, 0.7, 2],
    "top_p": [None, 0.1, 1],
    "max_tokens": [None, 1, 1024, 64.0, 1025, 4096, 128_000.0],
    "max_completion_tokens": [None, 1, 1024, 4096],
    "seed": [None, 0, 42, -1, 7.0],
    "stop": [None, [], "</s>", ["</s>"], ["a", "b", "c", "d"]],
    "stream": [None, False],  # True: test_chunks.py
    "stream_options": [None, {}, {"include_usage": True}],  # with a stream: test_chunks.py
}
HINTS: dict[str, list[Any]] = {
    "metadata": [{}, {"run": "1"}],
    "parallel_tool_calls": [True, False],
    "prediction": [{"type": "content", "content": "x"}],
    "prompt_cache_key": ["key"],
    "prompt_cache_options": [{"mode": "implicit"}],
    "prompt_cache_retention": ["in_memory", "24h"],
    "safety_identifier": ["somebody"],
    "service_tier": ["auto", "flex"],
    "store": [False, True],
    "user": ["somebody", 7],
}
NEUTRAL: dict[str, list[Any]] = {
    "audio": [None],
    "frequency_penalty": [None, 0, 0.0],
    "function_call": [None, "none", "auto"],
    "functions": [None, []],
    "logit_bias": [None, {}],
    "logprobs": [None, False],
    "modalities": [None, ["text"]],
    "moderation": [None],
    "n": [None, 1],
    "presence_penalty": [None, 0],
    "reasoning_effort": [None],
    "response_format": [None, {"type": "text"}],
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
    ("modalities", ["text", "audio"], VALUE),
    ("moderation", {"model": "omni-moderation-latest"}, PARAMETER),
    ("n", 2, VALUE),
    ("n", True, VALUE),
    ("presence_penalty", -2, PARAMETER),
    ("reasoning_effort", "low", PARAMETER),
    ("response_format", {"type": "json_object"}, VALUE),
    ("response_format", SCHEMA, VALUE),
    ("seed", "0", INVALID),
    ("seed", 0.5, INVALID),
    ("stop", ["a", "b", "c", "d", "e"], INVALID),
    ("stop", 7, INVALID),
    ("stream", "yes", INVALID),
    ("stream_options", "usage", INVALID),
    ("temperature", 2.1, INVALID),
    ("tool_choice", "required", VALUE),
    ("tools", [TOOL], PARAMETER),
    ("top_logprobs", 5, PARAMETER),
    ("top_p", 0, INVALID),
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
    ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", INVALID),
    ({"stop": ""}, "stop.0", INVALID),
    ({"stop": ["x", ""]}, "stop.1", INVALID),
    ({"extra_body": {"glore": {"n": 3}}}, "glore.n", INVALID),
    ({"extra_body": {"glore": {"n": 5}}, "model": "glore-gated"}, "glore.n", INVALID),
    ({"extra_body": {"top_k": 5}}, "top_k", PARAMETER),
    ({"extra_body": {"model": None}}, "model", INVALID),
    ({"extra_body": {"glore": []}}, "glore", INVALID),
    ({"extra_body": {"glore": {"strategy": "draft"}}}, "glore.strategy", PARAMETER),
    ({"extra_body": {"glore": {"n": 9}}}, "glore.n", INVALID),
    ({"extra_body": {"glore": {"rounds": 5}}}, "glore.rounds", INVALID),
    ({"extra_body": {"glore": {"verify": 0}}}, "glore.verify", INVALID),
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
    (name, value)
    for table in (HONOURED, HINTS, NEUTRAL)
    for name in table
    for value in (None, *table[name])
    if not (value is None and name in {"messages", "model"})
]


async def create(openai: AsyncOpenAI, **parameters: Any) -> Any:
    ask: Any = openai.chat.completions.create
    return await ask(**({"model": "glore", "messages": MESSAGES} | parameters))


def test_every_parameter_of_the_client_is_in_one_table() -> None:
    known = set(inspect.signature(AsyncCompletions.create).parameters) - {"self"} - TRANSPORT
    assert sorted([*HONOURED, *HINTS, *NEUTRAL]) == sorted(known)
    assert set(Hints.model_fields) == set(HINTS)
    assert set(parameters.NEUTRAL) == set(NEUTRAL)
    assert set(ChatRequest.model_fields) == {*HONOURED, *HINTS, "glore"}
    assert {name for name, *_ in REFUSED} >= set(NEUTRAL)


def test_every_parameter_is_in_the_table_of_the_docs() -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    named = {cell.strip("` ") for row in rows for cell in row.split("|")[1].split(",")}
    assert {*ChatRequest.model_fields, *parameters.NEUTRAL} <= named


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


async def test_all_faults_are_reported_at_once_and_no_value(openai: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await create(openai, top_logprobs=31415, temperature=27182, verbosity="sixteen")
    for name in ("top_logprobs", "temperature", "verbosity"):
        assert f"{name}: " in refused.value.message
    for value in ("31415", "27182", "sixteen"):
        assert value not in refused.value.message


@pytest.mark.parametrize(
    ("given", "ignored"),
    [
        ({"seed": 7}, []),
        ({"seed": 7, "temperature": 0}, []),
        ({"seed": 7, "temperature": 0.7}, ["seed"]),
        ({"seed": 7, "model": "glore-best-of-n"}, ["seed"]),
        ({"seed": -(2**80), "temperature": 2, "user": "me", "n": 1}, ["user", "seed"]),
        ({"temperature": 0.7, "seed": None, "metadata": None}, []),
        ({"store": False, "prediction": {"content": "x"}}, ["prediction", "store"]),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_trace_names_what_was_given_and_not_used(
    openai: AsyncOpenAI, given: dict[str, Any], ignored: list[str], *, stream: bool
) -> None:
    answer = await create(openai, stream=stream, **given)
    if stream:
        *_, answer = [chunk async for chunk in answer]
    trace = answer.model_extra["glore"]
    assert (trace["data"] if stream else trace)["ignored"] == ignored


@pytest.mark.parametrize("name", ["top_k", "repetition_penalty", "<user>", "x" * 300])
async def test_what_is_not_known_is_refused_unless_it_is_null(
    openai: AsyncOpenAI, name: str
) -> None:
    assert (await create(openai, extra_body={name: None})).choices
    with pytest.raises(BadRequestError) as refused:
        await create(openai, extra_body={name: 5})
    assert refused.value.code in {PARAMETER, INVALID}


def body(**fields: object) -> ChatRequest:
    return ChatRequest.model_validate({"model": "glore", "messages": MESSAGES} | fields)


def test_what_is_honoured_reaches_the_task() -> None:
    options = {"deadline_ms": 900, "max_engine_calls": 4, "max_generated_tokens": 99, "n": 5}
    job = chat_job(
        body(model="glore-best-of-n", temperature=0.5, top_p=0.9, max_tokens=70, glore=options),
        LIMITS,
    )
    assert job.question == QUESTION
    assert job.strategy is Strategy.BEST_OF_N
    assert job.sampling == Sampling(temperature=0.5, top_p=0.9, max_tokens=70, n=5)
    assert job.budget.deadline == 0.9
    assert (job.budget.max_calls, job.budget.max_generated_tokens) == (4, 99)


def test_rounds_verifiers_and_corrections_reach_the_task() -> None:
    job = chat_job(body(model="glore-adaptive", glore={"rounds": 2, "verify": False}), LIMITS)
    assert job.strategy is Strategy.ADAPTIVE
    assert (job.rounds, job.verify, job.correct) == (2, False, False)
    job = chat_job(body(glore={"correct": True}), LIMITS)
    assert (job.rounds, job.verify, job.correct) == (1, True, True)


async def test_the_clients_extra_body_turns_verifiers_off(openai: AsyncOpenAI) -> None:
    """The fake student's draft says 3 * 4 = 13."""
    for glore, refuted in (({}, True), ({"rounds": 2, "verify": False}, False)):
        completion = await create(openai, extra_body={"glore": glore})
        trace = completion.model_extra["glore"]
        assert bool(trace["candidates"][0]["findings"]) == refuted


def test_what_is_left_out_is_as_for_solve() -> None:
    job = chat_job(body(temperature=None, glore={}), LIMITS)
    assert job.strategy is Strategy.GLORE
    assert job.sampling == Sampling()
    assert job.budget.deadline == 60.0
    assert (job.budget.max_calls, job.budget.max_generated_tokens) == (16, 8192)


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
    assert chat_job(body(**given), LIMITS).sampling.max_tokens == most


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
                (await create(client, model="glore-draft", seed=seed, temperature=temperature))
                for temperature in (0, 0.7)
                for seed in (1, 2)
            ]
    greedy, again, *_ = [answer.choices[0].message.content for answer in answers]
    assert greedy == again
    # each engine call came again, word for word, with and without sampling
    assert sorted(simulator.came.values()) == [2, 2]
