"""The client against what the gateway documents of itself: neither may drift alone."""

import json
from typing import Any, TypeAlias, get_args

import pytest
from pydantic import BaseModel, SecretStr

from glore.api.batch_body import digest_of
from glore.api.batch_schemas import BatchQuestion, resolved
from glore.api.examples import DEGRADED, RESPONSE
from glore.api.schemas import SolveOptions, SolveRequest
from glore.api.solve import job_of
from glore.app import create_app
from glore.settings import Settings
from glore_client import (
    Feedback,
    Problem,
    Question,
    Readiness,
    Sampling,
    SolveEvent,
    SolveResult,
    Strategy,
)
from glore_client.batches import BrokenLine, ErrorLine, LastLine, OkLine
from glore_client.events import READERS
from glore_client.questions import EVENTS, NDJSON, BatchCall, shared_options, solve_call
from tests.service.api.openai.conftest import LIMITS

Schema: TypeAlias = dict[str, Any]

FULL = Question(
    "How many?",
    id="a",
    strategy="best_of_n",
    sampling=Sampling(temperature=0.7, top_p=0.9, max_tokens=100, n=4),
    deadline=30.0,
    max_engine_calls=4,
    max_generated_tokens=500,
    rounds=2,
    verify=False,
    correct=True,
)
SHARED = shared_options(
    {
        "strategy": "glore",
        "sampling": FULL.sampling,
        "max_engine_calls": 4,
        "max_generated_tokens": 5,
        "rounds": 2,
        "verify": False,
        "correct": True,
    }
)


@pytest.fixture(scope="module")
def document() -> Schema:
    settings = Settings(threshold=0.5, store=SecretStr("off"))
    schema: Schema = create_app(settings).openapi()
    return schema


def shape(schema: Schema, names: Schema, *, null: bool = True) -> object:
    """Fields and types, without descriptions, bounds, words of an enum, and what is required.

    `null`: whether a field that may be null differs from one that may not.
    """
    if "$ref" in schema:
        return shape(names[schema["$ref"].rpartition("/")[2]], names, null=null)
    if "anyOf" in schema:
        shapes = [shape(each, names, null=null) for each in schema["anyOf"]]
        shapes = [each for each in shapes if null or each != "null"]
        return shapes[0] if len(shapes) == 1 else shapes
    if "properties" in schema:
        fields = schema["properties"].items()
        return {name: shape(each, names, null=null) for name, each in fields}
    if isinstance(schema.get("additionalProperties"), dict):
        return {"*": shape(schema["additionalProperties"], names, null=null)}
    if schema["type"] == "array":
        return [shape(schema["items"], names, null=null)]
    return schema["type"]


def ours(model: type[BaseModel], *, null: bool = True) -> Any:
    schema = model.model_json_schema(mode="serialization")
    return shape(schema, schema.get("$defs", {}), null=null)


def theirs(name: str, document: Schema, *, null: bool = True) -> Any:
    schemas = document["components"]["schemas"]
    return shape(schemas[name], schemas, null=null)


def content(document: Schema, path: str) -> Schema:
    described: Schema = document["paths"][path]["post"]["responses"]["200"]["content"]
    return described


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (SolveResult, "SolveResponse"),
        (Feedback, "FeedbackResponse"),
        (Readiness, "Ready"),
        (LastLine, "BatchDone"),
    ],
)
def test_every_field_of_an_answer_is_typed(
    model: type[BaseModel], name: str, document: Schema
) -> None:
    assert ours(model) == theirs(name, document)


def test_every_field_of_a_problem_is_typed(document: Schema) -> None:
    # a proxy's problem may say less
    assert ours(Problem, null=False) == theirs("Problem", document, null=False)


def test_every_event_is_typed_to_the_last_field(document: Schema) -> None:
    described = content(document, "/solve")[EVENTS]["itemSchema"]["oneOf"]
    data = {
        each["properties"]["event"]["const"]: each["properties"]["data"]["contentSchema"]
        for each in described
    }
    assert data.keys() == READERS.keys() | {"error"}
    classes = {
        kind.model_fields["event"].default: kind for kind in get_args(get_args(SolveEvent)[0])
    }
    assert classes.keys() == READERS.keys()
    named = {"selected": "selected", "done": "result"}
    for event, kind in classes.items():
        fields = ours(kind)
        assert fields.pop("event") == "string"
        held = fields[named[event]] if event in named else fields
        assert held == theirs(data[event]["$ref"].rpartition("/")[2], document), event


