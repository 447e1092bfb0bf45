"""A program that uses every public name of the client; `test_typing.py` has mypy check it."""

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Literal, assert_never, assert_type

import httpx2

import glore_client
from glore_client import (
    Answered,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    AsyncStream,
    AuthenticationError,
    BadGateway,
    CallOptions,
    Candidate,
    Client,
    Conflict,
    ContentTooLarge,
    Degraded,
    DoneEvent,
    Draft,
    DraftDelta,
    DraftWritten,
    Failed,
    Feedback,
    FieldError,
    Finding,
    FirstError,
    GatewayTimeout,
    GloreError,
    InternalServerError,
    InvalidQuestionError,
    InvalidResponseError,
    MethodNotAllowed,
    NotFound,
    Outcome,
    Problem,
    Progress,
    Question,
    RateLimited,
    Readiness,
    RefinedDelta,
    RefinedWritten,
    RetryPolicy,
    Sampling,
    Selected,
    SelectedEvent,
    ServiceUnavailable,
    SolveEvent,
    SolveOptions,
    SolveResult,
    StageUsage,
    Step,
    StepScores,
    Strategy,
    Stream,
    UnprocessableEntity,
    Usage,
    __version__,
)


def result(solved: SolveResult) -> None:
    assert_type(solved.id, str)
    assert_type(solved.request_id, str)
    assert_type(solved.strategy, str)
    assert_type(solved.answer, str | None)
    assert_type(solved.solution, str)
    assert_type(solved.selected, Selected)
    assert_type(solved.selected.candidate, int)
    assert_type(solved.candidates, tuple[Candidate, ...])
    assert_type(solved.candidates[0].outcome_score, float | None)
    assert_type(solved.candidates[0].finish_reason, str)
    assert_type(solved.candidates[0].findings, tuple[Finding, ...])
    assert_type(solved.candidates[0].findings[0].expected, str)
    assert_type(solved.candidates[0].base, int | None)
    assert_type(solved.draft, Draft)
    assert_type(solved.draft.steps, tuple[Step, ...])
    assert_type(solved.draft.steps[0].score, float | None)
    assert_type(solved.draft.first_error, int | None)
    assert_type(solved.draft.first_error_by, str | None)
    assert_type(solved.rounds, int)
    assert_type(solved.draft.threshold, float)
    assert_type(solved.usage, Usage)
    assert_type(solved.usage.stages, tuple[StageUsage, ...])
    assert_type(solved.usage.stages[0].seconds, float)
    assert_type(solved.degraded, tuple[Degraded, ...])
    assert_type(solved.degraded[0].reason, str)


def event(item: SolveEvent) -> str:
    match item:
        case DraftDelta():
            assert_type(item.event, Literal["draft.delta"])
            return item.text
        case DraftWritten():
            assert_type(item.candidate, Candidate)
            assert_type(item.samples, tuple[Candidate, ...])
            return item.steps[0]
        case StepScores():
            assert_type(item.scores, tuple[float, ...])
            return str(item.candidate)
        case FirstError():
            assert_type(item.index, int | None)
            assert_type(item.found_by, str | None)
            assert_type(item.threshold, float)
            return item.critique or ""
        case RefinedDelta():
            assert_type(item.base, int)
            assert_type(item.round, int)
            return item.kind + item.text
        case RefinedWritten():
            assert_type(item.place, int)
            return item.candidate.kind
        case SelectedEvent():
            assert_type(item.selected, Selected)
            return item.selected.explanation
        case DoneEvent():
            assert_type(item.result, SolveResult)
            return item.event
        case _:
            assert_never(item)


def by_name(item: SolveEvent) -> str:
    if item.event == "refined":
        assert_type(item, RefinedWritten)
        return item.candidate.solution
    return item.event


def outcome(ended: Outcome) -> int:
    if isinstance(ended, Answered):
        result(ended.result)
    else:
        assert_type(ended, Failed)
        assert_type(ended.error, GloreError)
    assert_type(ended.question, Question)
    assert_type(ended.question.id, str | None)
    return ended.index


def verdict(client: Client, solved: SolveResult) -> str:
    judged = client.feedback(solved, expected_answer="12")
    assert_type(judged, Feedback)
    assert_type(judged.correct, bool)
    assert_type(judged.draft_correct, bool | None)
    return judged.change


