"""`POST /solve`: a question in, one refined answer out."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import Response

from glore.api.accept import prefers_events
from glore.api.answering import solve_once
from glore.api.callers import ClientBudgetDep, with_deadline
from glore.api.context import Context, Limits, context_of
from glore.api.events import EVENT_SCHEMA, SolveEvents
from glore.api.examples import REQUESTS, STREAM
from glore.api.json_text import check_size
from glore.api.openapi import SOLVE_ERRORS
from glore.api.problems import TOO_LONG, invalid_request
from glore.api.record import record_of
from glore.api.schemas import SolveOptions, SolveRequest, SolveResponse
from glore.api.stream import MEDIA_TYPE as EVENT_STREAM
from glore.api.stream import EventStreamResponse
from glore.errors import FieldError, UnsupportedMediaTypeError
from glore.refinement.types import Budget, Job, Sampling, Strategy, gate_of

_MOST_VALUES: Final = 4000  # in a body; a conversation of 1,000 messages has fewer

router = APIRouter()


async def require_json(request: Request) -> None:
    """Raises UnsupportedMediaTypeError unless the body is announced as JSON.

    Raises InvalidRequestError for more values than any question has: each could cost an error.
    """
    media_type = request.headers.get("content-type", "").split(";", maxsplit=1)[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        message = "Send the body as JSON, with Content-Type: application/json."
        raise UnsupportedMediaTypeError(message)
    if await request.body():
        check_size(await request.json(), _MOST_VALUES)


@router.post(
    "/solve",
    summary="Answer a question",
    dependencies=[Depends(require_json)],
    response_model=SolveResponse,
    responses={
        200: {
            "content": {
                EVENT_STREAM: {"itemSchema": EVENT_SCHEMA, "example": STREAM},
            }
        },
        **SOLVE_ERRORS,
    },
)
async def solve(
    body: Annotated[SolveRequest, Body(openapi_examples=REQUESTS)],
    request: Request,
    context: Annotated[Context, Depends(context_of)],
    left: ClientBudgetDep,
) -> SolveResponse | Response:
    """Draft a solution, refine it as the strategy says, and return the best candidate.

    A stage that fails costs its candidate, not the answer: `degraded` names it. Closing the
    connection cancels all work. With `Accept: text/event-stream` progress is streamed; the
    last event is `done`, with the whole answer, or `error`, with a problem.
    """
    strategy = body.strategy or context.limits.strategy
    record_of(request.scope).ask(strategy.value)
    job = left.bound(job_of(body, context.limits))
    if prefers_events(",".join(request.headers.getlist("accept"))):
        return EventStreamResponse(job, context, SolveEvents())
    return await solve_once(job, request, context)


def beyond_limits(options: SolveOptions, limits: Limits) -> list[FieldError]:
    """The parts of the budget that are more than the server allows."""
    given = options.deadline_ms if "deadline_ms" in options.model_fields_set else 0
    return [
        FieldError(name, f"Input should be less than or equal to {bound}")
        for name, value, bound in (
            ("deadline_ms", given, round(limits.max_deadline * 1000)),
            (
                "max_generated_tokens",
                options.max_generated_tokens or 0,
                limits.max_generated_tokens,
            ),
            ("max_engine_calls", options.max_engine_calls or 0, limits.max_calls),
            ("rounds", options.rounds, limits.max_rounds),
        )
        if value > bound
    ]


def job_of(body: SolveRequest, limits: Limits) -> Job:
    """The job of a request within the server's limits.

    Raises InvalidRequestError for a question or a part of the budget beyond the server's, and for
    a number of candidates where none are drawn. A deadline that was not given is the smaller of
    the default and the server's.
    """
    most = round(limits.max_deadline * 1000)
    faults = []
    if len(body.question) > limits.max_question:
        message = (  # LiteLLM goes by the words of the first sentence, LangChain by the second's
            f"This model's maximum context length is {limits.max_question} characters. "
            f"The prompt is too long: it has {len(body.question)}."
        )
        faults.append(FieldError("question", message, TOO_LONG))
    if "n" in body.sampling.model_fields_set and body.strategy is not Strategy.BEST_OF_N:
        faults.append(FieldError("sampling.n", "Taken with strategy best_of_n only"))
    faults += beyond_limits(body, limits)
    if faults:
        raise invalid_request(faults)
    calls = body.max_engine_calls or limits.max_calls
    tokens = body.max_generated_tokens or limits.max_generated_tokens
    strategy = body.strategy or limits.strategy
    deadline = min(body.deadline_ms, most) / 1000
    return Job(
        question=body.question,
        strategy=strategy,
        sampling=Sampling(
            temperature=body.sampling.temperature,
            top_p=body.sampling.top_p,
            max_tokens=body.sampling.max_tokens,
            n=body.sampling.n,
        ),
        budget=with_deadline(Budget(most / 1000, calls, tokens, limits.rerank_reserve), deadline),
        threshold=limits.threshold,
        gate=gate_of(strategy, limits.gate, verified=body.verify and limits.verifies),
        rounds=body.rounds,
        verify=body.verify,
        correct=body.correct,
    )