def test_every_field_of_a_line_is_typed(document: Schema) -> None:
    assert NDJSON in content(document, "/solve/batch")
    both = {**ours(OkLine, null=False), **ours(ErrorLine, null=False)}
    assert both == theirs("BatchLine", document, null=False)
    assert ours(BrokenLine, null=False) == theirs("BatchBroken", document, null=False)


def test_every_field_of_a_question_can_be_sent(document: Schema) -> None:
    body = solve_call(FULL, {}, "r").request(0.0).body
    assert body is not None
    assert body.keys() == theirs("SolveRequest", document).keys()
    assert ours(Sampling, null=False) == theirs("SamplingIn", document)
    assert list(get_args(Strategy)) == document["components"]["schemas"]["Strategy"]["enum"]


def test_every_field_of_a_batch_can_be_sent(document: Schema) -> None:
    body: Any = BatchCall([FULL], SHARED, "key", 9.0, 9.0, "r").request(0.0).body
    assert body.keys() == theirs("BatchRequest", document).keys()
    assert body["questions"][0].keys() == theirs("BatchQuestion", document).keys()


# for proxies; the client says the same in the body
IN_THE_BODY = {"Glore-Max-Engine-Calls", "Glore-Max-Generated-Tokens"}


def test_every_header_of_a_call_is_sent(document: Schema) -> None:
    sent = {
        "/solve": solve_call(FULL, {}, "r").request(0.0).headers,
        "/solve/batch": BatchCall([FULL], SHARED, "key", 9.0, 9.0, "r").request(0.0).headers,
    }
    for path, headers in sent.items():
        parameters = document["paths"][path]["post"]["parameters"]
        documented = {each["name"] for each in parameters if each["in"] == "header"}
        assert documented - {"Accept", *IN_THE_BODY} == headers.keys() - {"Accept", "X-Request-ID"}


def test_the_client_keeps_every_field_of_the_documented_response() -> None:
    example: Schema = json.loads(json.dumps(RESPONSE))
    assert SolveResult.model_validate(example).model_dump(mode="json") == example


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_the_gateway_takes_what_the_client_sends(strategy: Strategy) -> None:
    draws = strategy == "best_of_n"
    sampling = FULL.sampling if draws else Sampling(temperature=0.7)
    call = solve_call(FULL.text, {"strategy": strategy, "sampling": sampling}, "r")
    task = job_of(SolveRequest.model_validate(call.request(0.0).body), LIMITS)
    assert task.strategy == strategy
    assert task.budget.deadline == 60.0
    assert task.sampling.temperature == 0.7
    assert task.sampling.n == (4 if draws else 3)
    assert (task.rounds, task.verify, task.correct) == (1, True, False)


def test_what_is_to_be_verified_reaches_the_task() -> None:
    call = solve_call(FULL, {"rounds": 3, "verify": True}, "r")
    task = job_of(SolveRequest.model_validate(call.request(0.0).body), LIMITS)
    assert (task.rounds, task.verify, task.correct) == (2, False, True)


async def test_a_batch_that_says_nothing_new_is_the_batch_it_was() -> None:
    """The store of a gateway holds it under this digest since before there were verifiers."""
    body: Any = (
        BatchCall(
            [Question("One?", id="a"), Question("Two?", strategy="draft")],
            shared_options({"strategy": "glore", "deadline": 9.0}),
            "key",
            9.0,
            9.0,
            "r",
        )
        .request(0.0)
        .body
    )
    options = SolveOptions.model_validate({k: v for k, v in body.items() if k != "questions"})
    questions = [BatchQuestion.model_validate(each) for each in body["questions"]]
    requests = [resolved(options, each) for each in questions]
    assert await digest_of([each.id for each in questions], requests) == (
        "v2:689ecc572c0984e54b86a0d6ed0f51a3727754a67a855c52f3b955c81750fc0e"
    )


def test_not_ready_is_understood() -> None:
    body = {"status": "not_ready", "engines": {"generation": "ready", "scoring": "unreachable"}}
    readiness = Readiness.model_validate(body)
    assert (readiness.ready, readiness.degraded) == (False, False)


def test_degraded_is_understood_as_neither_ready_nor_useless() -> None:
    readiness = Readiness.model_validate(DEGRADED)
    assert (readiness.ready, readiness.degraded) == (False, True)
