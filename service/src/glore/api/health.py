"""`GET /livez`, `/readyz`, `/health` and `/metrics`: for supervisors, balancers and Prometheus."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from glore.api.context import Context, context_of
from glore.api.examples import DEGRADED, NOT_READY, READY
from glore.engines.breaker import Circuit
from glore.engines.ports import Role
from glore.engines.readiness import EngineState

# A wrong setup, which no waiting mends: a gateway that begins with one is not let in.
_WRONG: Final = frozenset(
    {EngineState.MISSING_MODELS, EngineState.MISFIT, EngineState.UNAUTHORIZED}
)

_PROBES_WITHIN: Final = 1.0  # seconds that a scrape waits for the probes of the engines

router = APIRouter()


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Whether the gateway should get requests, and the state of each engine."""

    status: Literal["ready", "degraded", "not_ready", "stopping"] = Field(
        description="`degraded`: it answers, without what a missing engine would add."
    )
    version: str = Field(description="Of the gateway.")
    engines: dict[str, EngineState] = Field(description="Empty when the gateway is stopping.")
    missing_models: dict[str, list[str]] | None = Field(
        default=None,
        description="Models that an engine should serve and does not. Absent without any.",
    )
    problems: dict[str, str] | None = Field(
        default=None,
        description="Why an engine does not fit the family of a role. Absent without any.",
    )
    circuits: dict[Role, Circuit] | None = Field(
        default=None,
        description="Roles whose circuit is not closed: their engine fails or hangs.",
    )
    serves: str | None = Field(
        default=None,
        description="A hash of models and thresholds, where the gateway knows them.",
    )


@router.get("/livez", summary="Is the gateway alive?")
async def livez() -> Alive:
    """Answers without asking anything else."""
    return Alive()


_READINESS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "application/json": {
                "examples": {"ready": {"value": READY}, "degraded": {"value": DEGRADED}}
            }
        }
    },
    503: {
        "model": Ready,
        "description": "The student's engine is not ready, another one is set up wrongly, or "
        "the gateway is stopping",
        "content": {"application/json": {"example": NOT_READY}},
    },
}


@router.get(
    "/health",
    summary="Can the engines work? As /readyz",
    response_model_exclude_none=True,
    responses=_READINESS,
)
@router.get(
    "/readyz",
    summary="Can the engines work?",
    response_model_exclude_none=True,
    responses=_READINESS,
)
async def readyz(response: Response, context: Annotated[Context, Depends(context_of)]) -> Ready:
    """Asks every engine for its health and its models, once a second at most.

    While another engine than the student's is down the status is 200, `degraded`: gateways that
    share the engine should not all leave their balancer at once. A gateway that is stopping asks
    no engine: it still answers, and should get no more requests.
    """
    if context.drain.begun:
        response.status_code = 503
        return Ready(status="stopping", version=context.version, engines={})
    statuses = await context.readiness.check()
    circuits: dict[Role, Circuit] = {
        role: circuit
        for role, circuit in context.readiness.circuits().items()
        if circuit is not Circuit.CLOSED
    }
    engines = {name: status.state for name, status in statuses.items()}
    status = _status(engines, circuits, context.student)
    if status == "not_ready":
        response.status_code = 503
    missing = {name: list(status.missing) for name, status in statuses.items() if status.missing}
    problems = {name: status.problem for name, status in statuses.items() if status.problem}
    return Ready(
        status=status,
        version=context.version,
        engines=engines,
        missing_models=missing or None,
        problems=problems or None,
        circuits=circuits or None,
        serves=context.serves,
    )


def _status(
    engines: Mapping[str, EngineState], circuits: Mapping[Role, Circuit], student: str
) -> Literal["ready", "degraded", "not_ready"]:
    """What the states come to; `student` is the engine of that role.

    `circuits` are those that are not closed. A student's that is half-open needs a question.
    """
    down = {name for name, state in engines.items() if state is not EngineState.READY}
    no_drafts = student in down or circuits.get("student") is Circuit.OPEN
    if no_drafts or not _WRONG.isdisjoint(engines.values()):
        return "not_ready"
    return "degraded" if down or circuits else "ready"


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "glore_solves_in_flight 0.0\n"}}}},
)
async def metrics(request: Request, context: Annotated[Context, Depends(context_of)]) -> Response:
    """The text format of Prometheus, or OpenMetrics when asked for it.

    The engines are probed as for /readyz. One that does not answer within a second keeps its last
    state.
    """
    await context.readiness.refresh(_PROBES_WITHIN)
    context.metrics.tasks.set(len(asyncio.all_tasks()))
    # in a thread: thousands of lines take tens of milliseconds, and others wait for the event loop
    accept = request.headers.get("accept", "")
    body, media_type = await asyncio.to_thread(context.metrics.expose, accept)
    return Response(body, headers={"Content-Type": media_type})
