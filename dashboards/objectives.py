"""The dashboard *Objectives*: how fast the budgets burn, and which alerts fire."""

from typing import Final

from dashboards.panels import NO_UNIT, SHARE, Board, Panel, Query, Row
from dashboards.rules import BURNS, OBJECTIVES, WINDOWS, Objective


def _row(objective: Objective) -> Row:
    allowed = f"{objective.target:.0%} of the questions: {objective.meaning}."
    return Row(
        f"{objective.title}: {allowed}",
        (
            Panel(
                f"{objective.title} over 3 days",
                f"Share of good questions. The objective is {allowed}",
                SHARE,
                (Query(f"1 - {objective.record('3d')}", "good"),),
                kind="stat",
                width=6,
            ),
            Panel(
                f"{objective.title}: budget spent in 3 days",
                "Share of what 30 days allow that the last 3 days have used; 10% is as planned.",
                SHARE,
                (Query(f"{objective.record('3d')} / {objective.budget:g} / 10", "spent"),),
                kind="stat",
                width=6,
            ),
            Panel(
                f"{objective.title}: burn rates",
                "How many times faster than allowed the budget burns, in the long windows of the "
                "alerts; "
                + ", ".join(f"{burn.long} alerts at {burn.rate:g}" for burn in BURNS)
                + ".",
                NO_UNIT,
                tuple(
                    Query(f"{objective.record(burn.long)} / {objective.budget:g}", burn.long)
                    for burn in BURNS
                ),
                width=12,
            ),
            Panel(
                f"{objective.title}: bad questions",
                "Share of bad questions in every window that is recorded.",
                SHARE,
                tuple(Query(objective.record(window), window) for window in WINDOWS),
                width=24,
            ),
        ),
    )


BOARD: Final = Board(
    uid="glore-objectives",
    title="GLoRe: Objectives",
    description="Burn rates of the error budgets over four windows, and the alerts that fire. "
    "Needs the rules of dashboards/rules.",
    rows=(
        Row(
            "Alerts",
            (
                Panel(
                    "Alerts that fire",
                    "By name and severity; none is good.",
                    NO_UNIT,
                    (
                        Query(
                            "sum by (alertname, severity) "
                            '(ALERTS{alertname=~"Glore.*",alertstate="firing"})',
                            "{{alertname}} ({{severity}})",
                        ),
                    ),
                    kind="stat",
                    width=24,
                ),
            ),
        ),
        *(_row(each) for each in OBJECTIVES),
    ),
)
