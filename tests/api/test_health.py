"""Health tells the truth: alive, and whether it can do its work."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import Bus
from adapters.inbox import Pending
from api.app import create
from api.deps import Services
from api.health import process
from domain.campaign import CampaignArchived
from domain.message import PrincipalId, Role, StreamId
from infra.embedded import EmbeddedNats
from projections.apply import ReadModels
from tests.adapters.logs import an_item
from tests.api.house import House, Tenant, problem_in
from tests.api.test_commands import until

NEW = {"title": "Hello", "parts": [{"text": "Hello"}]}


def ask(house: House, services: Services, path: str, key: str = "") -> httpx.Response:
    """One request to an application on other services, in the house's loop."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(create(services), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers={"Authorization": f"Bearer {key}"} if key else {})

    return house.run(asked())


def ready(house: House) -> tuple[int, dict[str, Any]]:
    response = house.http.get(f"{house.url}/readyz")
    return response.status_code, response.json()


def test_it_lives_and_is_ready(house: House) -> None:
    assert house.http.get(f"{house.url}/healthz").json() == {"status": "ok"}
    until(lambda: ready(house)[1]["checks"]["projections"]["seconds"] == 0.0)
    status, told = ready(house)
    assert (status, told["status"]) == (200, "ok")
    words = {name: check["status"] for name, check in told["checks"].items()}
    assert {words.pop(role) for role in ("core", "sessions", "imports")} == {"silent"}  # here they are no processes
    assert words == dict.fromkeys(("database", "bus", "streams", "commands", "projections", "relay", "disk"), "ok")


def test_read_models_that_are_behind_are_told(house: House) -> None:
    without: Callable[[str], AbstractContextManager[None]] = house.without
    until(
        lambda: ready(house)[1]["checks"]["projections"]["seconds"] == 0.0
    )  # or a young event is the first that waits
    with without("projector"):
        old = datetime.now(UTC) - timedelta(minutes=10)
        item = an_item(StreamId(f"campaign-{uuid4()}"), CampaignArchived(), now=old)
        house.run(house.services.store.append([item]))
        status, told = ready(house)
        assert (status, told["status"], told["checks"]["database"]["status"]) == (503, "unready", "ok")
        assert told["checks"]["projections"]["status"] == "behind"
        assert 590 < told["checks"]["projections"]["seconds"] < 700
    until(lambda: ready(house)[0] == 200)


def test_commands_of_a_key_that_fills_the_bus_make_nobody_else_unready(house: House) -> None:
    tenant = house.tenant()
    key, other = (PrincipalId(tenant.keys[role][9:17]) for role in (Role.AUTHOR, Role.ADMIN))
    rows = [
        Pending(uuid4(), uuid4(), tenant.workspace, principal, "campaign.create", b"", b"")
        for principal in (key, other)
    ]
    long_ago = "UPDATE commands SET received_at = now() - interval '40 seconds' WHERE key = ANY(%s)"

    async def accepted(*those: Pending) -> None:
        for one in those:
            await house.services.inbox.accept(one)
        async with house.pool.connection() as connection:
            await connection.execute(long_ago, [[one.key for one in those]])

    async def forgotten() -> None:
        async with house.pool.connection() as connection:
            await connection.execute("DELETE FROM commands WHERE key = ANY(%s)", [[one.key for one in rows]])

    with house.without("sweeper"):
        try:
            house.run(accepted(rows[0]))
            assert ready(house)[1]["checks"]["commands"]["status"] == "behind"
            house.services.full[key] = monotonic()
            assert ready(house)[1]["checks"]["commands"]["status"] == "ok"
            house.run(accepted(rows[1]))
            assert ready(house)[1]["checks"]["commands"]["status"] == "behind"
        finally:
            house.services.full.clear()
            house.run(forgotten())


