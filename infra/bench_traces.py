"""What traces cost: `drumline bench pipeline --traces` gives each command a trace of its own, and takes the spans."""

import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from infra.bench_cpu import medians
from infra.bench_house import Run


@dataclass(slots=True)
class Sink:
    """An OTLP endpoint that takes whatever comes, and counts it."""

    endpoint: str
    posts: int = 0
    taken: int = 0  # bytes


@contextmanager
def sink() -> Iterator[Sink]:
    """An endpoint in a thread of this process, which is none of those that are measured."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.taken += len(self.rfile.read(int(self.headers["Content-Length"])))
            made.posts += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Say nothing: stderr is the benchmark's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Sink(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def compared(plain: Sequence[Run], traced: Sequence[Run], taken: Sink) -> dict[str, float]:
    """Runs with traces beside those without, which they took turns with."""
    without, with_traces = (medians([run.cpu_us for run in runs]) for runs in (plain, traced))
    return {
        "commands_per_s": round(statistics.median(run.per_s for run in traced)),
        "core_us": with_traces["core"],
        "core_us_without": without["core"],
        "overhead_percent": round((with_traces["core"] / without["core"] - 1) * 100, 1),
        "overhead_percent_of_all": round((with_traces["all"] / without["all"] - 1) * 100, 1),
        "posts": taken.posts,
        "bytes": taken.taken,
    }
