"""Health tells the truth: alive, and whether it can do its work."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast
from uuid import uuid4

import httpx
import orjson
import pytest
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import Bus
from adapters.cloudevents import Address
from adapters.inbox import Pending
from adapters.outages import OUTAGES
from api.app import create
from api.deps import Services
from api.health import SharedLook, process
from domain.campaign import CampaignArchived
from domain.message import PrincipalId, Role, StreamId, WorkspaceId
from infra.embedded import EmbeddedNats
from projections.apply import ReadModels
from tests.adapters.logs import an_item
from tests.api.house import House, Tenant, problem_in
from tests.api.test_commands import until
from workers.sweeper import Sweeper

NEW = {"title": "Hello", "parts": [{"text": "Hello"}]}


@cache
def another() -> FastAPI:
    """An application beside the house's own, on any services: making one takes half a second."""
    return create(cast("Services", None))


def ask(house: House, services: Services, path: str, key: str = "") -> httpx.Response:
    """One request to an application on other services, in the house's loop."""

    async def asked() -> httpx.Response:
        app = another()
        app.state.services, app.state.look = services, SharedLook(services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers={"Authorization": f"Bearer {key}"} if key else {})

    return house.run(asked())


def ready(house: House) -> tuple[int, dict[str, Any]]:
    response = house.readyz()
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


@contextmanager
def old_commands(house: House, *addresses: Address) -> Iterator[None]:
    """Commands over HTTP that nobody has answered or publishes."""
    seal = house.services.contents.seal
    rows = [
        Pending(key := uuid4(), uuid4(), one.workspace, one.principal, one.name, b"", seal(one.workspace, key, b"{}"))
        for one in addresses
    ]
    long_ago = "UPDATE commands SET received_at = now() - interval '40 seconds' WHERE key = ANY(%s)"

    async def accepted() -> None:
        for one in rows:
            await house.services.inbox.accept(one)

    async def changed(statement: str) -> None:
        async with house.pool.connection() as connection:
            await connection.execute(statement, [[one.key for one in rows]])

    with house.without("sweeper"):
        try:
            house.run(accepted())
            house.run(changed(long_ago))
            yield
        finally:
            house.run(changed("DELETE FROM commands WHERE key = ANY(%s)"))


@contextmanager
def another_bus(house: House, url: str, limits: streams.Limits) -> Iterator[Services]:
    """The house's services on a bus of their own, which nobody takes commands from."""
    bus = house.run(Bus.connect(url, "test"))
    try:
        house.run(streams.declare(bus.js, limits))
        yield replace(house.services, bus=bus)
    finally:
        house.run(bus.close())


def new_address() -> Address:
    return Address(WorkspaceId(f"w{uuid4().hex[:12]}"), PrincipalId(uuid4().hex[:8]), "campaign.create")


def give(house: House, services: Services, address: Address, body: bytes = b"{}") -> None:
    house.run(services.bus.command(address, uuid4(), body, datetime.now(UTC)))


def checked(house: House, services: Services, part: str) -> str:
    word: str = ask(house, services, "/readyz").json()["checks"][part]["status"]
    return word


FEW = streams.Limits(commands_waiting=2)


def test_commands_of_a_key_that_fills_its_subject_make_nobody_else_unready(house: House, nats_url: str) -> None:
    key, other = new_address(), new_address()
    with another_bus(house, nats_url, FEW) as services:
        sweeper = Sweeper(services.bus, services.inbox, services.contents, services.clock, 0.0)
        with old_commands(house, key):
            assert checked(house, services, "commands") == "behind"
            for _ in range(2):
                give(house, services, key)
            house.run(sweeper.sweep())  # finds no room
            assert checked(house, services, "commands") == "ok"
            later = replace(services, clock=lambda: datetime.now(UTC) + timedelta(minutes=1))
            assert checked(house, later, "commands") == "behind"  # what it has on the bus is not taken, either
            house.run(services.bus.js.purge_stream(streams.COMMANDS))
            assert checked(house, services, "commands") == "ok"  # until the next sweep
        with old_commands(house, key, other):
            house.run(services.inbox.no_room(key))
            assert checked(house, services, "commands") == "behind"


def test_what_waits_for_room_since_it_was_given_makes_nobody_unready(house: House, nats_url: str) -> None:
    tenant = house.tenant()
    with another_bus(house, nats_url, FEW) as services, house.without("sweeper"):
        app = another()
        app.state.services = services

        async def given() -> list[int]:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
                return [(await client.post("/v1/campaigns", json=NEW)).status_code for _ in range(3)]

        key = tenant.keys[Role.AUTHOR]
        assert house.run(given()) == [202] * 3
        waiting, without_room = house.run(services.inbox.oldest_pending())
        assert waiting is None
        assert without_room is not None


def test_a_bus_that_takes_no_commands_at_all_makes_it_unready(house: House, nats_url: str) -> None:
    limits = streams.Limits(commands_waiting=2, commands_bytes=10_000)
    with another_bus(house, nats_url, limits) as services:
        key = new_address()
        for _ in range(2):
            give(house, services, new_address(), b"x" * 3_000)
        with pytest.raises(OUTAGES):
            give(house, services, key, b"x" * 3_000)
        with old_commands(house, key):
            assert checked(house, services, "commands") == "behind"


def test_commands_without_a_stream_are_behind(house: House, nats_url: str) -> None:
    with another_bus(house, nats_url, FEW) as services, old_commands(house, new_address()):
        house.run(services.bus.js.delete_stream(streams.COMMANDS))
        assert checked(house, services, "commands") == "behind"
        assert checked(house, services, "streams") == "missing"


def test_commands_left_closed_are_told(house: House, nats_url: str) -> None:
    with another_bus(house, nats_url, FEW) as services:
        (config,) = [one for one in streams.streams(FEW) if one.name == streams.COMMANDS]
        house.run(services.bus.js.update_stream(replace(config, max_msgs=streams.CLOSED)))
        response = ask(house, services, "/readyz")
        assert response.status_code == 503
        assert response.json()["checks"]["streams"] == {"status": "closed", "seconds": None, "names": ["COMMANDS"]}


def test_who_ask_together_and_again_within_a_second_share_one_look(house: House) -> None:
    looks = 0

    class Counting:
        async def position(self) -> int:
            nonlocal looks
            looks += 1
            return await house.services.models.position()

    async def asked() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create(replace(house.services, models=Counting())))  # type: ignore[arg-type]  # it counts
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            together = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
            hasty = asyncio.ensure_future(client.get("/readyz"))
            again = await client.get("/readyz")
            hasty.cancel()
            return [*together, again]

    answers = house.run(asked())
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert looks == 1


def test_a_database_that_is_away_is_told(house: House) -> None:
    closed = AsyncConnectionPool("", open=False)
    response = ask(house, replace(house.services, models=ReadModels(closed)), "/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["projections"] == {"status": "away", "seconds": None, "names": []}


def test_events_that_are_not_relayed_are_told(house: House) -> None:
    # Or a young event is the first that waits.
    until(lambda: ready(house)[1]["checks"]["relay"]["seconds"] in (None, 0.0))
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
