"""Every metric and label in every query exists, and what is committed is what the code writes.

A panel whose metric was renamed is empty, and nobody notices: dashboards of other projects have
rotted so. Here names and labels are read by a parser of PromQL and looked up in the registry of a
gateway and in a recorded `/metrics` of a real vLLM.
"""

import asyncio
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from dashboards.files import BOARDS, files
from dashboards.rules import ALERTS, recording_rules
from tests.dashboards.known import VLLM, Series, has_label, known, of_a_gateway
from tests.dashboards.queries import ALL, PANELS, Asked


@cache
def metrics() -> dict[str, Series]:
    return known((asyncio.run(of_a_gateway()), VLLM.read_text(encoding="utf-8")))


def faults(asked: Asked) -> list[str]:
    """What is wrong with a query."""
    found: list[str] = []
    selectors: list[Any] = []
    grouped: list[str] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
        if isinstance(node, promql_parser.MatrixSelector):
            selectors.append(node.vector_selector)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.extend(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(asked.filled("5m")), visit)
    here: list[Series] = []
    for selector in selectors:
        series = metrics().get(selector.name)
        if series is None:
            found.append(f"no metric {selector.name}")
            continue
        here.append(series)
        for matcher in selector.matchers.matchers:
            if not has_label(series, matcher.name):
                found.append(f"{selector.name} has no label {matcher.name}")
            elif not _may_match(series, matcher):
                found.append(f"{selector.name}: no {matcher.name} is {matcher.value!r}")
    found += [
        f"no metric here has the label {label}"
        for label in {*grouped, *asked.legend_labels} - {"le"}
        if not any(has_label(series, label) for series in here)
    ]
    return found if selectors else [*found, "it asks for nothing"]


def _may_match(series: Series, matcher: Any) -> bool:
    """Whether a value that is known from the start matches; not asked where anything does."""
    values = series.labels.get(matcher.name, set())
    operator = str(matcher.op)
    if matcher.value == ".+" or not values:
        return True
    if operator.endswith(("NotEqual", "NotRe")):
        return True
    if operator.endswith("Re"):
        return any(re.fullmatch(matcher.value, value) for value in values)
    return matcher.value in values


@pytest.mark.parametrize("asked", ALL, ids=lambda asked: asked.place)
def test_its_metrics_and_labels_exist(asked: Asked) -> None:
    assert faults(asked) == []


@pytest.mark.parametrize(
    "expr",
    [
        "rate(glore_request_total[5m])",
        'rate(glore_requests_total{verb="GET"}[5m])',
        "sum by (model) (rate(glore_requests_total[5m]))",
        'rate(glore_feedback_total{verdict="correct"}[5m])',
        "vllm:gpu_cache_usage_perc",
        'glore_engine_circuit{state=~"opened|shut"}',
        "glore:availability:bad_ratio_rate7d",
        "1 + 1",
    ],
)
def test_what_is_wrong_is_found(expr: str) -> None:
    assert faults(Asked("here", expr)) != []
    assert faults(Asked("here", "glore_solves_waiting", "{{nothing}}")) != []


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_what_is_committed_is_what_the_code_writes(path: Path) -> None:
    message = "write it again: python -m dashboards"
    assert path.read_text(encoding="utf-8") == files()[path], message


def test_nothing_else_is_committed() -> None:
    folders = {path.parent for path in files()}
    assert {each for folder in folders for each in folder.iterdir()} == set(files())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_dashboard_can_be_read(board: Any) -> None:
    """Descriptions, units, links and variables are there, and nothing is drawn over another."""
    ours = {path.stem: text for path, text in files().items()}
    written = json.loads(ours[board.uid])
    assert written["description"]
    assert written["uid"] == board.uid
    (link,) = written["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["glore"], True)
    assert "glore" in written["tags"]
    panels = [each for each in written["panels"] if each["type"] != "row"]
    assert len(panels) == len(board.panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["description"].endswith((".", "planned.")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert {each["datasource"]["uid"] for each in panel["targets"]} == {"${datasource}"}
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    used = set(re.findall(r"\$(\w+)", " ".join(q.expr for p in board.panels for q in p.queries)))
    named = {each["name"] for each in written["templating"]["list"]}
    assert used - {"__rate_interval"} <= named
    if board.by_strategy:
        assert {"instance", "strategy"} <= named


def test_titles_of_panels_are_different() -> None:
    for board in BOARDS:
        titles = [panel.title for panel in board.panels]
        assert len(set(titles)) == len(titles)


def test_every_metric_of_the_gateway_is_looked_at() -> None:
    """Each is in some panel or alert, but for those that say what another says."""
    seen = " ".join(asked.expr for asked in ALL)
    ours = {
        re.sub(r"_(bucket|sum|count|created)$", "", name)
        for name in metrics()
        if name.startswith("glore_")
    }
    unseen = {name for name in ours if not re.search(rf"\b{name}(_\w+)?\b", seen)}
    assert {name for name in unseen if not name.startswith("glore_limit_")} <= {
        "glore_candidates_refuted_total",  # glore_steps_refuted_total has more
        "glore_feedback_remembered",
        "glore_solves_in_flight",  # those at work and those that wait
        *(name.removesuffix("_total") for name in ours),  # of `_created`
    }


def test_panels_tell_what_they_are_drawn_from() -> None:
    assert all(panel.queries for board in BOARDS for panel in board.panels)
    assert len(PANELS) > 60
    assert len(recording_rules()) == 14
    assert len({(alert.name, alert.window) for alert in ALERTS}) == len(ALERTS)
