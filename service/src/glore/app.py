"""Puts the parts of the gateway together; nothing else does.

`uvicorn --factory glore.app:from_environment` serves the gateway; `create_app(settings)`
makes it from given settings, and with `connect` on top of other engines than vLLM's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from glore.api import batch, docs_page, feedback, health, page, solve
from glore.api.access import AccessMiddleware, Authenticator
from glore.api.admission import Admission, BatchLimiter
from glore.api.bodies import BodyMemory, BodyMiddleware, BodyRules
from glore.api.context import Context, Limits
from glore.api.draining import Drain
from glore.api.middleware import REQUEST_ID_HEADER, RequestMiddleware
from glore.api.openai import catalog, chat
from glore.api.openai.errors import SHOULD_RETRY_HEADER, respond
from glore.api.openapi import install_openapi
from glore.api.paths import speaks_openai
from glore.api.problems import install_problems
from glore.api.rates import Rate
from glore.api.shadowing import Shadows
from glore.batches.opening import open_store
from glore.batches.run import BatchLimits
from glore.batches.store import Store, StoreFailedError
from glore.engines import fitness
from glore.engines.breaker import BreakerSettings, OnChange
from glore.engines.classify import VllmSequenceScorer
from glore.engines.connection import TurnBudget
from glore.engines.exchange import EngineHTTP
from glore.engines.fitness import Check
from glore.engines.generating import VllmGenerator
from glore.engines.likelihood import VllmLikelihoodScorer
from glore.engines.ports import OutcomeScorer, Role
from glore.engines.readiness import Probe, ReadinessMonitor, VllmProbe
from glore.engines.resilience import CallTimes, ResilientEngine, RoleLimits
from glore.engines.scoring import VllmOutcomeScorer, VllmStepScorer
from glore.engines.vllm import VllmEngine, open_engine
from glore.errors import ConfigurationError
from glore.formats.families import PROMPTS, outcome_scores, step_scores
from glore.formats.likelihood import LikelihoodScores
from glore.formats.scores import ORM_COLUMN, SORM_COLUMN
from glore.formats.sequence_scores import SequenceScores
from glore.formats.writing import RoleFormats
from glore.refinement.runner import Engines
from glore.role_settings import ROLES, EngineSettings
from glore.settings import Settings, load_settings
from glore.startup import build_of, limits_of, log_settings, version
from glore.telemetry.engine_log import EngineLog
from glore.telemetry.feedback import AnswerMemory
from glore.telemetry.guards import EngineCollector, GuardCollector
from glore.telemetry.logs import configure_logs
from glore.telemetry.metering import metered
from glore.telemetry.metrics import Metrics
from glore.telemetry.stores import MeteredStore
from glore.telemetry.tracing import open_tracing
from glore.verifiers.catalog import load_verifiers

if TYPE_CHECKING:
    from glore.telemetry.spans import Tracing

# What a page of another origin may read of a response, besides its status, type and body.
_EXPOSED = (REQUEST_ID_HEADER, "Retry-After", "WWW-Authenticate", SHOULD_RETRY_HEADER)
# How much of a request's deadline a call may take where no setting says. Without a draft there is
# no answer, so the student has all of it; a refiner writes about as much as the student.
_SHARE_OF_DEADLINE: Mapping[Role, float] = {
    "student": 1.0,
    "global_refiner": 1 / 2,
    "local_refiner": 1 / 2,
    "sorm": 1 / 3,
    "orm": 1 / 3,
}
_DESCRIPTION = (
    "Refinement as a service: a student drafts, a stepwise reward model finds the first wrong "
    "step, the draft is refined globally and locally, and an outcome reward model picks the best."
)


@dataclass(frozen=True, slots=True)
class ConnectedEngines:
    """Engines that can be called, a probe for each server behind them, a guard for each role.

    `roles` are those of each server.
    """

    engines: Engines
    probes: Mapping[str, Probe]
    guards: Mapping[Role, ResilientEngine] = field(default_factory=dict)
    roles: Mapping[str, Sequence[Role]] = field(default_factory=dict)


ConnectEngines: TypeAlias = Callable[[], AbstractAsyncContextManager[ConnectedEngines]]
OpenServer: TypeAlias = Callable[[EngineSettings], AbstractAsyncContextManager[EngineHTTP]]


def create_app(
    settings: Settings,
    *,
    connect: ConnectEngines | None = None,
    drain: Drain | None = None,
    tracing: "Tracing | None" = None,
) -> FastAPI:
    """The gateway. Connections are opened when the app starts and closed when it stops.

    `connect` gives the engines instead of vLLM servers: for tests and simulators. `drain` is for
    what stops the app. `tracing` goes before what the environment says.
    """
    metrics = Metrics(settings.verifiers)
    engine_log = EngineLog(time.monotonic)
    limits = Limits(
        strategy=settings.strategy,
        max_deadline=settings.max_deadline,
        max_calls=settings.max_calls,
        max_generated_tokens=settings.max_generated_tokens,
        rerank_reserve=settings.rerank_reserve,
        threshold=settings.first_error_threshold,
        gate=settings.draft_gate,
        verifies=bool(settings.verifiers),
        max_rounds=settings.max_rounds,
        max_question=settings.max_question,
        max_body=settings.max_body,
        max_batch=settings.max_batch,
    )
    gate = Authenticator(settings.keyring, _rate(settings), time.monotonic)
    share = settings.key_share
    admission = Admission(
        settings.max_running, settings.max_waiting, time.monotonic, share, metrics.waited
    )
    batch_limiter = BatchLimiter(settings.max_batches, time.monotonic, share)
    verifiers = load_verifiers(settings.verifiers)
    metrics.waiting.set_function(lambda: admission.waiting)
    metrics.running.set_function(lambda: admission.running)
    metrics.batches.set_function(lambda: batch_limiter.taken)
    answers = AnswerMemory(settings.feedback_remembered)
    metrics.feedback.remembered.set_function(lambda: len(answers))
    metrics.describe(build_of(settings), limits_of(settings))
    tracing = tracing or open_tracing(settings)
    opened = connect or partial(connect_vllm, settings, engine_log=engine_log)
    drained = drain or Drain()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened() as connected, _store(settings, metrics) as store:
            metrics.registry.register(GuardCollector(connected.guards))
            readiness = ReadinessMonitor(
                connected.probes,
                time.monotonic,
                guards=connected.guards,
                roles=connected.roles,
            )
            metrics.registry.register(EngineCollector(lambda: readiness.latest))
            engines = replace(connected.engines, verifiers=verifiers)
            unseen = _traced(engines, tracing, settings)
            shadows = Shadows(settings.shadow, settings.shadow_strategy, unseen, metrics.shadows)
            app.state.context = Context(
                engines=_traced(metered(engines, metrics, engine_log), tracing, settings),
                readiness=readiness,
                metrics=metrics,
                tracing=tracing,
                answers=answers,
                shadows=shadows,
                limits=limits,
                gate=gate,
                admission=admission,
                batch_limiter=batch_limiter,
                drain=drained,
                clock=time.monotonic,
                store=store,
                pace=BatchLimits(settings.batch_concurrency, settings.batch_lease),
                heartbeat=settings.heartbeat,
                student=settings.engine_of("student")[0],
                serves=settings.identity,
                version=version(),
            )
            watching = asyncio.create_task(readiness.watch())
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.wait({watching})
                await shadows.close()
                if tracing is not None:
                    await tracing.close()

    app = FastAPI(
        title="GLoRe",
        version=version(),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,  # it would redirect to whatever the header Host says
        docs_url=None,  # Swagger's page loads its script from elsewhere
        redoc_url=None,
    )
    for each in (solve, batch, feedback, chat, catalog, health, docs_page, page):
        app.include_router(each.router)
    install_problems(app, speaks_openai, respond)
    install_openapi(app, limits, asks_for_a_key=gate.asks_for_a_key)
    app.add_middleware(  # the last one is outermost
        BodyMiddleware,
        limit=settings.max_body,
        timeout=settings.body_timeout,
        memory=BodyMemory(settings.max_batches * settings.max_batch_body),
        others={batch.PATH: BodyRules(settings.max_batch_body, batch_limiter.check)},
    )
    app.add_middleware(AccessMiddleware, gate=gate)
    if tracing is not None:
        from glore.api.tracing import TraceMiddleware

        app.add_middleware(TraceMiddleware, tracing=tracing, routes=app.router.routes)
    app.add_middleware(
        RequestMiddleware,
        metrics=metrics,
        routes=app.router.routes,
        drain=drained,
        version=version(),
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # no cookies: a page can say only what it knows by itself
            expose_headers=_EXPOSED,
        )
    return app


def from_environment() -> FastAPI:
    """The gateway as the environment says, with its logs. Raises ConfigurationError."""
    settings = load_settings()
    configure_logs(settings.log_level, written_as=settings.log_format, secrets=settings.secrets)
    log_settings(settings, without=("host", "port"))  # the server's own are elsewhere
    app = create_app(settings)
    app.openapi()  # takes a fifth of a second, for which no request should hold all others up
    return app


@asynccontextmanager
async def connect_vllm(
    settings: Settings, opened: OpenServer | None = None, *, engine_log: EngineLog | None = None
) -> AsyncIterator[ConnectedEngines]:
    """The five roles on the vLLM servers of the settings, or on what `opened` gives instead.

    One connection pool per server; one breaker and one budget of retries per role. `engine_log`
    gets the changes of their circuits.
    """
    log = engine_log or EngineLog(time.monotonic)
    open_server = opened or partial(_open, TurnBudget())
    async with AsyncExitStack() as stack:
        servers: dict[str, EngineHTTP] = {}
        roles: dict[str, list[Role]] = {}
        checks: dict[str, list[Check]] = {}
        by_role: dict[Role, ResilientEngine] = {}
        for role in ROLES:
            name, engine = settings.engine_of(role)
            if name not in servers:
                servers[name] = await stack.enter_async_context(open_server(engine))
            student = by_role["student"].times if by_role else None  # the first of all roles
            by_role[role] = _resilient(
                settings, role, servers[name], student, partial(log.changed, role)
            )
            roles.setdefault(name, []).append(role)
            checks.setdefault(name, []).extend(_checks(settings, role, by_role[role]))

        def generator(role: Role) -> VllmGenerator:
            return VllmGenerator(by_role[role], role, settings.models.of(role))

        orm = _orm(settings, by_role["orm"])
        yield ConnectedEngines(
            engines=Engines(
                student=generator("student"),
                global_refiner=generator("global_refiner"),
                local_refiner=generator("local_refiner"),
                sorm=VllmStepScorer(
                    by_role["sorm"],
                    settings.models.sorm,
                    step_scores(settings.families.sorm or "newline", SORM_COLUMN),
                ),
                orm=orm,
                ranked_singly=isinstance(orm, VllmSequenceScorer),
                formats=RoleFormats(
                    student=PROMPTS[settings.families.writer("student")],
                    global_refiner=PROMPTS[settings.families.writer("global_refiner")],
                    local_refiner=PROMPTS[settings.families.writer("local_refiner")],
                ),
            ),
            probes={
                name: VllmProbe(
                    servers[name],
                    [settings.models.of(role) for role in played],
                    settings.probe_timeout,
                    checks[name],
                )
                for name, played in roles.items()
            },
            guards=by_role,
            roles=roles,
        )


async def check_store(settings: Settings) -> None:
    """Open the store of batches and close it. Raises ConfigurationError as the start would."""
    async with _store(settings):
        pass


@asynccontextmanager
async def _store(settings: Settings, metrics: Metrics | None = None) -> AsyncIterator[Store | None]:
    """The store of batches. Raises ConfigurationError when the one that is named fails."""
    location = settings.store.get_secret_value() if settings.store else None
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(
                open_store(location, settings.store_days, _watched(metrics))
            )
        except StoreFailedError as error:
            message = f"GLORE_STORE: {error}"
            raise ConfigurationError(message) from None
        yield store


def _traced(engines: Engines, tracing: "Tracing | None", settings: Settings) -> Engines:
    """The same engines; their calls have spans where there are traces."""
    if tracing is None:
        return engines
    from glore.telemetry.traced import traced

    return traced(engines, tracing, settings)


def _watched(metrics: Metrics | None) -> Callable[[Store], Store]:
    """What counts the errors of a store, where there are metrics."""
    return lambda store: store if metrics is None else MeteredStore(store, metrics)


def _resilient(
    settings: Settings,
    role: Role,
    engine: EngineHTTP,
    like: CallTimes | None,
    on_change: OnChange,
) -> ResilientEngine:
    """The engine of a role behind a breaker, limits and retries of its own."""
    most_late = max(2, settings.max_running // 16)
    limits = RoleLimits(
        timeout=settings.timeouts.of(role),
        share=_SHARE_OF_DEADLINE[role],
        most=settings.engine_of(role)[1].timeout,
        late=None if role == "student" else most_late,
    )
    return ResilientEngine(
        engine,
        limits=limits,
        like=like,
        breaking=BreakerSettings(timeouts=min(most_late, 10)),
        clock=time.monotonic,
        on_change=on_change,
    )


def _orm(settings: Settings, engine: EngineHTTP) -> OutcomeScorer:
    scores = outcome_scores(settings.families.orm or "newline", ORM_COLUMN)
    if isinstance(scores, SequenceScores):
        return VllmSequenceScorer(engine, settings.models.orm, scores)
    if isinstance(scores, LikelihoodScores):
        return VllmLikelihoodScorer(engine, settings.models.orm, scores)
    return VllmOutcomeScorer(engine, settings.models.orm, scores)


def _checks(settings: Settings, role: Role, engine: EngineHTTP) -> tuple[Check, ...]:
    """What to ask the server of a role whose family is named in the settings."""
    model, chosen = settings.models.of(role), settings.families
    if role == "sorm":
        if chosen.sorm is None:
            return ()
        return (fitness.stepwise(engine, model, step_scores(chosen.sorm, SORM_COLUMN)),)
    if role == "orm":
        if chosen.orm is None:
            return ()
        scores = outcome_scores(chosen.orm, ORM_COLUMN)
        if isinstance(scores, SequenceScores):
            return (fitness.sequence(engine, model, scores),)
        if isinstance(scores, LikelihoodScores):
            return (fitness.likelihood(engine, model, scores),)
        return (fitness.stepwise(engine, model, scores),)
    return (fitness.chat(engine, model),) if chosen.writer(role) == "chat" else ()


def _open(budget: TurnBudget, engine: EngineSettings) -> AbstractAsyncContextManager[VllmEngine]:
    key = engine.api_key.get_secret_value() if engine.api_key else None
    return open_engine(str(engine.url), api_key=key, timeout=engine.timeout, budget=budget)


def _rate(settings: Settings) -> Rate | None:
    if settings.rate_per_minute is None:
        return None
    return Rate(settings.rate_per_minute, settings.rate_burst or settings.rate_per_minute)
