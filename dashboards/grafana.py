"""Boards as Grafana's JSON, by the builders of grafana-foundation-sdk."""

import json
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import SHARE, Board, Panel, Query

_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT: Final = 8
_Built: TypeAlias = timeseries.Panel | stat.Panel


def as_json(board: Board) -> str:
    """The dashboard as Grafana imports it."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["glore"])
        .timezone("browser")
        .refresh("30s")
        .time("now-3h", "now")
        .editable()
        .link(
            dashboard.DashboardLink("GLoRe")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["glore"])
            .as_dropdown(as_dropdown=True)
            .keep_time(keep_time=True)
            .include_vars(include_vars=True)
        )
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )
    if any("$instance" in query.expr for panel in board.panels for query in panel.queries):
        built.with_variable(_values("instance", "Gateway", "glore_build_info"))
    if board.by_strategy:
        built.with_variable(_values("strategy", "Strategy", "glore_candidates_selected_total"))
    for row in board.rows:
        built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built.with_panel(_panel(panel))
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _values(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    """A variable with the values of a label, all of them at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
    )


def _panel(panel: Panel) -> _Built:
    built: _Built = _stat() if panel.kind == "stat" else _series(panel)
    built.title(panel.title).description(panel.description).unit(panel.unit)
    built.datasource(_SOURCE).span(panel.width).height(_HEIGHT)
    if panel.unit == SHARE:
        built.min(0)
    for number, query in enumerate(panel.queries):
        built.with_target(_target(query, chr(ord("A") + number), instant=panel.kind == "stat"))
    return built


def _stat() -> stat.Panel:
    return stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def _series(panel: Panel) -> timeseries.Panel:
    built = timeseries.Panel().line_width(1).fill_opacity(20 if panel.stacked else 5).min(0)
    legend = common.VizLegendOptions().display_mode(shapes.LegendDisplayMode.TABLE)
    built.legend(legend.placement(shapes.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"]))
    built.tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    return built


def _target(query: Query, ref_id: str, *, instant: bool) -> prometheus.Dataquery:
    built = prometheus.Dataquery().ref_id(ref_id).expr(query.expr).legend_format(query.legend)
    built.datasource(_SOURCE)
    return built.instant() if instant else built.range()
