"""Traces on their way out: to an OTLP collector, as the environment says, or not at all."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from glore.app import create_app
from glore.errors import ConfigurationError
from glore.settings import Settings
from glore.telemetry.tracing import open_tracing
from tests.service.fakes import QUESTION, FakeEngines


@dataclass
class Collector:
    """What an OTLP collector was sent over HTTP."""

    url: str = ""
    spans: list[ExportTraceServiceRequest] = field(default_factory=list)
    events: list[ExportLogsServiceRequest] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)


@contextmanager
def collector() -> Iterator[Collector]:
    """One on a free port of this machine for as long as the block runs."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/x-protobuf"
            found.keys.add(self.headers["X-Key"])
            if self.path == "/v1/traces":
                found.spans.append(ExportTraceServiceRequest.FromString(content))
            elif self.path == "/v1/logs":
                found.events.append(ExportLogsServiceRequest.FromString(content))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


async def solve(settings: Settings) -> None:
    """Start a gateway, ask it one question, and stop it."""
    app = create_app(settings, connect=FakeEngines().connect)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        response = await client.post("/solve", json={"question": QUESTION})
        assert response.status_code == 200


@pytest.fixture
def traced(settings: Settings) -> Settings:
    return settings.model_copy(update={"traces": True})


def values(attributes: Iterator[KeyValue]) -> dict[str, str]:
    return {each.key: each.value.string_value for each in attributes}


async def test_a_collector_gets_all_spans_and_events_before_the_gateway_has_stopped(
    traced: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "maths")
        await solve(traced)
    assert found.keys == {"secret"}
    resources = [each for request in found.spans for each in request.resource_spans]
    assert {values(each.resource.attributes)["service.name"] for each in resources} == {"maths"}
    spans = [span for each in resources for scope in each.scope_spans for span in scope.spans]
    by_id = {span.span_id: span for span in spans}
    above = {
        span.name: by_id[span.parent_span_id].name if span.parent_span_id else None
        for span in spans
    }
    assert above == {
        "POST /solve": None,
        "invoke_workflow glore": "POST /solve",
        "draft": "invoke_workflow glore",
        "text_completion student": "draft",
        "score": "invoke_workflow glore",
        "score sorm": "score",
        "refine_globally": "invoke_workflow glore",
        "text_completion global_refiner": "refine_globally",
        "refine_locally": "invoke_workflow glore",
        "text_completion local_refiner": "refine_locally",
        "rerank": "invoke_workflow glore",
        "score orm": "rerank",
    }
    records = [
        record
        for request in found.events
        for each in request.resource_logs
        for scope in each.scope_logs
        for record in scope.log_records
    ]
    assert {record.event_name for record in records} == {"gen_ai.evaluation.result"}
    judged = {by_id[record.span_id].name for record in records}
    assert judged == {"draft", "refine_globally", "refine_locally"}
    assert {record.trace_id for record in records} == {spans[0].trace_id}


async def test_the_service_is_named_glore_unless_the_environment_names_it(
    traced: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        await solve(traced)
    about = values(found.spans[0].resource_spans[0].resource.attributes)
    assert about["service.name"] == "glore"
    assert about["service.version"]
    assert about["deployment.environment.name"] == "test"


async def test_a_client_or_sampler_that_wants_no_trace_gets_none(
    traced: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        await solve(traced)
    assert found.spans == []


async def test_a_collector_that_is_not_there_costs_no_answer(
    traced: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    await solve(traced)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_LOGS_EXPORTER", "otlp,console"),
    ],
)
def test_what_is_not_spoken_ends_the_start(
    traced: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{variable}: "):
        create_app(traced, connect=FakeEngines().connect)


async def test_spans_can_be_read_on_standard_output(
    traced: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    tracing = open_tracing(traced)
    assert tracing is not None
    with tracing.request("POST /solve", {}, {}):
        pass
    await tracing.close()
    assert '"name": "POST /solve"' in capsys.readouterr().out


def test_the_sdk_can_be_switched_off_as_everywhere(
    traced: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_tracing(traced) is None


def test_without_the_packages_the_start_ends_with_what_installs_them(
    traced: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith("glore.telemetry.exporting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"GLORE_TRACES needs opentelemetry.*install"):
        open_tracing(traced)


def test_a_gateway_without_traces_imports_nothing_of_them() -> None:
    program = (
        "import sys\n"
        "from glore.app import create_app\n"
        "from glore.settings import Settings\n"
        "create_app(Settings(thresholds_file=None, threshold=0.5))\n"
        "print([each for each in sys.modules if each.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
