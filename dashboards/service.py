"""The dashboard *Service*: traffic, time, queue, refusals and the process itself."""

from typing import Final

from dashboards.panels import (
    BY_STRATEGY,
    BYTES,
    COUNT,
    HERE,
    NO_UNIT,
    PER_SECOND,
    SECONDS,
    SHARE,
    Board,
    Panel,
    Query,
    Row,
    quantile,
    rate,
    share,
)

_QUESTIONS: Final = 'route=~"/solve|/v1/chat/completions"'
_BUDGET: Final = 'reason=~"deadline|call_cap|token_cap"'
_FAILURES: Final = (
    "student-rejected|student-unavailable|no-draft-in-time|internal-error|client-gone"
)

_TRAFFIC: Final = Row(
    "Traffic",
    (
        Panel(
            "Requests",
            "Requests answered per second, by route and status; probes and scrapes left out.",
            PER_SECOND,
            (
                Query(
                    rate(
                        "glore_requests_total",
                        "route, status",
                        f'{HERE},route!~"/livez|/readyz|/health|/metrics"',
                    )
                    + " > 0",
                    "{{route}} {{status}}",
                ),
            ),
        ),
        Panel(
            "Failed questions",
            "Share of the questions answered with a 5xx, refusals under load included.",
            SHARE,
            (
                Query(
                    share(
                        rate("glore_requests_total", "route", f'{HERE},{_QUESTIONS},status=~"5.."'),
                        rate("glore_requests_total", "route", f"{HERE},{_QUESTIONS}"),
                    ),
                    "{{route}}",
                ),
            ),
        ),
        Panel(
            "Refusals",
            "Requests per second that were refused before any work, by the problem's type.",
            PER_SECOND,
            (
                Query(
                    rate("glore_problems_total", "problem", f'{HERE},problem!~"{_FAILURES}"')
                    + " > 0",
                    "{{problem}}",
                ),
            ),
        ),
        Panel(
            "Failures",
            "Questions per second that were begun and have no answer, by the problem's type.",
            PER_SECOND,
            (
                Query(
                    rate("glore_problems_total", "problem", f'{HERE},problem=~"{_FAILURES}"')
                    + " > 0",
                    "{{problem}}",
                ),
            ),
        ),
        Panel(
            "Questions of batches",
            "Lines of batches per second: answered, failed, or found in the store.",
            PER_SECOND,
            (Query(rate("glore_batch_questions_total", "outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Store of batches",
            "Operations per second that failed. With failures, batches with a key end early.",
            PER_SECOND,
            (Query(rate("glore_batch_store_errors_total", "operation"), "{{operation}}"),),
        ),
    ),
)

_TIME: Final = Row(
    "Time",
    (
        Panel(
            "Time of an answer",
            "Median, 90th and 99th percentile of whole questions that were answered.",
            SECONDS,
            tuple(
                Query(
                    quantile(
                        level,
                        "glore_request_duration_seconds",
                        "",
                        f'{BY_STRATEGY},{_QUESTIONS},outcome="ok"',
                    ),
                    f"p{round(100 * level)}",
                )
                for level in (0.5, 0.9, 0.99)
            ),
        ),
        Panel(
            "Time of an answer by strategy",
            "90th percentile of whole questions that were answered.",
            SECONDS,
            (
                Query(
                    quantile(
                        0.9,
                        "glore_request_duration_seconds",
                        "strategy",
                        f'{BY_STRATEGY},{_QUESTIONS},outcome="ok"',
                    ),
                    "{{strategy}}",
                ),
            ),
        ),
        Panel(
            "Time of a stage",
            "90th percentile of one run of a stage that gave something.",
            SECONDS,
            (
                Query(
                    quantile(0.9, "glore_stage_duration_seconds", "stage", f'{HERE},outcome="ok"'),
                    "{{stage}}",
                ),
            ),
        ),
        Panel(
            "The gateway's own time",
            "Seconds of a question in which no engine worked for it and it did not wait its turn.",
            SECONDS,
            (
                Query(quantile(0.5, "glore_gateway_overhead_seconds"), "p50"),
                Query(quantile(0.99, "glore_gateway_overhead_seconds"), "p99"),
            ),
        ),
        Panel(
            "Time to the first token",
            "Of streamed questions: from the request to the first text of its draft.",
            SECONDS,
            (
                Query(quantile(0.5, "glore_time_to_first_token_seconds"), "p50"),
                Query(quantile(0.9, "glore_time_to_first_token_seconds"), "p90"),
            ),
        ),
        Panel(
            "Budget ends",
            "Stages per second that were given up because the request's time, engine calls or "
            "tokens were used up.",
            PER_SECOND,
            (
                Query(
                    rate("glore_stages_degraded_total", "reason", f"{HERE},{_BUDGET}"), "{{reason}}"
                ),
            ),
        ),
    ),
)

_QUEUE: Final = Row(
    "Load",
    (
        Panel(
            "Questions at work",
            "Questions that have their turn, all gateways together, and how many may have.",
            COUNT,
            (
                Query(f"sum(glore_solves_running{{{HERE}}})", "at work"),
                Query(f"sum(glore_limit_solves_running{{{HERE}}})", "limit"),
            ),
        ),
        Panel(
            "Queue",
            "Questions that wait for their turn, and how many may wait before more are refused.",
            COUNT,
            (
                Query(f"sum(glore_solves_waiting{{{HERE}}})", "waiting"),
                Query(f"sum(glore_limit_solves_waiting{{{HERE}}})", "limit"),
            ),
        ),
        Panel(
            "Wait for a turn",
            "90th percentile of the wait, by how it ended.",
            SECONDS,
            (Query(quantile(0.9, "glore_queue_wait_seconds", "outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Batches",
            "Batches being answered, and how many may be.",
            COUNT,
            (
                Query(f"sum(glore_batches_in_flight{{{HERE}}})", "at work"),
                Query(f"sum(glore_limit_batches{{{HERE}}})", "limit"),
            ),
        ),
        Panel(
            "Processor",
            "Cores that each gateway process uses. A gateway has one core: near 1 it is the limit.",
            NO_UNIT,
            (Query(rate("process_cpu_seconds_total", "instance"), "{{instance}}"),),
        ),
        Panel(
            "Memory",
            "Resident memory of each gateway process.",
            BYTES,
            (
                Query(
                    f"sum by (instance) (process_resident_memory_bytes{{{HERE}}})", "{{instance}}"
                ),
            ),
        ),
        Panel(
            "Tasks and open files",
            "Tasks of each gateway's event loop, and its open files and connections. Both follow "
            "the load. They leak if they stay high after it.",
            COUNT,
            (
                Query(f"sum by (instance) (glore_asyncio_tasks{{{HERE}}})", "tasks {{instance}}"),
                Query(f"sum by (instance) (process_open_fds{{{HERE}}})", "files {{instance}}"),
            ),
            width=24,
        ),
        Panel(
            "Builds",
            "Gateways by version, default strategy and what they serve.",
            COUNT,
            (
                Query(
                    f"count by (version, strategy, serves) (glore_build_info{{{HERE}}})",
                    "{{version}} {{strategy}} {{serves}}",
                ),
            ),
            kind="stat",
            width=24,
        ),
    ),
)

BOARD: Final = Board(
    uid="glore-service",
    title="GLoRe: Service",
    description="Traffic, time per stage, the gateway's own time, queue, refusals, budget ends.",
    rows=(_TRAFFIC, _TIME, _QUEUE),
    by_strategy=True,
)
