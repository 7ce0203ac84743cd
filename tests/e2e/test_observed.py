"""A whole demo seen from outside: by Prometheus, by a collector of traces, in its logs; and nobody in it recognised."""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from adapters.sandbox.ledger import recount
from infra.child import wait_until
from infra.embedded import EmbeddedPostgres
from infra.ports import free_port
from infra.settings import read
from tests.e2e.canary import files
from tests.e2e.descendants import processes_on
from tests.e2e.otlp import Arrived, Collector, collector
from tests.e2e.prometheus import Prometheus, missing, prometheus, promtool

PEOPLE = {f"+1202555013{n}": f"{name} Canary" for n, name in enumerate(("Zephyrine", "Quirinus", "Oswaldine"))}
WORDS = ("Ward Street", "Harbour Road", "Spring workshop", "Spring list", "our spring workshop", "Your seat is kept")
CANARIES = [*WORDS, *PEOPLE, *(number[1:] for number in PEOPLE), *(name.split()[0] for name in PEOPLE.values())]
PROCESSES = ("core", "sessions", "imports", "api")
LONGEST = 110.0  # seconds


@dataclass
class Seen:
    """A demo, and what was to be seen of it while it ran."""

    data: Path
    traces: Collector
    prometheus: Prometheus | None
    pages: dict[str, str] = field(default_factory=dict)  # each process's /metrics, as it was last
    told: str = ""
    said: dict[str, Any] = field(default_factory=dict)

    def look(self, http: httpx.Client) -> None:
        """Read every process's /metrics, as far as it answers."""
        targets = self.data / "prometheus-targets.json"
        for one in json.loads(targets.read_text()) if targets.exists() else []:
            try:
                page = http.get(f"http://{one['targets'][0]}/metrics")
            except httpx.TransportError:
                continue
            if page.is_success and 'loop="ending"' not in page.text:  # then its loops have gone
                self.pages[one["labels"]["instance"]] = page.text


@contextmanager
def demo(home: Path) -> Iterator[Seen]:
    """A demo with people of our own, to its end; Prometheus stays a little longer."""
    people = home / "people.csv"
    people.write_text("\n".join(["number,name,consent", *(f"{number},{name},yes" for number, name in PEOPLE.items())]))
    data = home / "data"
    with ExitStack() as stack:
        traces = stack.enter_context(collector())
        watching = None if missing() else stack.enter_context(prometheus(home / "p", data / "prometheus-targets.json"))
        http = stack.enter_context(httpx.Client(trust_env=False, verify=False, timeout=5))
        seen = Seen(data, traces, watching)
        given = {
            "HTTP_PORT": str(free_port()),
            "SANDBOX_PORT": str(free_port()),
            "LOG_FORMAT": "json",
            "OTLP_ENDPOINT": traces.endpoint,
        }
        environment = {**os.environ, **{f"DRUMLINE_{name}": value for name, value in given.items()}}
        line = [
            sys.executable,
            "-m",
            "infra.cli",
            "demo",
            "--data-dir",
            str(data),
            "--contacts",
            str(people),
        ]
        deadline = time.monotonic() + LONGEST
        with (home / "out").open("w") as out, subprocess.Popen(line, env=environment, stdout=out) as running:
            try:
                while running.poll() is None and time.monotonic() < deadline:
                    seen.look(http)
                    wait_until(lambda: running.poll() is not None, 0.5, 0.05)
            finally:
                running.terminate()
        seen.told = (home / "out").read_text()
        assert running.returncode == 0, seen.told
        seen.said = json.loads(seen.told.splitlines()[-1])
        yield seen


def test_a_demo_is_seen_from_outside_and_nobody_in_it_is_recognised(scratch: Path) -> None:
    with demo(scratch) as seen:
        everybody_is_accounted_for(seen)
        the_story_is_told(seen.told)
        assert processes_on(seen.data) == {}
        every_process_shows_metrics(seen.pages)
        a_send_is_one_trace_from_the_request_on(seen)
        every_line_of_the_logs_is_an_object(seen.data)
        nobody_is_recognised(seen)
        nothing_lies_in_plain(seen.data)
        if seen.prometheus is None:
            pytest.skip(f"all but Prometheus was checked: {missing()}")
        prometheus_has_seen_all(seen.prometheus, seen.said)
        for page in seen.pages.values():
            promtool("metrics", given=page)


def everybody_is_accounted_for(seen: Seen) -> None:
    assert seen.said["rows"] == seen.said["sent"] == len(PEOPLE)
    assert seen.said["wire"] == seen.said["parts"] == 2 * len(PEOPLE)
    assert seen.said["duplicates"] == seen.said["lost"] == seen.said["unknown"] == 0
    wire = recount(Path(seen.said["ledger"]))
    assert wire.distinct == wire.entries == seen.said["wire"]


def the_story_is_told(told: str) -> None:
    assert "rule own_job, field actor" in told
    assert "workspace.sending-policy-set" in told
    assert "job.completed" in told
    assert "does not hold" not in told


