"""Every query of every panel, alert and rule, asked of a real Prometheus after everything happened.

The package is needed: without it these tests fail, and say how to install it.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from dashboards.files import RULES
from glore.telemetry.labels import problems
from tests.dashboards.queries import ALL
from tests.dashboards.world import NEEDED, Prometheus, driven

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(300)]  # 20 s; the machine may be busy

# Queries without data although everything happens, and why. Whatever else is empty is a fault.
EMPTY_WHEN_HEALTHY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "glore-objectives: Alerts that fire: {{alertname}} ({{severity}})": "no alert lasts as "
        "long as it must to fire",
        "alert GloreLatencyBudgetBurn 1h": "no answer takes 10 s",
        "alert GloreLatencyBudgetBurn 6h": "no answer takes 10 s",
        "alert GloreLatencyBudgetBurn 1d": "no answer takes 10 s",
        "alert GloreLatencyBudgetBurn 3d": "no answer takes 10 s",
        "alert GloreDown": "gateways are scraped",
        "alert GloreQueueNearlyFull": "the queue is empty again at the end",
        "alert GloreStoreFails": "the store works",
        "alert GloreCircuitOpen": "circuits are half-open once they have rested",
    }
)
# Problems that no client brings about.
_NOT_DRIVEN: Final = {"internal-error": "a bug", "other": "no problem of ours"}
_TRIES: Final = 4
WINDOW: Final = "3m"  # all that happened


async def without_data(prometheus: Prometheus) -> set[str]:
    """The queries that are empty. A scrape that a busy machine missed leaves gaps: some tries."""
    left = list(ALL)
    for _ in range(_TRIES):
        left = [each for each in left if not await prometheus.query(each.filled(WINDOW))]
        if {each.place for each in left} <= set(EMPTY_WHEN_HEALTHY):
            break
        await prometheus.scraped()
    return {each.place for each in left}


async def test_every_query_has_data(tmp_path: Path) -> None:
    async with driven(tmp_path) as prometheus:
        empty = await without_data(prometheus)
        told = await prometheus.query("sum by (problem) (glore_problems_total) > 0")
        strategies = await prometheus.query("sum by (strategy) (glore_candidates_total) > 0")
        reasons = await prometheus.query("sum by (reason) (glore_engine_errors_total) > 0")
        rules = (await prometheus.get("rules"))["groups"]
    assert empty <= set(EMPTY_WHEN_HEALTHY)
    assert {each["metric"]["problem"] for each in told} == set(problems()) - set(_NOT_DRIVEN)
    assert len(strategies) == 7
    assert {each["metric"]["reason"] for each in reasons} >= {
        *("bad_response", "circuit_open", "failed", "overloaded"),
        *("rejected", "timeout", "unreachable", "wrong_scores"),
    }
    unhealthy = [each for group in rules for each in group["rules"] if each["health"] != "ok"]
    assert unhealthy == []


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    assert program is not None, NEEDED
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_can_be_read() -> None:
    promtool("check", "rules", *(str(path) for path in sorted(RULES.glob("*.yml"))))


def test_alerts_fire_when_they_should() -> None:
    promtool("test", "rules", str(Path(__file__).parent / "alerts_test.yml"))


def test_what_is_listed_as_empty_is_a_query() -> None:
    assert set(EMPTY_WHEN_HEALTHY) <= {each.place for each in ALL}
    assert len({each.place for each in ALL}) == len(ALL)


def test_without_the_package_it_fails_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError, match="apt-get install prometheus"):
        promtool("check", "rules")