def error(raised: GloreError) -> float | None:
    assert_type(raised.request_id, str)
    assert_type(raised.message, str)
    assert_type(raised.url, str | None)
    if isinstance(raised, UnprocessableEntity):
        assert_type(raised.errors, tuple[FieldError, ...])
        assert_type(raised.errors[0].field, str)
    if isinstance(raised, APIStatusError):
        assert_type(raised.status, int)
        assert_type(raised.problem, Problem | None)
        return raised.retry_after
    return None


STATUSES: Mapping[int, type[APIStatusError]] = {
    401: AuthenticationError,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: ContentTooLarge,
    422: UnprocessableEntity,
    429: RateLimited,
    500: InternalServerError,
    502: BadGateway,
    503: ServiceUnavailable,
    504: GatewayTimeout,
}
OTHERS: tuple[type[GloreError], ...] = (
    APIConnectionError,
    APITimeoutError,
    InvalidQuestionError,
    InvalidResponseError,
)
VERSION: str = __version__


def note(done: int, total: int | None) -> None:
    """Take what `solve_many` tells of its progress."""


def blocking(transport: httpx2.BaseTransport) -> None:
    strategy: Strategy = "best_of_n"
    sampling = Sampling(temperature=0.7, n=4)
    shared: SolveOptions = {"strategy": strategy, "max_engine_calls": 8, "rounds": 2}
    options: CallOptions = {"deadline": 10.0, "timeout": 12.0, "max_generated_tokens": 900}
    progress: Progress = note
    question = Question("How many?", id="a", sampling=sampling, verify=False, correct=True)
    policy = RetryPolicy(max_retries=1)
    with Client(api_key="k", retry=policy, transport=transport, headers={"X-Team": "a"}) as client:
        assert_type(client, Client)
        assert_type(client.with_options(timeout=2.0, headers={"X-Team": "b"}, **shared), Client)
        assert_type(client.solve("How many?", request_id="r", **options), SolveResult)
        assert_type(client.ready(), Readiness)
        assert_type(client.ready().engines, Mapping[str, str])
        assert_type(client.ready().circuits, Mapping[str, str] | None)
        with client.stream(question, silence=20.0, strategy="glore") as stream:
            assert_type(stream, Stream)
            assert_type(stream.request_id, str | None)
            for item in stream:
                event(item)
            assert_type(stream.result, SolveResult)
        many = client.solve_many(["a", question], concurrency=2, progress=progress, **options)
        assert_type(many, Generator[Outcome, None, None])
        batch = client.solve_batch([question], idempotency_key="k", timeout=60.0, **shared)
        assert_type(batch, Generator[Outcome, None, None])
        for ended in batch:
            outcome(ended)


async def asynchronous(transport: httpx2.AsyncBaseTransport) -> None:
    async with AsyncClient("http://gateway", transport=transport) as client:
        assert_type(client, AsyncClient)
        assert_type(client.with_options(strategy="draft", retry=RetryPolicy()), AsyncClient)
        assert_type(await client.solve("How many?", sampling=None), SolveResult)
        assert_type(await client.ready(timeout=2.0), Readiness)
        async with client.stream("How many?", deadline=5.0) as stream:
            assert_type(stream, AsyncStream)
            async for item in stream:
                by_name(item)
            assert_type(stream.result, SolveResult)
        many = client.solve_many(["a"], ordered=False, progress=True)
        assert_type(many, AsyncGenerator[Outcome, None])
        batch = client.solve_batch(["a"], max_generated_tokens=None)
        assert_type(batch, AsyncGenerator[Outcome, None])
        async for ended in batch:
            outcome(ended)


def wrong(client: Client) -> None:
    """Refuse what is wrong; --strict warns of an ignore that is not needed."""
    client.solve("How many?", strategy="greedy")  # type: ignore[arg-type]
    client.solve("How many?", deadlin=3.0)  # type: ignore[call-arg]
    client.with_options(timout=3.0)  # type: ignore[call-arg]
    Client(base_ulr="http://gateway")  # type: ignore[call-arg]
    Sampling(temprature=1.0)  # type: ignore[call-arg]
    client.solve_batch(["How many?"], timeout="1 s")  # type: ignore[arg-type]
    client.solve_many([1])  # type: ignore[list-item]
    Question("How many?", "a")  # type: ignore[call-arg]
    _ = glore_client.BadRequest  # type: ignore[attr-defined]
