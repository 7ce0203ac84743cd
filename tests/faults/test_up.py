"""`drumline up` when something breaks under it: it mends that without hands, and its API says what is the matter."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters import streams
from adapters.bus import Bus
from infra.child import wait_until
from infra.embedded import EmbeddedServers
from tests.e2e.test_up import pasted, up
from tests.faults import invariants

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

WELL = dict.fromkeys(("database", "bus", "streams", "commands", "projections", "relay", "core", "sessions"), "ok")


def health(url: str, expected: dict[str, str], seconds: float = 60.0) -> dict[str, Any]:
    return asyncio.run(invariants.i10_health_says(url, expected, seconds))


def pid_of(data: Path, name: str) -> int:
    return int((data / name / "process").read_text().split()[0])


def restarted(data: Path, name: str, former: int) -> bool:
    return wait_until(lambda: pid_of(data, name) != former, 60)


def test_a_deleted_consumer_is_made_again_and_the_core_with_it(scratch: Path) -> None:
    data = scratch / "data"
    with up(data) as (url, printed):
        health(url, WELL)
        former = pid_of(data, "run/core")
        asyncio.run(without_consumer(data))
        assert restarted(data, "run/core", former)
        health(url, WELL)
        assert pasted(printed)[0].json()["state"] == "applied"
        assert "COMMANDS, or not its consumer" in (data / "run" / "core" / "core.log").read_text()


async def without_consumer(data: Path) -> None:
    bus = await Bus.connect(EmbeddedServers(data).nats_url, "test")
    await bus.js.delete_consumer(streams.COMMANDS, streams.INTAKE)
    await bus.close()


def test_a_bus_that_lost_its_directory_is_filled_again_and_what_was_accepted_is_decided(scratch: Path) -> None:
    data = scratch / "data"
    with up(data) as (url, printed):
        assert pasted(printed)[0].json()["state"] == "applied"
        health(url, WELL)
        server = pid_of(data, "nats")
        os.kill(server, signal.SIGSTOP)  # nothing is answered from here on, and nothing restarted
        shutil.rmtree(data / "nats" / "jetstream")
        os.kill(server, signal.SIGKILL)
        given = [one for one in pasted(printed) if one.request.method == "POST"]
        assert {one.status_code for one in given} <= {200, 202}
        assert restarted(data, "nats", server)
        listed = pasted(printed)[1].request
        # First what must come, then what readiness says of it: that may be a second old, and from before the blow.
        assert wait_until(lambda: len(items(listed)) == 3, 90)
        assert wait_until(lambda: nothing_pending(url), 30)
        assert wait_until(lambda: health(url, WELL)["checks"]["relay"]["seconds"] == 0.0, 30)


def items(listed: httpx.Request) -> list[Any]:
    told: dict[str, list[Any]] = httpx.get(listed.url, headers=listed.headers, trust_env=False, timeout=10).json()
    return told["items"]


def nothing_pending(url: str) -> bool:
    told: dict[str, Any] = httpx.get(f"{url}/readyz", trust_env=False, timeout=10).json()
    return bool(told["checks"]["commands"]["seconds"] == 0.0)


def test_a_core_that_is_stopped_is_silent_and_speaks_again(scratch: Path) -> None:
    data = scratch / "data"
    with up(data) as (url, _):
        health(url, WELL)
        core = pid_of(data, "run/core")
        os.kill(core, signal.SIGSTOP)
        health(url, {"core": "silent", "sessions": "ok"})
        os.kill(core, signal.SIGCONT)
        health(url, WELL)
        assert pid_of(data, "run/core") == core
