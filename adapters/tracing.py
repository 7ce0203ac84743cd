"""Traces: spans of what this process does, sent over OTLP where an endpoint is set; else traceparents are passed on.

A batch has one span. It is part of its members' trace when they share one, and linked to each of theirs when not.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from adapters.metrics import METHODS

MOST_LINKS = 32  # of one span; one costs 10 µs: with the 128 that the specification allows, 14 % of the core's time
PATH = "/v1/traces"
LAST_WORDS = 3.0  # seconds to send what is left when the process ends
FAULT = 500  # statuses from here on are our own fault
SERVER, CLIENT, PRODUCER, CONSUMER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER
NOTHING: AbstractContextManager[None] = nullcontext()

Attributes = Mapping[str, str | int]

log = logging.getLogger(__name__)

_provider: Any = None
_tracer: trace.Tracer | None = None
_carried: ContextVar[str] = ContextVar("traceparent", default="")


class Telling:
    """An exporter that logs when its collector takes no spans any more, and when it takes them again."""

    def __init__(self, exporter: Any, endpoint: str) -> None:
        self._exporter = exporter
        of = urlsplit(endpoint)  # which may hold a password
        self._collector = f"{of.hostname}:{of.port}" if of.port else f"{of.hostname}"
        self._away = False

    def export(self, spans: Any) -> Any:
        result = self._exporter.export(spans)
        away = result.name == "FAILURE"
        if away != self._away:
            self._away = away
            say, what = (log.warning, "lost") if away else (log.info, "sent again")
            say("traces are %s", what, extra={"collector": self._collector})
        return result

    def force_flush(self, timeout_millis: int) -> bool:
        return bool(self._exporter.force_flush(timeout_millis))

    def shutdown(self) -> None:
        self._exporter.shutdown()


def start(endpoint: str, process: str, version: str) -> None:
    """Send spans to an OTLP endpoint from now on, in batches, from a thread of their own."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # these take 0.3 s and 30 MB
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _provider, _tracer
    resource = Resource.create({"service.name": f"drumline-{process}", "service.version": version})
    _provider = TracerProvider(resource=resource)
    collector: Any = Telling(OTLPSpanExporter(endpoint.rstrip("/") + PATH), endpoint)
    _provider.add_span_processor(BatchSpanProcessor(collector))
    _tracer = _provider.get_tracer("drumline", version)


def stop() -> None:
    """Send what is left, as far as the endpoint takes it in time."""
    global _provider, _tracer
    if _provider is not None:
        sending = threading.Thread(target=_provider.shutdown, daemon=True)
        sending.start()
        sending.join(LAST_WORDS)
    _provider = _tracer = None


def span(name: str, kind: SpanKind, attributes: Attributes, follows: str | Iterable[str] = ()) -> Any:
    """A context manager that makes the span current, as part of the trace that it follows.

    `follows` is the traceparent of one cause, or those of a batch's members; without any it belongs to the span that is
    current. Attributes hold names, ids and numbers; an error shows by its kind alone.
    """
    if _tracer is not None:
        return recorded(_tracer, name, kind, attributes, [follows] if isinstance(follows, str) else follows)
    return carrying(follows) if isinstance(follows, str) and follows else NOTHING


@contextmanager
def carrying(traceparent: str) -> Iterator[None]:
    """Pass a trace on that others record."""
    token = _carried.set(traceparent)
    try:
        yield
    finally:
        _carried.reset(token)


@contextmanager
def recorded(
    tracer: trace.Tracer, name: str, kind: SpanKind, attributes: Attributes, follows: Iterable[str]
) -> Iterator[Span]:
    causes = [context_of(one) for one in islice(dict.fromkeys(filter(None, follows)), MOST_LINKS)]
    parent = trace.set_span_in_context(NonRecordingSpan(causes[0])) if len(causes) == 1 else None
    links = [Link(cause) for cause in causes if cause.trace_flags.sampled] if len(causes) > 1 else []
    with tracer.start_as_current_span(
        name,
        parent,
        kind,
        dict(attributes),
        links,
        record_exception=False,  # its text is nobody's business
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(Status(StatusCode.ERROR))
            raise


def context_of(traceparent: str) -> SpanContext:
    """What a traceparent (checked by adapters.cloudevents) stands for."""
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def traceparent() -> str:
    """The current span as a header; "" when there is none."""
    if _tracer is None:
        return _carried.get()
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id() -> str:
    """The trace that this belongs to; "" when there is none."""
    return traceparent()[3:35]


def answered(method: str, route: str | None, status: int) -> None:
    """What became of the request that the current span is of; without a route the address is not told."""
    if _tracer is None:
        return
    current = trace.get_current_span()
    known = method if method in METHODS else "_OTHER"
    current.update_name(f"{known} {route}" if route else known)
    current.set_attributes({"http.request.method": known, "http.response.status_code": status})
    if route:
        current.set_attribute("http.route", route)
    if status >= FAULT:
        current.set_status(Status(StatusCode.ERROR))


def messaging(operation: str, stream: str, count: int | None = None) -> Attributes:
    """What the conventions want to know of a message's way."""
    told: dict[str, str | int] = {
        "messaging.system": "nats",
        "messaging.destination.name": stream,
        "messaging.operation.name": operation,
        "messaging.operation.type": "process" if operation == "process" else "send",
    }
    return told if count is None else {**told, "messaging.batch.message_count": count}


def statement(operation: str, table: str, count: int) -> Attributes:
    """What the conventions want to know of a statement to the database."""
    return {
        "db.system.name": "postgresql",
        "db.operation.name": operation,
        "db.collection.name": table,
        "db.operation.batch.size": count,
    }