def test_a_database_that_is_away_is_told(house: House) -> None:
    closed = AsyncConnectionPool("", open=False)
    response = ask(house, replace(house.services, models=ReadModels(closed)), "/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["projections"] == {"status": "away", "seconds": None, "names": []}


def test_events_that_are_not_relayed_are_told(house: House) -> None:
    until(lambda: ready(house)[1]["checks"]["relay"]["seconds"] == 0.0)  # or a young event is the first that waits
    with house.without("relay"):
        old = datetime.now(UTC) - timedelta(minutes=10)
        item = an_item(StreamId(f"campaign-{uuid4()}"), CampaignArchived(), now=old)
        house.run(house.services.store.append([item]))
        until(lambda: ready(house)[1]["checks"]["projections"]["status"] == "ok")
        status, told = ready(house)
        assert (status, told["checks"]["relay"]["status"]) == (503, "behind")
        assert told["checks"]["relay"]["seconds"] > 590
    until(lambda: ready(house)[0] == 200)


def test_a_bus_that_was_killed_is_away_though_its_client_waits_for_it(house: House, nats_server: EmbeddedNats) -> None:
    bus = house.run(Bus.connect(nats_server.url, "test"))
    try:
        checks = ask(house, replace(house.services, bus=bus), "/readyz").json()["checks"]
        assert checks["bus"]["status"] == "ok"
        nats_server.kill()
        until(lambda: not bus.nc.is_connected)
        response = ask(house, replace(house.services, bus=bus), "/readyz")
        assert (response.status_code, response.json()["checks"]["bus"]["status"]) == (503, "away")
    finally:
        house.run(bus.close())


def test_a_missing_stream_is_named(house: House) -> None:
    with house.without("intake"):
        house.run(house.services.bus.js.delete_consumer(streams.COMMANDS, streams.INTAKE))
        status, told = ready(house)
        assert (status, told["checks"]["streams"]) == (
            503,
            {"status": "missing", "seconds": None, "names": ["COMMANDS"]},
        )
        house.run(streams.declare(house.services.bus.js))
    until(lambda: ready(house)[0] == 200)


def test_commands_that_nobody_answers_are_told(house: House, tenant: Tenant) -> None:
    later = replace(house.services, clock=lambda: datetime.now(UTC) + timedelta(minutes=10))
    with house.without("intake"):
        accepted = house.http.post(
            f"{house.url}/v1/campaigns", json=NEW, headers={"Authorization": f"Bearer {tenant.keys[Role.AUTHOR]}"}
        )
        assert accepted.status_code == 202
        checks = ask(house, later, "/readyz").json()["checks"]
        assert checks["commands"]["status"] == "behind"
        assert checks["commands"]["seconds"] > 590
    until(lambda: ready(house)[0] == 200)


@pytest.mark.parametrize(("age", "word"), [(1.0, "ok"), (45.0, "stalled")])
def test_a_process_tells_of_its_loops(house: House, age: float, word: str) -> None:
    async def told(_asked: bytes) -> bytes:
        return orjson.dumps({"relay": age, "intake": 0.1})

    async def asked() -> dict[str, Any]:
        stop = await house.services.bus.serve("ctl.beats.core", told)
        try:
            return (await process(house.services, "core")).model_dump()
        finally:
            await stop()

    names = ["relay"] if word == "stalled" else []
    assert house.run(asked()) == {"status": word, "seconds": age, "names": names}


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_a_balancer_may_ask_for_the_head_alone(house: House, path: str) -> None:
    head, whole = house.http.head(house.url + path), house.http.get(house.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"] == "application/json"


def test_the_root_says_where_to_look(house: House) -> None:
    told = house.http.get(house.url + "/").json()
    assert told["name"] == "drumline"
    for name in ("docs", "openapi", "ready"):
        assert house.http.get(house.url + told[name]).status_code == 200


def test_a_request_while_the_database_is_away_is_told_to_come_again(house: House, tenant: Tenant) -> None:
    closed = AsyncConnectionPool("", open=False)
    services = replace(house.services, models=ReadModels(closed))
    response = ask(house, services, "/v1/campaigns", tenant.keys[Role.AUTHOR])
    assert problem_in(response)["rule"] == "unavailable"
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


def test_a_mistake_of_ours_is_a_problem_without_particulars(house: House, tenant: Tenant) -> None:
    class Broken:
        async def by_command(self, *_asked: object) -> None:
            raise RuntimeError("secret particulars")

    services = replace(house.services, inbox=Broken())  # type: ignore[arg-type]  # broken on purpose
    response = ask(house, services, f"/v1/commands/{uuid4()}", tenant.keys[Role.AUTHOR])
    assert problem_in(response)["rule"] == "internal_error"
    assert "particulars" not in response.text


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v2/campaigns", "/docs/static/../../pyproject.toml"])
def test_nothing_is_a_problem_too(house: House, path: str) -> None:
    assert problem_in(house.http.get(house.url + path))["rule"] == "no_such_route"
