"""Traces: a batch belongs to its members' trace or is linked to each; of an error only the kind; off costs nothing."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from adapters import tracing
from infra.ports import free_port
from tests.e2e.otlp import Arrived, Collector, collector

TOLD = tracing.messaging("process", "COMMANDS", 3)


def cause(sampled: str = "01") -> str:
    made = uuid.uuid4().hex
    return f"00-{made}-{made[:16]}-{sampled}"


def trace_of(traceparent: str) -> str:
    return traceparent.split("-")[1]


@pytest.fixture
def sent() -> Iterator[Callable[[], list[Arrived]]]:
    """Recording is on; call it for what has been recorded, which ends it."""
    with collector() as place:

        def stopped(place: Collector = place) -> list[Arrived]:
            tracing.stop()
            return place.spans

        tracing.start(place.endpoint, "test", "1")
        yield stopped
        tracing.stop()


def test_a_batch_of_one_trace_belongs_to_it(sent: Callable[[], list[Arrived]]) -> None:
    given = cause()
    with tracing.span("process COMMANDS", tracing.CONSUMER, TOLD, [given, "", given]):
        assert tracing.trace_id() == trace_of(given)
    (span,) = sent()
    assert (span.trace, span.parent, span.links) == (trace_of(given), given.split("-")[2], ())
    assert span.process == "drumline-test"
    assert span.attributes["messaging.batch.message_count"] == 3


def test_a_batch_of_many_traces_is_linked_to_each_that_is_recorded(sent: Callable[[], list[Arrived]]) -> None:
    causes = [cause() for _ in range(5)]
    with tracing.span("process COMMANDS", tracing.CONSUMER, TOLD, [*causes, cause("00")]):
        pass
    (span,) = sent()
    assert span.parent == ""
    assert span.links == tuple(map(trace_of, causes))


def test_links_are_bounded(sent: Callable[[], list[Arrived]]) -> None:
    with tracing.span("process COMMANDS", tracing.CONSUMER, TOLD, [cause() for _ in range(500)]):
        pass
    (span,) = sent()
    assert len(span.links) == tracing.MOST_LINKS == 32


def test_what_another_does_not_record_is_not_recorded_here_either(sent: Callable[[], list[Arrived]]) -> None:
    given = cause("00")
    with tracing.span("process SENDS", tracing.CONSUMER, TOLD, given):
        assert tracing.traceparent().startswith(f"00-{trace_of(given)}-")
        assert tracing.traceparent().endswith("-00")
    assert sent() == []


def test_a_span_within_another_is_its_child(sent: Callable[[], list[Arrived]]) -> None:
    with tracing.span("process SENDS", tracing.CONSUMER, TOLD), tracing.span("send text", tracing.CLIENT, {}):
        within = tracing.traceparent()
    inner, outer = sent()
    assert (inner.parent, inner.trace) == (outer.span, outer.trace)
    assert within.startswith(f"00-{inner.trace}-{inner.span}-")


def test_an_error_shows_by_its_kind_alone(sent: Callable[[], list[Arrived]]) -> None:
    with suppress(ValueError), tracing.span("send text", tracing.CLIENT, {}):
        raise ValueError("+12025550143")
    (span,) = sent()
    assert span.failed
    assert span.attributes == {"error.type": "ValueError"}


def test_a_request_is_told_by_its_template(sent: Callable[[], list[Arrived]]) -> None:
    for route, status in (("/v1/jobs/{job_id}", 500), (None, 404)):
        with tracing.span("HTTP", tracing.SERVER, {"url.scheme": "http"}):
            tracing.answered("GET" if route else "BREW", route, status)
    known, unknown = sent()
    assert (known.name, known.failed) == ("GET /v1/jobs/{job_id}", True)
    assert known.attributes["http.response.status_code"] == 500
    assert (unknown.name, unknown.failed) == ("_OTHER", False)


def test_off_a_trace_is_passed_on_and_no_batch_is_looked_at() -> None:
    given = cause()

    def unread() -> Iterator[str]:
        pytest.fail("nobody needs these")
        yield ""  # type: ignore[unreachable]  # what makes this a generator

    with tracing.span("process SENDS", tracing.CONSUMER, TOLD, given):
        assert tracing.traceparent() == given
        with tracing.span("INSERT stored_events", tracing.CLIENT, {}, unread()):
            assert tracing.trace_id() == trace_of(given)
        tracing.answered("GET", None, 404)
    assert tracing.traceparent() == ""


def test_a_collector_that_is_away_and_back_is_told_once_each_by_its_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")  # milliseconds
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    caplog.set_level("INFO", "adapters.tracing")

    def told() -> list[tuple[str, str, str]]:
        ours = [one for one in caplog.records if one.name == "adapters.tracing"]
        return [(one.levelname, one.message, vars(one)["collector"]) for one in ours]

    def spans_until(lines: int) -> None:
        deadline = time.monotonic() + 30
        while len(told()) < lines:
            assert time.monotonic() < deadline
            with tracing.span("send text", tracing.CLIENT, {}):
                time.sleep(0.01)

    port = free_port()
    tracing.start(f"http://somebody:secret@127.0.0.1:{port}/", "test", "1")
    spans_until(1)
    with collector(port):
        spans_until(2)
        tracing.stop()
    here = f"127.0.0.1:{port}"
    assert told() == [("WARNING", "traces are lost", here), ("INFO", "traces are sent again", here)]


def test_an_endpoint_that_is_away_delays_an_end_by_no_more_than_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LAST_WORDS", 0.1)
    tracing.start("http://127.0.0.1:9", "test", "1")
    with tracing.span("send text", tracing.CLIENT, {}):
        pass
    began = time.monotonic()
    tracing.stop()
    assert time.monotonic() - began < 2
    assert tracing.traceparent() == ""
