"""A client of plain nats-py, as a customer would write it, against the processes of `up`."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import bcrypt
import httpx
import nats
import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.keys import Keys
from domain.message import Role, WorkspaceId
from infra import deploy
from infra.embedded import EmbeddedNats, EmbeddedServers
from infra.embedded_nats import NatsUser
from infra.ports import free_port
from infra.settings import Settings, read
from infra.supervisor import Supervisor

EXAMPLE = Path(__file__).parents[2] / "examples" / "create_campaign.py"
WINDOW = 0.5  # seconds in which the broker itself drops a repeated id
SHOP = WorkspaceId("shop")


@contextmanager
def servers_on(data_dir: Path) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(data_dir) as servers:
        yield servers


@dataclass(frozen=True)
class House:
    """Servers, core and API on a directory of their own, and an author's key."""

    settings: Settings
    nats: str
    key: str

    async def example(self, *arguments: str, key: str = "") -> dict[str, Any]:
        """What the example prints."""
        line = [sys.executable, str(EXAMPLE), f"nats://{self.nats}", key or self.key, SHOP, *arguments]
        process = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        printed: dict[str, Any] = json.loads(out)
        return printed


@pytest.fixture
async def house(scratch: Path) -> Any:
    settings = read(data_dir=scratch, http_port=free_port(), duplicate_window=WINDOW)
    workers = Supervisor(scratch / "run", lambda name, words: pytest.fail(f"{name} ended: {words}"))
    with servers_on(scratch) as servers:
        try:
            await deploy.prepare(settings)
            async with AsyncConnectionPool(
                servers.database_url, min_size=1, open=False, kwargs={"autocommit": True}
            ) as pool:
                keys = Keys(pool, settings.pepper())
                author = await keys.create(SHOP, [Role.AUTHOR, Role.ADMIN])
            await deploy.reload_users(settings, servers)
            for role in ("core", "api"):
                workers.add(role, "-m", "infra.cli", "work", role, environment=settings.environment())
            await workers.start()
            made = House(settings, servers.nats_url.rpartition("@")[2], author.secret)
            await create_workspace(made)
            yield made
        finally:
            await workers.stop()


async def create_workspace(house: House) -> None:
    """As soon as the API answers."""
    headers = {"Authorization": f"Bearer {house.key}", "Prefer": "wait=10"}
    async with httpx.AsyncClient(base_url=house.settings.api_url, trust_env=False, timeout=30) as http:
        async with asyncio.timeout(30):
            while True:
                try:
                    answer = await http.post("/v1/workspace", headers=headers)
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status_code == 200, answer.text
                return


async def campaigns(house: House) -> list[str]:
    """The ids that `GET /v1/campaigns` lists."""
    headers = {"Authorization": f"Bearer {house.key}"}
    async with httpx.AsyncClient(base_url=house.settings.api_url, trust_env=False) as http:
        answer = await http.get("/v1/campaigns", headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_a_client_of_ten_lines_creates_a_campaign_and_is_told(house: House) -> None:
    command_id = str(uuid4())
    created = await house.example("Spring", command_id)
    told = time.monotonic()
    assert (created["state"], created["stream"], created["repeated"]) == ("applied", f"campaign-{command_id}", False)
    while command_id not in await campaigns(house):
        assert time.monotonic() < told + 1.0

    refused = await house.example("x" * 201)
    assert (refused["state"], refused["rule"], refused["field"]) == ("refused", "string_too_long", "title")
    assert refused["detail"] == {"maximum": 200}

    await window_over()
    again = await house.example("Spring", command_id)
    assert again == {**created, "repeated": True}

    await window_over()
    other = await house.example("Summer", command_id)
    assert (other["state"], other["rule"], other["field"]) == ("refused", "id_reused", "command_id")
    assert (await campaigns(house)).count(command_id) == 1


async def test_it_passes_over_what_others_have_the_server_send_to_its_inbox(nats_server: EmbeddedNats) -> None:
    """An acknowledgement, an outcome of another command, and what nobody would expect."""
    hashed = bcrypt.hashpw(b"drl_live_abcdefgh", bcrypt.gensalt(4)).decode()
    nats_server.reload_users(
        [NatsUser("abcdefgh", hashed, ["cmd.shop.abcdefgh.>", "$JS.API.INFO"], ["_INBOX.abcdefgh.>"])]
    )
    core = await nats.connect(nats_server.url)
    await core.jetstream().add_stream(name="COMMANDS", subjects=["cmd.>"])
    commands = await core.subscribe("cmd.>")
    await core.flush()
    line = [sys.executable, str(EXAMPLE), f"nats://127.0.0.1:{nats_server.port}", "drl_live_abcdefgh", SHOP]
    process = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE)
    command = await commands.next_msg(timeout=30)
    assert command.headers is not None
    inbox, own = command.headers["Drl-Reply-To"], {"command_id": command.headers["ce-id"], "state": "applied"}
    others = [{"stream": "COMMANDS", "seq": 7}, {"command_id": str(uuid4())}, ["command_id"], 7, None]
    for said in (*map(json.dumps, others), "\xff", "[" * 10_000, json.dumps(own)):
        await core.publish(inbox, said.encode("latin-1"))
    printed, _ = await process.communicate()
    assert json.loads(printed) == own
    await core.close()


def test_a_server_that_is_away_is_told_soon_in_one_line() -> None:
    line = [sys.executable, str(EXAMPLE), f"nats://127.0.0.1:{free_port()}", "drl_live_abcdefgh"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)  # it tried for two minutes
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "is the address right" in done.stderr


async def window_over() -> None:
    """The broker has no sign for the end of its window, so here it is the time itself that is waited for."""
    await asyncio.sleep(2 * WINDOW + 0.2)
