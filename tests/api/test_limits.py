"""What one key or workspace holds at once is bounded, and is free again once it lets go."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from adapters.metrics import REGISTRY
from adapters.runtime import quotas
from adapters.runtime.quotas import Bounds, Quota
from api import middleware
from domain.message import Role
from infra.connections import Limits
from infra.serving import configured
from projections.apply import ReadModels
from tests.adapters.files import TEXT
from tests.api.house import QUOTA, House, Server, Tenant, free_port
from tests.waiting import until

UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
JSON = {"Content-Type": "application/json"}


@contextmanager
def begun(tenant: Tenant, line: str, size: int, role: Role = Role.AUTHOR) -> Iterator[None]:
    """A request whose body does not come."""
    address = urlsplit(tenant.house.url)
    assert address.hostname is not None
    assert address.port is not None
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.keys[role]}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n{{".encode())
        yield


def wait(tenant: Tenant, condition: Callable[[], bool]) -> None:
    tenant.house.run(until(condition))


@pytest.mark.parametrize(
    ("quota", "line", "rule"),
    [
        ("bodies", "POST /v1/search", "too_many_bodies"),
        ("uploads", "POST /v1/media", "too_many_uploads"),
        ("requests", "POST /v1/search", "too_many_requests"),
    ],
)
def test_a_key_and_a_workspace_hold_only_so_many(
    house: House, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, quota: str, line: str, rule: str
) -> None:
    counted: Quota = getattr(house.services.quotas, quota)
    wait(tenant, lambda: counted.held == 0)
    monkeypatch.setattr(counted, "bounds", Bounds(key=2, workspace=3, all=4))
    method, path = line.split()

    def asked(who: Tenant, role: Role) -> tuple[int, str]:
        answer = who.ask(method, path, role=role, content=b"x", headers=JSON)
        return answer.status_code, answer.json().get("rule", "")

    other = house.tenant(created=False)
    with ExitStack() as stack:
        for held, role in enumerate((Role.AUTHOR, Role.AUTHOR, Role.ADMIN), start=1):
            stack.enter_context(begun(tenant, line, 100, role))
            wait(tenant, lambda held=held: counted.held == held)  # type: ignore[misc]  # a default binds it
        assert asked(tenant, Role.AUTHOR) == (429, rule)
        assert asked(tenant, Role.SERVICE) == (429, rule)
        assert asked(other, Role.AUTHOR)[0] < 429
        stack.enter_context(begun(other, line, 100))
        wait(tenant, lambda: counted.held == 4)
        assert asked(house.tenant(created=False), Role.AUTHOR) == (503, "no_room")
    wait(tenant, lambda: counted.held == 0)


@pytest.mark.parametrize("more", ["", UPGRADE])
def test_who_waits_for_a_refusal_makes_room_for_others(
    house: House, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.setattr(house.services.quotas.streams, "bounds", Bounds(key=2, workspace=2, all=10))
    monkeypatch.setattr(quotas, "REFUSALS", 1 / 600)
    monkeypatch.setattr(quotas, "LATEST", 600.0)
    requests = house.services.quotas.requests
    head = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.keys[Role.AUTHOR]}\r\n"
    listen, refused_later = f"{head}\r\n".encode(), f"{head}{more}\r\n".encode()
    other = {"Authorization": f"Bearer {house.tenant(created=False).keys[Role.AUTHOR]}", "Connection": "close"}

    async def held() -> None:
        before, refusals, (port, listening) = requests.held, refused("streams"), free_port()
        server = Server(configured(house.app, Limits(20, 12), log_level="critical"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.up.wait()
        ends = []
        try:
            for status in (b"200", b"200", b"429"):
                ends.append(await asyncio.open_connection("127.0.0.1", port))
                ends[-1][1].write(listen)
                assert status in await ends[-1][0].readline()
            ends[-1][1].write(listen)  # whoever was refused at once waits for the next
            for _ in range(9):
                ends.append(await asyncio.open_connection("127.0.0.1", port))
                ends[-1][1].write(refused_later)
            await until(lambda: refused("streams") == refusals + 11)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=other) as client:
                for _ in range(3):
                    assert (await client.get("/v1/jobs")).status_code == 200
        finally:
            for _, writer in ends:
                writer.close()
            await until(lambda: requests.held == before)  # nobody waits to refuse who has left
            server.should_exit = True
            await serving

    house.run(held())


def refused(quota: str) -> float:
    """How often a key was refused as one that holds too much."""
    return REGISTRY.get_sample_value("drumline_quota_refusals_total", {"quota": quota, "of": "key"}) or 0.0


def test_room_for_a_file_is_kept_before_its_bytes_and_freed_when_they_do_not_come(house: House, tenant: Tenant) -> None:
    async def kept() -> int:
        question = "SELECT count(*) FROM media_uploads WHERE workspace = %s AND size = 10000000"
        async with house.pool.connection() as connection:
            row = await (await connection.execute(question, [tenant.workspace])).fetchone()
        return int(row[0]) if row else 0

    async def comes_to(uploads: int) -> bool:
        return await kept() == uploads

    with ExitStack() as stack:
        for _ in range(QUOTA // 10_000_000):
            stack.enter_context(begun(tenant, "POST /v1/media", 10_000_000))
        house.run(until(lambda: comes_to(4)))
        assert tenant.problem("POST", "/v1/media", content=TEXT)["rule"] == "quota_reached"
    house.run(until(lambda: comes_to(0)))
    assert tenant.ask("POST", "/v1/media", content=TEXT).status_code == 201


def test_whoever_waits_for_a_server_that_hangs_is_told_so(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_models: ReadModels) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(middleware, "LONGEST_ANSWER", 0.2)
    monkeypatch.setattr(ReadModels, "position", hangs)
    headers = {"Prefer": "wait=5"}
    answer = tenant.ask("POST", "/v1/campaigns", json={"title": "a", "parts": [{"text": "b"}]}, headers=headers)
    assert (answer.status_code, answer.json()["rule"]) == (503, "unavailable")
