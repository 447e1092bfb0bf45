"""Traces in memory, as a tree, for tests."""

from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from glore.telemetry.spans import Tracing


@dataclass(slots=True)
class Node:
    """A span and those below it, by their start."""

    span: ReadableSpan
    below: list["Node"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def about(self) -> dict[str, Any]:
        return dict(self.span.attributes or {})

    @property
    def failed(self) -> bool:
        return not self.span.status.is_ok and self.span.status.status_code.name == "ERROR"

    def names(self) -> dict[str, list[str]]:
        """The names of the spans below each of those below."""
        return {each.name: [inner.name for inner in each.below] for each in self.below}

    def one(self, name: str) -> "Node":
        """The only span below with this name, at any depth."""
        (found,) = [each for each in self.walk() if each.name == name]
        return found

    def walk(self) -> list["Node"]:
        return [self, *(inner for each in self.below for inner in each.walk())]


class Recorded:
    """A Tracing whose spans and events stay in memory."""

    def __init__(self, *, captures: bool = False) -> None:
        self._spans = InMemorySpanExporter()
        self._events = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        tracers, loggers = TracerProvider(), LoggerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._events))
        self.tracing = Tracing(tracers, loggers, captures=captures)

    @property
    def roots(self) -> list[Node]:
        """The spans that have none of ours above them."""
        nodes = {span.context.span_id: Node(span) for span in self._spans.get_finished_spans()}
        roots: list[Node] = []
        for node in sorted(nodes.values(), key=lambda each: each.span.start_time or 0):
            parent = node.span.parent
            above = nodes.get(parent.span_id) if parent is not None else None
            (above.below if above else roots).append(node)
        return roots

    @property
    def root(self) -> Node:
        (root,) = self.roots
        return root

    def events(self) -> list[tuple[int, dict[str, Any]]]:
        """The id of the span and the attributes of each evaluation."""
        records: tuple[ReadableLogRecord, ...] = self._events.get_finished_logs()
        found = []
        for each in records:
            record = each.log_record
            assert record.event_name == "gen_ai.evaluation.result"
            found.append((record.span_id or 0, dict(record.attributes or {})))
        return found

    def text(self) -> str:
        """Everything that would be sent."""
        spans = [span.to_json() for span in self._spans.get_finished_spans()]
        return "\n".join([*spans, *(str(about) for _, about in self.events())])
