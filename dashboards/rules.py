"""Recording rules and alerts: burn rates of two objectives, and causes that need somebody.

An objective is a share of good questions. The burn rate is the share of bad ones over what the
objective allows: at 1 the budget of 30 days lasts 30 days. Four pairs of windows alert, as in
Google's SRE Workbook, chapter 5: the long one says that it matters, the short one that it goes on.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_QUESTIONS: Final = 'route=~"/solve|/v1/chat/completions"'
_SLOWEST: Final = "10.0"  # seconds: a bucket of glore_request_duration_seconds
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


@dataclass(frozen=True, slots=True)
class Objective:
    """`target` is the share that should be good; `bad` and `total` hold `WINDOW` for a window."""

    name: str
    title: str
    target: float
    meaning: str
    bad: str
    total: str

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return round(1 - self.target, 6)

    def record(self, window: str) -> str:
        """The name of the recorded share of bad questions in a window."""
        return f"glore:{self.name}:bad_ratio_rate{window}"

    def ratio(self, window: str) -> str:
        """The share of bad questions in a window; no value without questions."""
        return f"({self.bad}) / ({self.total} > 0)".replace("WINDOW", window)


_ALL: Final = f'sum(rate(glore_requests_total{{{_QUESTIONS},status!~"4.."}}[WINDOW]))'
_ANSWERED: Final = (
    f'sum(rate(glore_request_duration_seconds_count{{{_QUESTIONS},outcome="ok"}}[WINDOW]))'
)
AVAILABILITY: Final = Objective(
    "availability",
    "Availability",
    0.99,
    "questions are answered; a 5xx is a failure, a client's own fault counts as nothing",
    f'sum(rate(glore_requests_total{{{_QUESTIONS},status=~"5.."}}[WINDOW]))',
    _ALL,
)
LATENCY: Final = Objective(
    "latency",
    "Latency",
    0.95,
    "answers are there within 10 s",
    f"{_ANSWERED} - sum(rate(glore_request_duration_seconds_bucket"
    f'{{{_QUESTIONS},outcome="ok",le="{_SLOWEST}"}}[WINDOW]))',
    _ANSWERED,
)
OBJECTIVES: Final = (AVAILABILITY, LATENCY)


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows, the burn rate above which it alerts, and how urgent that is."""

    long: str
    short: str
    rate: float
    severity: str


BURNS: Final = (
    Burn("1h", "5m", 14.4, "page"),
    Burn("6h", "30m", 6, "page"),
    Burn("1d", "2h", 3, "ticket"),
    Burn("3d", "6h", 1, "ticket"),
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; `lasting` is how long it must hold."""

    name: str
    expr: str
    lasting: str
    severity: str
    summary: str
    description: str
    window: str = ""


def burn_alert(objective: Objective, burn: Burn) -> Alert:
    """Whether an objective's budget burns too fast in a pair of windows."""
    most = f"({burn.rate:g} * {objective.budget:g})"
    return Alert(
        name=f"Glore{objective.title}BudgetBurn",
        expr=f"{objective.record(burn.long)} > {most} and {objective.record(burn.short)} > {most}",
        lasting="2m" if burn.severity == "page" else "15m",
        severity=burn.severity,
        summary=f"{objective.title}: the error budget burns {burn.rate:g} times too fast",
        description=f"The objective is that {objective.target:.0%} of the questions are good: "
        f"{objective.meaning}. Over {burn.long} and over {burn.short} more than {burn.rate:g} "
        "times the allowed share was bad.",
        window=burn.long,
    )


CAUSES: Final = (
    Alert(
        "GloreDown",
        "absent(glore_build_info)",
        "2m",
        "page",
        "No gateway is scraped",
        "No gateway answers at /metrics, or none is a target of Prometheus.",
    ),
    Alert(
        "GloreEngineDown",
        "min by (engine) (glore_engine_up) == 0",
        "2m",
        "page",
        "The engine {{ $labels.engine }} is not ready",
        "glore_engine_state says what the probes find. Without the student's engine there are no "
        "answers; without another one its stage is left out.",
    ),
    Alert(
        "GloreCircuitOpen",
        'max by (role) (glore_engine_circuit{state="open"}) == 1',
        "2m",
        "ticket",
        "The circuit of {{ $labels.role }} is open",
        "Calls of this role fail or hang, so its stage is left out of every answer.",
    ),
    Alert(
        "GloreQueueNearlyFull",
        "sum(glore_solves_waiting) > 0.8 * sum(glore_limit_solves_waiting)",
        "5m",
        "ticket",
        "The queue is nearly full",
        "More questions come than are answered; beyond the limit they are refused with 503. Add "
        "engines, or gateways where their processors are busy.",
    ),
    Alert(
        "GloreStagesLost",
        'sum by (stage) (rate(glore_stages_degraded_total{stage!="draft"}[10m])) '
        "> 0.1 * scalar(sum(rate(glore_candidates_selected_total[10m])))",
        "10m",
        "ticket",
        "The stage {{ $labels.stage }} is missing in more than a tenth of the answers",
        "Answers still come, without what this stage adds.",
    ),
    Alert(
        "GloreStoreFails",
        "sum by (operation) (increase(glore_batch_store_errors_total[10m])) > 0",
        "0m",
        "ticket",
        "The store of batches fails at {{ $labels.operation }}",
        "Batches with an idempotency key end early, and go on when they are asked again.",
    ),
)
ALERTS: Final = (
    *(burn_alert(objective, burn) for objective in OBJECTIVES for burn in BURNS),
    *CAUSES,
)


def recording_rules() -> dict[str, str]:
    """The expression of every recorded series, by its name."""
    return {each.record(window): each.ratio(window) for each in OBJECTIVES for window in WINDOWS}


def recording_file() -> str:
    """`recording.yml`."""
    return "\n".join(_head("glore-objectives", list(_recorded()))) + "\n"


def alert_file() -> str:
    """`alerts.yml`."""
    return "\n".join(_head("glore-alerts", list(_alerts()))) + "\n"


def _head(group: str, rules: list[str]) -> Iterator[str]:
    """One group; every value is JSON, which YAML reads."""
    yield "# Written by `python -m dashboards`. Do not edit."
    yield "groups:"
    yield f"  - name: {group}"
    yield "    rules:"
    yield from rules


def _recorded() -> Iterator[str]:
    for name, expr in recording_rules().items():
        yield f"      - record: {name}"
        yield f"        expr: {json.dumps(expr)}"


def _alerts() -> Iterator[str]:
    for alert in ALERTS:
        yield f"      - alert: {alert.name}"
        yield f"        expr: {json.dumps(alert.expr)}"
        yield f"        for: {alert.lasting}"
        yield "        labels:"
        yield f"          severity: {alert.severity}"
        if alert.window:
            yield f"          window: {alert.window}"
        yield "        annotations:"
        yield f"          summary: {json.dumps(alert.summary)}"
        yield f"          description: {json.dumps(alert.description)}"
