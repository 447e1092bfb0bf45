"""The metrics that queries may name: those of a gateway, of vLLM, of the rules, of Prometheus."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from dashboards.rules import recording_rules
from glore.app import create_app
from glore.settings import Settings

VLLM: Final = Path(__file__).parent / "vllm_metrics.txt"
_OF_THE_TARGET: Final = {"instance", "job"}  # Prometheus puts them on every series


@dataclass(slots=True)
class Series:
    """What is known of all series of one name: labels, and the values that they have."""

    labels: dict[str, set[str]] = field(default_factory=dict)

    def add(self, labels: Mapping[str, str]) -> None:
        for name, value in labels.items():
            self.labels.setdefault(name, set()).add(value)


def read(exposition: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The name and the labels of every sample in a text of Prometheus."""
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            yield sample.name, sample.labels


async def of_a_gateway() -> str:
    """What a gateway that was just started says at /metrics; its engines are not there."""
    app = create_app(Settings(store=SecretStr("off"), probe_timeout=0.2))
    async with app.router.lifespan_context(app):
        context = app.state.context
        await context.readiness.refresh(5.0)
        body, _ = context.metrics.expose("")
    return str(body, "utf-8")


def known(expositions: Iterable[str]) -> dict[str, Series]:
    """All metrics by name."""
    found: dict[str, Series] = {}
    for exposition in expositions:
        for name, labels in read(exposition):
            found.setdefault(name, Series()).add(labels)
    for name in recording_rules():
        found[name] = Series()
    found["ALERTS"] = Series({"alertname": set(), "severity": set(), "alertstate": {"firing"}})
    return found


def has_label(series: Series, label: str) -> bool:
    """Whether series of a target can have this label."""
    return label in series.labels or label in _OF_THE_TARGET
