"""What a dashboard consists of, apart from how Grafana writes it."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["timeseries", "stat", "bars"]
# Grafana's names of units.
PER_SECOND: Final = "reqps"
SECONDS: Final = "s"
SHARE: Final = "percentunit"
BYTES: Final = "bytes"
COUNT: Final = "short"
NO_UNIT: Final = "none"

# What every query of the gateway's own metrics is filtered by.
HERE: Final = 'instance=~"$instance"'
BY_STRATEGY: Final = f'{HERE},strategy=~"$strategy"'
RANGE: Final = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL with Grafana's variables, and how a series is named: `{{label}}` is its label."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a dashboard. `description` says what it tells and when to worry."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8  # of 24
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels below one headline."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `by_strategy`: whether it has the variable `strategy`."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    by_strategy: bool = False

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The panels of all rows."""
        return tuple(panel for row in self.rows for panel in row.panels)


def rate(metric: str, by: str = "", labels: str = HERE) -> str:
    """Per second, summed over all gateways, by these labels."""
    return f"sum{_by(by)} (rate({metric}{{{labels}}}[{RANGE}]))"


def share(part: str, whole: str) -> str:
    """`part` of `whole`, without a value where there is no whole."""
    return f"{part} / ({whole} > 0)"


def split(metric: str, by: str, labels: str = HERE) -> str:
    """The share of each value of `by` in the whole."""
    whole = rate(metric, "", labels)
    return f"{rate(metric, by, labels)} / ignoring ({by}) group_left () ({whole} > 0)"


def quantile(level: float, metric: str, by: str = "", labels: str = HERE) -> str:
    """A quantile of a histogram, by these labels."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({level}, {rate(f'{metric}_bucket', grouped, labels)})"


def mean(metric: str, by: str = "", labels: str = HERE) -> str:
    """The mean of what a histogram observed."""
    return share(rate(f"{metric}_sum", by, labels), rate(f"{metric}_count", by, labels))


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
