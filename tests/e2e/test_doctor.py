"""Doctor comes to its end whatever it meets, and says what is missing."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra import doctor
from infra.doctor import Finding
from infra.embedded import EmbeddedNats
from infra.settings import read


async def findings(found: AsyncIterator[Finding]) -> list[tuple[str, str, str]]:
    return [(one.check, one.status, one.says) async for one in found]


@contextmanager
def answering(document: object) -> Iterator[int]:
    """A program that answers every request with this document: its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join(10)


@pytest.mark.parametrize("checks", [{"x": "ok"}, {"x": {}}, {"x": {"status": 3}}, {"x": ["ok"]}, ["ok"]])
async def test_another_programs_checks_are_not_taken_for_drumlines(scratch: Path, checks: object) -> None:
    with answering({"checks": checks}) as port:
        settings = read(data_dir=scratch / "data", http_port=port)
        (first, *_) = await findings(doctor.ports(settings))
    assert first[:2] == ("API", "wrong")
    assert "in use by another program" in first[2]


async def test_the_users_of_a_bus_of_your_own_cannot_be_compared_while_the_embedded_database_is_down(
    scratch: Path, nats_server: EmbeddedNats
) -> None:
    settings = read(data_dir=scratch / "data", nats_url=nats_server.url)
    *_, last = await findings(doctor.bus(settings))
    assert last[:2] == ("bus users", "note")
    assert "start it by `drumline up`" in last[2]


async def test_a_missing_flock_is_named_with_its_package(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(data_dir=scratch / "data")
    assert not [says for _, _, says in await findings(doctor.browser(settings)) if "flock" in says]
    monkeypatch.setenv("PATH", str(scratch))
    wrong = [says for _, status, says in await findings(doctor.browser(settings)) if status == "wrong"]
    assert "The browsers need the command flock (Debian: the package util-linux)." in wrong