def every_process_shows_metrics(pages: Mapping[str, str]) -> None:
    assert set(pages) == set(PROCESSES)
    for page in pages.values():
        assert "drumline_build_info{" in page
        assert 'drumline_loop_last_progress_timestamp_seconds{loop="event-loop"}' in page
        assert "process_resident_memory_bytes " in page
    assert 'drumline_log_lag_seconds{reader="relay"}' in pages["core"]
    assert "drumline_log_lag_seconds{" not in pages["api"]


def a_send_is_one_trace_from_the_request_on(seen: Seen) -> None:
    traces: dict[str, list[Arrived]] = defaultdict(list)
    for span in seen.traces.spans:
        traces[span.trace].append(span)
    (whole,) = [spans for spans in traces.values() if any(span.name == "send message" for span in spans)]
    by_id = {span.span: span for span in whole}
    names = {span.name for span in whole}
    assert {
        "POST /v1/jobs/{job_id}/approve",
        "publish COMMANDS",
        "process COMMANDS",
        "INSERT stored_events",
        "publish EVENTS",
        "publish SENDS",
        "process SENDS",
    } <= names
    assert sum(span.name == "send message" for span in whole) == seen.said["wire"] == 2 * len(PEOPLE)
    for span in whole:
        if span.name == "send message":
            batch = by_id[span.parent]
            assert (batch.name, by_id[batch.parent].name) == ("process SENDS", "publish SENDS")
    (request,) = [span for span in whole if not span.parent]
    assert (request.process, request.attributes["http.route"]) == ("drumline-api", "/v1/jobs/{job_id}/approve")
    assert traces_in_the_log(seen.data, "delivery.send-confirmed") == {request.trace}


def traces_in_the_log(data: Path, event: str) -> set[str]:
    """The traces that events of a kind belong to, by their envelopes."""
    server = EmbeddedPostgres(data / "postgres")
    server.start()
    try:
        with psycopg.connect(server.url) as connection:
            rows = connection.execute("SELECT state FROM stored_events WHERE topic = %s", [event]).fetchall()
    finally:
        server.stop()
    return {json.loads(state)["envelope"]["traceparent"].split("-")[1] for (state,) in rows}


def every_line_of_the_logs_is_an_object(data: Path) -> None:
    for process in PROCESSES:
        lines = (data / "run" / process / f"{process}.log").read_text().splitlines()
        for line in lines:
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()


def nobody_is_recognised(seen: Seen) -> None:
    found = [path for part in ("run", "postgres", "nats") for path in (seen.data / part).rglob("*.log")]
    logs = {str(path): path.read_text(errors="replace") for path in found}
    assert len(logs) == len(PROCESSES) + len(("sandbox", "postgres", "nats")), list(logs)
    scraped = {"prometheus": seen.prometheus.series()} if seen.prometheus else {}
    sent = {"traces": b"".join(seen.traces.bodies).decode(errors="replace")}
    for where, told in {**logs, **seen.pages, **scraped, **sent}.items():
        assert [word for word in CANARIES if word in told] == [], where


def nothing_lies_in_plain(data: Path) -> None:
    """The long form, with every kind of word and form, is in test_canary.py."""
    words = [word.encode() for word in CANARIES]
    for where, content in files(data, without=("profiles", "sandbox", "demo")):  # the last: the story's own journal
        assert [word for word in words if word in content] == [], where


def prometheus_has_seen_all(watching: Prometheus, said: Mapping[str, Any]) -> None:
    def most(series: str) -> float:
        return watching.value(f"sum(max_over_time({series}[10m]))")

    assert watching.values('max_over_time(up{job="drumline"}[10m])') == [1] * len(PROCESSES)
    assert len(watching.ask("rules")["groups"][0]["rules"]) >= 8
    assert 0 < most('drumline_sends_total{result="confirmed"}') <= said["wire"]
    assert most('drumline_accounts{state="ready"}') == most("drumline_browsers") == 2
    assert most('drumline_jobs{status=~"running|completed"}') >= 1
    assert most('drumline_commands_total{command="job.approve",rule="own_job",state="refused"}') == 1
    assert most('drumline_http_request_duration_seconds_count{route="/v1/jobs",method="POST",status="2xx"}') == 1
    assert most("drumline_log_position") > 20
    for reader in ("relay", "projections", "reactors"):
        assert most(f'drumline_log_events_total{{reader="{reader}"}}') > 20
        assert watching.value(f'min_over_time(drumline_log_lag_events{{reader="{reader}"}}[10m])') == 0
    assert watching.value("sum(max_over_time(drumline_dead_letters[10m]))") == 0
    for process in PROCESSES:
        assert most(f'process_cpu_seconds_total{{instance="{process}"}}') > 0


def test_the_alerts_are_rules_that_prometheus_takes() -> None:
    if told := missing():
        pytest.skip(told)
    promtool("rules", Path(__file__).parents[2] / "infra" / "alerts.yml")


def test_a_worker_without_an_endpoint_for_traces_records_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert read().otlp_endpoint is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert read().otlp_endpoint == "http://127.0.0.1:4318"
    monkeypatch.setenv("DRUMLINE_OTLP_ENDPOINT", "http://127.0.0.1:4319")
    assert read().otlp_endpoint == "http://127.0.0.1:4319"
