"""schemathesis let loose on a gateway, and what it and we find wrong with the answers."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.hooks import HookContext
from schemathesis.openapi import from_asgi
from schemathesis.python import asgi

from loadtest.simulation.server import UPSTREAM_TEXT
from tests.service.documented import EVENTS, STREAMED, Streams

CHAT: Final = "/v1/chat/completions"
SEED: Final = 4
ALL_PHASES: Final = ("examples", "coverage", "fuzzing")
_REASON: Final = re.compile(r'"stage":"\w+","reason":"(\w+)"')
_WELL: Final = ("2xx", "3xx", "4xx")
_UNWELL: Final = ("502", "503", "504")
_PATIENCE_S: Final = 60.0
_MOST_EVENTS: Final = 100_000  # a stream is read to its end


@dataclass(slots=True)
class Found:
    """What was asked and answered, by operation as in `POST /solve`, and what was wrong."""

    streams: Streams
    requests: Counter[str] = field(default_factory=Counter)
    answers: defaultdict[str, Counter[int | str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )  # by status, and by media type where it is that of a stream
    reasons: Counter[str] = field(default_factory=Counter)  # of what is missing in answers
    failures: list[str] = field(default_factory=list)

    def note(self, event: events.EngineEvent) -> None:
        """Take in what schemathesis tells."""
        if isinstance(event, events.ScenarioFinished):
            label = str(event.label)
            self.requests[label] += len(event.recorder.cases)
            for case, checks in event.recorder.checks.items():
                sent = event.recorder.cases[case].value
                self.failures += [
                    f"{check.name}: {check.failure_info.failure}\n{sent.as_curl_command()}"
                    for check in checks
                    if check.failure_info is not None
                ]
            self._read(label, event.recorder)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            self.failures.append(str(event))

    def _read(self, label: str, recorder: ScenarioRecorder) -> None:
        """Look into each answer: no engine speaks in it, and a stream is as documented."""
        for case, interaction in recorder.interactions.items():
            response = interaction.response
            if response is None:
                continue
            self.answers[label][response.status_code] += 1
            content = response.content
            self.reasons.update(_REASON.findall(content.decode(errors="replace")))
            headers = str(response.headers)
            if UPSTREAM_TEXT.encode() in content or "simulated" in headers.lower():
                self._fail(f"upstream text: {headers} {content!r}", recorder, case)
            media_type = response.headers.get("content-type", [""])[0].partition(";")[0]
            if response.status_code == 200 and media_type in STREAMED:
                self.answers[label][media_type] += 1
                path = label.partition(" ")[2]
                for fault in self.streams.faults(path, media_type, content):
                    self._fail(fault, recorder, case)

    def _fail(self, text: str, recorder: ScenarioRecorder, case: str) -> None:
        self.failures.append(f"{text}\n{recorder.cases[case].value.as_curl_command()}")


def fuzz(
    app: FastAPI,
    *,
    examples: int,
    phases: tuple[str, ...],
    accept: str = "*/*",
    key: str | None = None,
    unwell: bool = False,
) -> Found:
    """Ask a gateway `examples` random questions of each operation, valid and not.

    Only where its engines are `unwell` may it answer 502, 503 or 504.
    """
    config: dict[str, Any] = {
        "seed": SEED,
        "generation": {
            "max-examples": examples,
            "database": "none",
            "allow-extra-parameters": False,  # HTTP lets any header be sent
        },
        "phases": {phase: {"enabled": phase in phases} for phase in (*ALL_PHASES, "stateful")},
        "headers": {"Accept": accept},
        "request-timeout": _PATIENCE_S,
        "max-stream-events": _MOST_EVENTS,
        "checks": {"not_a_server_error": {"expected-statuses": [*_WELL, *_UNWELL * unwell]}},
    }
    if key is not None:
        config["headers"]["Authorization"] = f"Bearer {key}"
    schema = from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(config))
    if accept == EVENTS:
        schema.hook("map_body")(_streamed)
    document = app.openapi()
    found = Found(Streams(document))
    try:
        for event in from_schema(schema).execute():
            found.note(event)
    finally:
        asgi.shutdown_lifespans()
    assert set(found.requests) == {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }
    return found


def _streamed(context: HookContext, body: object) -> object:
    """A chat in chunks, unless it is said that it is not."""
    operation = context.operation
    if isinstance(body, dict) and operation is not None and operation.path == CHAT:
        body.setdefault("stream", True)
    return body
