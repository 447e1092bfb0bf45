"""Where spans and events go: to an OTLP collector over HTTP, or to standard output.

The SDK reads most of the variables `OTEL_...` itself: endpoint, headers, timeouts, sampler, batch
sizes, limits, service name and resource.
"""

import sys
from collections.abc import Mapping
from typing import Final

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    ConsoleLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)

from glore.errors import ConfigurationError
from glore.startup import version
from glore.telemetry.conventions import CAPTURE_VARIABLE, CAPTURING
from glore.telemetry.spans import Tracing

_EXPORTERS: Final = ("otlp", "console", "none")
_PROTOCOL: Final = "http/protobuf"
_UNNAMED: Final = "unknown_service"  # what the SDK begins the name of a service with


def exporting(environment: Mapping[str, str]) -> Tracing:
    """Tracing that exports as these variables say. Raises ConfigurationError."""
    for name in ("", "TRACES_", "LOGS_"):
        variable = f"OTEL_EXPORTER_OTLP_{name}PROTOCOL"
        if environment.get(variable, _PROTOCOL) != _PROTOCOL:
            message = f"{variable}: only {_PROTOCOL} is spoken here"
            raise ConfigurationError(message)
    spans, events = (_exporter(environment, each) for each in ("TRACES", "LOGS"))
    resource = _resource()
    tracers = TracerProvider(resource=resource)
    if spans == "otlp":
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    elif spans == "console":
        tracers.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stdout)))
    loggers = LoggerProvider(resource=resource)
    if events == "otlp":
        loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    elif events == "console":
        loggers.add_log_record_processor(
            SimpleLogRecordProcessor(ConsoleLogRecordExporter(out=sys.stdout))
        )
    captures = environment.get(CAPTURE_VARIABLE, "").strip().lower() in CAPTURING
    return Tracing(tracers, loggers, captures=captures)


def _exporter(environment: Mapping[str, str], signal: str) -> str:
    variable = f"OTEL_{signal}_EXPORTER"
    chosen = environment.get(variable, "").strip().lower() or "otlp"
    if chosen not in _EXPORTERS:
        message = f"{variable}: {', '.join(_EXPORTERS)} are known here"
        raise ConfigurationError(message)
    return chosen


def _resource() -> Resource:
    """What the environment says of this service, which is named glore unless it says otherwise."""
    given = Resource.create()
    resource = Resource({SERVICE_VERSION: version()}).merge(given)
    if str(given.attributes[SERVICE_NAME]).startswith(_UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: "glore"}))
    return resource
