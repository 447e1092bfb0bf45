"""Every query there is: of panels, recording rules and alerts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.files import BOARDS
from dashboards.rules import ALERTS, recording_rules

# What Grafana puts in for its variables when everything is chosen.
_VARIABLES: Final = {"$__rate_interval": "{range}", "$instance": ".+", "$strategy": ".+"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and where it stands."""

    place: str
    expr: str
    legend: str = ""

    def filled(self, window: str) -> str:
        """The query as Prometheus gets it; rates of panels are over `window`."""
        expr = self.expr
        for variable, value in _VARIABLES.items():
            expr = expr.replace(variable, value.replace("{range}", window))
        assert "$" not in expr, expr
        return expr

    @property
    def legend_labels(self) -> frozenset[str]:
        """The labels that its legend names."""
        return frozenset(re.findall(r"{{\s*(?:\$labels\.)?(\w+)\s*}}", self.legend))


def legend_of(legend: str, labels: Mapping[str, str]) -> str:
    """What a series is called."""
    return re.sub(r"{{\s*(\w+)\s*}}", lambda named: labels.get(named[1], ""), legend)


PANELS: Final = tuple(
    Asked(f"{board.uid}: {panel.title}: {query.legend}", query.expr, query.legend)
    for board in BOARDS
    for panel in board.panels
    for query in panel.queries
)
RECORDED: Final = tuple(Asked(f"rule {name}", expr) for name, expr in recording_rules().items())
ALERTED: Final = tuple(
    Asked(
        f"alert {alert.name} {alert.window}".rstrip(),
        alert.expr,
        re.sub(r"\s+", " ", f"{alert.summary} {alert.description}"),
    )
    for alert in ALERTS
)
ALL: Final = (*PANELS, *RECORDED, *ALERTED)
