import re

from glore.telemetry.metrics import Metrics


def test_names_follow_the_customs_of_prometheus() -> None:
    body, _ = Metrics().expose("")
    kinds = dict(re.findall(r"^# TYPE (glore_\S+) (\S+)$", body.decode(), flags=re.MULTILINE))
    assert kinds
    for name, kind in kinds.items():
        if name.endswith("_created"):
            continue
        assert kind in {"counter", "gauge", "histogram"}
        assert (kind == "counter") == name.endswith("_total"), name
        if kind == "histogram":
            assert name.endswith(("_seconds", "_ratio", "_score", "_margin", "_step")), name


def test_requests_are_counted_with_their_time() -> None:
    metrics = Metrics()
    metrics.request_answered("/solve", "draft", 200, 0.3)
    labels = {"route": "/solve", "strategy": "draft"}
    count = metrics.registry.get_sample_value("glore_requests_total", labels | {"status": "200"})
    lasted = labels | {"outcome": "ok"}
    seconds = metrics.registry.get_sample_value("glore_request_duration_seconds_sum", lasted)
    assert (count, seconds) == (1.0, 0.3)


def test_in_flight_goes_down_again() -> None:
    metrics = Metrics()
    with metrics.solving():
        assert metrics.registry.get_sample_value("glore_solves_in_flight") == 1
    assert metrics.registry.get_sample_value("glore_solves_in_flight") == 0
