"""`drumline up`: what it prints works as pasted, who dies comes back, and external servers change nothing else."""

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infra.child import wait_until
from infra.ports import free_port
from tests.e2e.descendants import KINDS, shown

COMMAND = [sys.executable, "-m", "infra.cli"]
WAIT = 60.0
LOOK = 0.2  # seconds between two looks


@contextmanager
def up(data_dir: Path, workspace: str = "demo", **settings: str) -> Iterator[tuple[str, str]]:
    """A running `up`: its API's address, and what it printed until it was ready."""
    port = str(free_port())
    given = {"DRUMLINE_HTTP_PORT": port, "DRUMLINE_SANDBOX_PORT": str(free_port())}
    given |= {f"DRUMLINE_{name.upper()}": value for name, value in settings.items()}
    line = [*COMMAND, "up", "--data-dir", str(data_dir), "--workspace", workspace]
    with subprocess.Popen(line, env={**os.environ, **given}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = ""
        for said in process.stdout:
            printed += said
            if "review-queue" in said:
                break
        assert "review-queue" in printed, printed
        try:
            yield f"http://127.0.0.1:{port}", printed
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(WAIT) == 0


def pasted(printed: str) -> list[httpx.Response]:
    """What the printed curl lines answer; done without a shell, for a bare machine has no curl."""
    lines = printed[printed.index("KEY=") :].replace("\\\n", " ").splitlines()
    program = shlex.split(lines[0].removeprefix("KEY=$(").removesuffix(")"))
    key = subprocess.run([sys.executable, *program[1:]], capture_output=True, text=True, check=True).stdout.strip()
    answers = []
    with httpx.Client(trust_env=False, verify=False, timeout=WAIT) as client:
        for line in lines[1:]:
            if not line.startswith("curl"):
                continue
            words = shlex.split(line.replace("$KEY", key))[1:]
            headers = [words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H"]
            body = next((words[i + 1] for i, word in enumerate(words) if word == "-d"), None)
            request = httpx.Request("POST" if body else "GET", words[-1], headers=dict(headers), content=body)
            answers.append(client.send(request))
    return answers


@pytest.mark.timeout(240)
def test_the_first_steps_work_as_pasted_nobody_sees_secrets_and_who_is_killed_comes_back(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "canary-of-the-shell")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-the-cloud")
    data = scratch / "data"
    with (
        up(data, media_secret_key="canary-of-a-setting") as (url, printed),
        httpx.Client(base_url=url, trust_env=False, verify=False, timeout=WAIT) as http,
    ):
        the_first_steps_work_as_pasted(printed)
        what_is_secret_is_shown_to_nobody_else(data, http)
        who_is_killed_comes_back(data, http, printed)


def the_first_steps_work_as_pasted(printed: str) -> None:
    created, listed, queue = pasted(printed)
    assert created.status_code == 200, created.text
    assert created.json()["state"] == "applied"
    assert [item["title"] for item in listed.json()["items"]] == ["Hello"]
    assert queue.json()["items"] == []


def what_is_secret_is_shown_to_nobody_else(data: Path, http: httpx.Client) -> None:
    keys = data / "keys.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    told = json.loads(keys.read_text())["keys"]
    assert {"author", "moderator"} <= set(told)

    operator = {"Authorization": f"Bearer {told['operator']}"}
    http.post("/v1/accounts", json={"label": "Desk"}, headers=operator).raise_for_status()
    pid = int((data / "lock").read_text())
    assert wait_until(lambda: "browser" in shown(pid), WAIT, 0.2)
    canaries = {"canary-of-the-shell": set(), "canary-of-the-cloud": {"worker"}, "canary-of-a-setting": {"worker"}}
    canaries |= {(data / "nats" / "password").read_text(): {"worker"}}
    canaries |= {secret: set() for secret in told.values()}
    told_to = {kind: "\n".join(texts) for kind, texts in shown(pid).items()}
    assert set(told_to) >= set(KINDS)
    for canary, expected in canaries.items():
        assert {kind for kind, text in told_to.items() if canary in text} == expected, canary
    assert {kind for kind, text in told_to.items() if "DRUMLINE_" in text} == {"worker"}


@pytest.mark.long
def test_external_servers_change_nothing_else_and_data_outlives_a_restart(
    scratch: Path, database_url: str, nats_url: str
) -> None:
    for expected in (1, 2):
        with up(scratch / "data", database_url=database_url, nats_url=nats_url) as (_, printed):
            _, listed, _ = pasted(printed)
            assert len(listed.json()["items"]) == expected
    assert not (scratch / "data" / "postgres").exists()
    assert not (scratch / "data" / "nats").exists()


def who_is_killed_comes_back(data: Path, http: httpx.Client, printed: str) -> None:
    """A worker and a server, also when it is killed while it starts."""
    for name in ("nats", "nats", "run/core", "run/api", "postgres", "nats"):  # the second before the first is over
        killed(data / name / "process")
    assert wait_until(lambda: ready(http), WAIT, LOOK)
    assert wait_until(lambda: applied(printed), WAIT, LOOK)


def killed(record: Path) -> None:
    """Kill a process with -9, and wait until another one was begun in its place."""
    before = record.read_text()
    os.kill(int(before.split()[0]), signal.SIGKILL)
    assert wait_until(lambda: record.read_text() != before, 20), record


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz", timeout=2).is_success
    except httpx.TransportError:
        return False


def applied(printed: str) -> bool:
    """Whether the first of the printed lines works; while a server comes back it may be told to come again."""
    try:
        state: object = pasted(printed)[0].json().get("state")
    except httpx.TransportError:
        return False
    return state == "applied"


@pytest.mark.parametrize("name", ["HTTP_PORT", pytest.param("SANDBOX_PORT", marks=pytest.mark.long)])
def test_a_taken_port_is_said_in_one_sentence(scratch: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = [*COMMAND, "up", "--data-dir", str(scratch / "data")]
        given = {"DRUMLINE_HTTP_PORT": str(free_port()), "DRUMLINE_SANDBOX_PORT": str(free_port())}
        given[f"DRUMLINE_{name}"] = str(port)
        run = subprocess.run(
            line, env={**os.environ, **given}, capture_output=True, text=True, timeout=WAIT, check=False
        )
    assert run.returncode == 2
    assert run.stderr == (f"drumline: Port {port} is in use by another program: end it, or set DRUMLINE_{name}.\n")
