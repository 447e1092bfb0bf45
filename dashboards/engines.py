"""The dashboard *Engines*: what the gateway sees of them, beside what vLLM says of itself."""

from typing import Final

from dashboards.panels import (
    COUNT,
    HERE,
    NO_UNIT,
    PER_SECOND,
    RANGE,
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


def _engine(metric: str, by: str = "model_name") -> str:
    return f"sum by ({by}) (rate({metric}[{RANGE}]))"


_OURS: Final = Row(
    "As the gateway sees them",
    (
        Panel(
            "Up",
            "1 while the last probe found the engine ready.",
            NO_UNIT,
            (Query(f"min by (engine) (glore_engine_up{{{HERE}}})", "{{engine}}"),),
            kind="stat",
        ),
        Panel(
            "State",
            "The state in which the last probe found each engine.",
            NO_UNIT,
            (
                Query(
                    f"max by (engine, state) (glore_engine_state{{{HERE}}}) == 1",
                    "{{engine}}: {{state}}",
                ),
            ),
            kind="stat",
        ),
        Panel(
            "Circuits",
            "The circuit breaker of each role. While it is open its stage is left out.",
            NO_UNIT,
            (
                Query(
                    f"max by (role, state) (glore_engine_circuit{{{HERE}}}) == 1",
                    "{{role}}: {{state}}",
                ),
            ),
            kind="stat",
        ),
        Panel(
            "Calls",
            "Calls per second by role, failed ones too.",
            PER_SECOND,
            (Query(rate("glore_engine_calls_total", "role"), "{{role}}"),),
        ),
        Panel(
            "Time of a call",
            "Median and 90th percentile of calls that gave something.",
            SECONDS,
            tuple(
                Query(
                    quantile(
                        level,
                        "glore_engine_call_duration_seconds",
                        "role",
                        f'{HERE},outcome="ok"',
                    ),
                    f"{{{{role}}}} p{round(100 * level)}",
                )
                for level in (0.5, 0.9)
            ),
        ),
        Panel(
            "Failed calls",
            "Share of a role's calls that gave nothing usable.",
            SHARE,
            (
                Query(
                    share(
                        rate("glore_engine_errors_total", "role"),
                        rate("glore_engine_calls_total", "role"),
                    ),
                    "{{role}}",
                ),
            ),
        ),
        Panel(
            "Faults",
            "Calls per second that gave nothing usable, by role and reason.",
            PER_SECOND,
            (
                Query(
                    f"{rate('glore_engine_errors_total', 'role, reason')} > 0",
                    "{{role}}: {{reason}}",
                ),
            ),
        ),
        Panel(
            "Retries and openings",
            "Calls made again, and openings of circuits, per second.",
            PER_SECOND,
            (
                Query(rate("glore_engine_retries_total", "role"), "retries {{role}}"),
                Query(rate("glore_engine_circuit_openings_total", "role"), "openings {{role}}"),
            ),
        ),
        Panel(
            "Calls given up",
            "Calls per second that were cancelled: the client had gone, or nothing needed them.",
            PER_SECOND,
            (Query(rate("glore_engine_cancellations_total", "role"), "{{role}}"),),
        ),
        Panel(
            "Time to the first token",
            "90th percentile of streamed calls.",
            SECONDS,
            (Query(quantile(0.9, "glore_engine_time_to_first_token_seconds", "role"), "{{role}}"),),
        ),
        Panel(
            "Tokens",
            "Tokens written per second, by role and stage.",
            PER_SECOND,
            (Query(rate("glore_generated_tokens_total", "role, stage"), "{{role}} ({{stage}})"),),
        ),
        Panel(
            "Calls per run of a stage",
            "Engine calls of a role for each run of its stage: retries and long lists make it more "
            "than 1. Joins the metrics by role with those by stage.",
            NO_UNIT,
            (
                Query(
                    share(
                        rate("glore_engine_calls_total", "role"),
                        rate("glore_stage_duration_seconds_count", "role"),
                    ),
                    "{{role}}",
                ),
            ),
        ),
    ),
)

VLLM_ROW: Final = "As vLLM says"
_VLLM: Final = Row(
    VLLM_ROW,
    (
        Panel(
            "Requests in vLLM",
            "Requests that run, and that wait for room in the batch.",
            COUNT,
            (
                Query("sum by (model_name) (vllm:num_requests_running)", "running {{model_name}}"),
                Query("sum by (model_name) (vllm:num_requests_waiting)", "waiting {{model_name}}"),
            ),
        ),
        Panel(
            "Finished requests",
            "Requests per second by why they ended; `abort` are those whose client has gone.",
            PER_SECOND,
            (
                Query(
                    _engine("vllm:request_success_total", "model_name, finished_reason"),
                    "{{model_name}} {{finished_reason}}",
                ),
            ),
        ),
        Panel(
            "KV cache",
            "Share of the KV cache in use. Near 1, requests wait or are preempted.",
            SHARE,
            (Query("max by (model_name) (vllm:kv_cache_usage_perc)", "{{model_name}}"),),
        ),
        Panel(
            "Tokens in vLLM",
            "Tokens per second that vLLM read and wrote.",
            PER_SECOND,
            (
                Query(_engine("vllm:prompt_tokens_total"), "read {{model_name}}"),
                Query(_engine("vllm:generation_tokens_total"), "written {{model_name}}"),
            ),
        ),
        Panel(
            "Time in vLLM",
            "90th percentile of a whole request, and of the time to its first token.",
            SECONDS,
            tuple(
                Query(
                    f"histogram_quantile(0.9, {_engine(f'{metric}_bucket', 'le, model_name')})",
                    f"{named} {{{{model_name}}}}",
                )
                for metric, named in (
                    ("vllm:e2e_request_latency_seconds", "whole"),
                    ("vllm:time_to_first_token_seconds", "first token"),
                )
            ),
        ),
        Panel(
            "Prefix cache",
            "Share of the prompts' tokens that vLLM had in its prefix cache.",
            SHARE,
            (
                Query(
                    share(
                        _engine("vllm:prefix_cache_hits_total"),
                        _engine("vllm:prefix_cache_queries_total"),
                    ),
                    "{{model_name}}",
                ),
            ),
        ),
        Panel(
            "Speculation",
            "Share of the proposed tokens that the model accepted. A refiner copies much of the "
            "draft, so its share is high.",
            SHARE,
            (
                Query(
                    share(
                        _engine("vllm:spec_decode_num_accepted_tokens_total"),
                        _engine("vllm:spec_decode_num_draft_tokens_total"),
                    ),
                    "{{model_name}}",
                ),
            ),
        ),
        Panel(
            "Preemptions",
            "Requests per second that vLLM put aside because its KV cache was full.",
            PER_SECOND,
            (Query(_engine("vllm:num_preemptions_total"), "{{model_name}}"),),
        ),
    ),
)

BOARD: Final = Board(
    uid="glore-engines",
    title="GLoRe: Engines",
    description="Calls, faults, circuits and time per role, beside vLLM's own metrics.",
    rows=(_OURS, _VLLM),
)
