"""The gateway asked whatever its own OpenAPI document allows and forbids (schemathesis).

Every operation of the document is tried: its examples, the boundaries of each field, missing and
wrong keys, other methods and media types, then random bodies, valid and not. Held are all checks
of schemathesis: no 500, only documented statuses, media types, headers and bodies, valid data
taken and invalid refused, the key asked for. A new path needs no line here.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.openapi import from_asgi

from service.api.events import SolveEvents
from service.app import create_app
from service.keys import new_key
from service.settings import Settings
from tests.service.fakes import FakeEngines

KEY = new_key()
SEED = 4
ALL_PHASES = ("examples", "coverage", "fuzzing")


@dataclass(slots=True)
class Found:
    """How many requests each operation got, and what was wrong."""

    requests: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def note(self, event: events.EngineEvent) -> None:
        if isinstance(event, events.ScenarioFinished):
            self.requests[str(event.label)] += len(event.recorder.cases)
            for case, checks in event.recorder.checks.items():
                sent = event.recorder.cases[case].value
                self.failures += [
                    f"{check.name}: {check.failure_info.failure}\n{sent.as_curl_command()}"
                    for check in checks
                    if check.failure_info is not None
                ]
        elif isinstance(event, events.NonFatalError | events.FatalError):
            self.failures.append(str(event))


def fuzz(
    settings: Settings,
    engines: FakeEngines,
    *,
    examples: int,
    phases: tuple[str, ...],
    accept: str = "*/*",
) -> Found:
    """Ask a gateway on these engines `examples` random questions, valid and not."""
    app = create_app(settings, connect=engines.connect)
    config: dict[str, Any] = {
        "seed": SEED,
        "generation": {
            "max-examples": examples,
            "database": "none",
            "allow-extra-parameters": False,  # HTTP lets any header be sent
        },
        "phases": {phase: {"enabled": phase in phases} for phase in (*ALL_PHASES, "stateful")},
    }
    config["headers"] = {"Accept": accept}
    if settings.keyring:
        config["headers"]["Authorization"] = f"Bearer {KEY}"
    schema = from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(config))
    found = Found()
    for event in from_schema(schema).execute():
        found.note(event)
    assert set(found.requests) == {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    return found


@pytest.mark.timeout(400)  # seconds where the processor is busy with other work, or 10 s
def test_nothing_breaks_a_gateway_with_keys(settings: Settings, engines: FakeEngines) -> None:
    keyed = Settings.model_validate(settings.model_dump() | {"api_keys": KEY})
    found = fuzz(keyed, engines, examples=10, phases=ALL_PHASES)
    assert found.failures == []
    assert found.requests["POST /solve"] > 100
    assert found.requests["POST /v1/chat/completions"] > 100
    assert engines.student.calls > 0


def test_nothing_breaks_an_open_gateway(settings: Settings, engines: FakeEngines) -> None:
    found = fuzz(settings, engines, examples=10, phases=("fuzzing",))
    assert found.failures == []
    assert engines.student.calls > 0


def test_nothing_breaks_a_gateway_that_is_asked_for_events(
    settings: Settings, engines: FakeEngines
) -> None:
    found = fuzz(
        settings, engines, examples=10, phases=("examples", "fuzzing"), accept="text/event-stream"
    )
    assert found.failures == []
    assert engines.student.streamed > 0


def test_an_event_of_another_shape_is_found(
    settings: Settings, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SolveEvents, "failed", lambda *_: b"id: 1\nevent: other\ndata: {}\n\n")
    engines.student.fault = "failed"
    found = fuzz(settings, engines, examples=4, phases=("examples",), accept="text/event-stream")
    assert any("response_schema_conformance" in failure for failure in found.failures)


def test_a_bug_is_found(settings: Settings, engines: FakeEngines) -> None:
    engines.student.bug = RuntimeError("boom")
    found = fuzz(settings, engines, examples=4, phases=("examples",))
    assert any("not_a_server_error" in failure for failure in found.failures)
