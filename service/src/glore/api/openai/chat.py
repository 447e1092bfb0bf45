"""`POST /v1/chat/completions`: the question in messages, the refined answer back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from glore.api.answering import solve_once
from glore.api.callers import ClientBudgetDep
from glore.api.context import Context, context_of
from glore.api.openai.chunks import CHUNK_SCHEMA, Chunks
from glore.api.openai.completion import ChatCompletion, Head
from glore.api.openai.document import CHAT_ERRORS
from glore.api.openai.request import ChatRequest, chat_job
from glore.api.record import record_of
from glore.api.solve import require_json
from glore.api.stream import MEDIA_TYPE, EventStreamResponse

router = APIRouter(tags=["OpenAI"])


@router.post(
    "/v1/chat/completions",
    summary="Answer a question in OpenAI's words",
    dependencies=[Depends(require_json)],
    response_model=ChatCompletion,
    responses={200: {"content": {MEDIA_TYPE: {"itemSchema": CHUNK_SCHEMA}}}, **CHAT_ERRORS},
)
async def complete(
    body: ChatRequest,
    request: Request,
    context: Annotated[Context, Depends(context_of)],
    left: ClientBudgetDep,
) -> ChatCompletion | Response:
    """Answer the question that the messages make as `POST /solve` would.

    A parameter that would change the answer and is not supported is an error that names it. A hint
    that changes nothing is accepted, and `glore.ignored` names it. With `stream` the answer comes
    in chunks; it is known late, and their `glore` says what happens before. Closing the connection
    cancels all work.
    """
    record_of(request.scope).ask(body.strategy.value)
    job = left.bound(chat_job(body, context.limits))
    head = Head(body.model, stop=body.stop or (), ignored=body.ignored)
    if body.stream:
        options = body.stream_options
        chunks = Chunks(head, include_usage=bool(options and options.include_usage))
        return EventStreamResponse(job, context, chunks, late=True)
    return ChatCompletion.of(await solve_once(job, request, context), head)
