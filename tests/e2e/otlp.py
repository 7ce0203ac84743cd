"""A place that takes spans over OTLP, as a collector does."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from infra.ports import free_port


@dataclass(frozen=True, slots=True)
class Arrived:
    """A span, as it came over the wire."""

    process: str
    name: str
    kind: int
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]  # the traces that it is linked to
    attributes: dict[str, str | int]
    failed: bool


@dataclass(slots=True)
class Collector:
    """What has come so far, whole."""

    endpoint: str
    spans: list[Arrived] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for of in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in of.resource.attributes}
            for span in (one for scope in of.scope_spans for one in scope.spans):
                told = {
                    one.key: one.value.int_value if one.value.HasField("int_value") else one.value.string_value
                    for one in span.attributes
                }
                self.spans.append(
                    Arrived(
                        names["service.name"],
                        span.name,
                        span.kind,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        tuple(link.trace_id.hex() for link in span.links),
                        told,
                        span.status.code == 2,
                    )
                )


@contextmanager
def collector(port: int | None = None) -> Iterator[Collector]:
    """A collector, at a free port unless said."""
    port = port or free_port()
    made = Collector(f"http://127.0.0.1:{port}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            made.take(body)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            """Tests speak for themselves."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield made
        server.shutdown()
