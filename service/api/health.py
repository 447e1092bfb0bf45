"""`GET /livez`, `/readyz` and `/metrics`: for supervisors, balancers and Prometheus."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from service.api.context import Context, context_of
from service.api.examples import NOT_READY, READY
from service.engines.breaker import Circuit
from service.engines.readiness import EngineState

router = APIRouter()


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Whether every engine can work, and what each one's state is."""

    status: Literal["ready", "not_ready", "stopping"]
    engines: dict[str, EngineState] = Field(description="Empty when the gateway is stopping.")
    missing_models: dict[str, list[str]] | None = Field(
        default=None,
        description="Model names an engine should serve but does not; left out when none.",
    )
    problems: dict[str, str] | None = Field(
        default=None,
        description="Why an engine is a misfit for the family of a role; left out when none.",
    )
    circuits: dict[str, Circuit] | None = Field(
        default=None,
        description="Circuit breakers that are not closed; an open one is not ready.",
    )


@router.get("/livez", summary="Is the gateway alive?")
async def livez() -> Alive:
    """Answers without asking anything else."""
    return Alive()


@router.get(
    "/readyz",
    summary="Can the engines work?",
    response_model_exclude_none=True,
    responses={
        200: {"content": {"application/json": {"example": READY}}},
        503: {
            "model": Ready,
            "description": "At least one engine is not ready, or the gateway is stopping",
            "content": {"application/json": {"example": NOT_READY}},
        },
    },
)
async def readyz(response: Response, context: Annotated[Context, Depends(context_of)]) -> Ready:
    """Asks every engine for its health and its models; the answer is kept for a second.

    A gateway that is stopping asks nobody: it still answers, and should be sent nothing more.
    """
    if context.drain.begun:
        response.status_code = 503
        return Ready(status="stopping", engines={})
    statuses = await context.readiness.check()
    circuits: dict[str, Circuit] = {
        name: circuit
        for name, circuit in context.readiness.circuits().items()
        if circuit is not Circuit.CLOSED
    }
    ready = Circuit.OPEN not in circuits.values() and all(
        status.state is EngineState.READY for status in statuses.values()
    )
    if not ready:
        response.status_code = 503
    missing = {name: list(status.missing) for name, status in statuses.items() if status.missing}
    problems = {name: status.problem for name, status in statuses.items() if status.problem}
    return Ready(
        status="ready" if ready else "not_ready",
        engines={name: status.state for name, status in statuses.items()},
        missing_models=missing or None,
        problems=problems or None,
        circuits=circuits or None,
    )


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "glore_solves_in_flight 0.0\n"}}}},
)
async def metrics(request: Request, context: Annotated[Context, Depends(context_of)]) -> Response:
    """The text format of Prometheus, or OpenMetrics when asked for it."""
    body, media_type = context.metrics.expose(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": media_type})
