"""What happens is told to whoever listens: in order, whole, of their own workspace, and to their roles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from adapters.runtime.quotas import Bounds
from api import events as module
from domain import catalog, hearing
from domain.message import Actor, PrincipalId, Refused, Role, WorkspaceId
from tests.api.house import House, Tenant
from tests.api.listeners import Listener, blocks
from tests.waiting import until

WAYS = pytest.mark.parametrize("way", ["by_sse", "by_websocket"])


@pytest.fixture(scope="module")
def somebody(house: House) -> Tenant:
    """A workspace for those who are refused."""
    return house.tenant()


def listener(tenant: Tenant, role: Role = Role.AUDITOR, **options: Any) -> Listener:
    return Listener(tenant.house.url, tenant.keys[role], **options)


@asynccontextmanager
async def listening(one: Listener, way: str) -> AsyncIterator[None]:
    """Let somebody listen meanwhile; returns when they do."""
    task = asyncio.create_task(getattr(one, way)())
    try:
        await until(lambda: one.place is not None or task.done())
        if task.done():
            task.result()
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ConnectionClosed, httpx.TransportError):
            await task


async def told(one: Listener, count: int, seconds: float = 30.0) -> list[str]:
    await until(lambda: len(one.heard) >= count, seconds)
    return [event["type"].removeprefix("drumline.") for event in one.heard]


async def work(act: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """A blocking request of a tenant, beside the listeners."""
    return await asyncio.to_thread(act, *given, **named)


@WAYS
async def test_what_happens_is_heard_as_cloudevents(tenant: Tenant, way: str) -> None:
    one = listener(tenant)
    async with listening(one, way):
        campaign = await work(tenant.campaign)
        assert await told(one, 1) == ["campaign.created"]
    (event,) = one.heard
    assert event.keys() >= {"specversion", "id", "type", "source", "subject", "time", "data", "position"}
    assert (event["specversion"], event["source"]) == ("1.0", f"/drumline/{tenant.workspace}")
    assert (event["subject"], event["datacontenttype"]) == (f"campaign-{campaign}", "application/json")
    assert event["data"].keys() == {"title", "parts", "audience_id", "template"}
    assert event["position"] == one.place


@WAYS
async def test_from_the_begin_of_the_log_only_ones_own_workspace_is_heard(
    house: House, tenant: Tenant, way: str
) -> None:
    await work(house.tenant().campaign)
    await work(tenant.campaign)
    one = listener(tenant, after="0")
    async with listening(one, way):
        assert await told(one, 2) == ["workspace.created", "campaign.created"]
        await work(house.tenant().campaign)
        await work(tenant.campaign)
        assert await told(one, 3) == ["workspace.created", "campaign.created", "campaign.created"]
    assert {event["source"] for event in one.heard} == {f"/drumline/{tenant.workspace}"}


@WAYS
async def test_who_was_cut_off_before_the_first_event_misses_nothing(tenant: Tenant, way: str) -> None:
    one = listener(tenant)
    async with listening(one, way):
        pass
    await work(tenant.campaign)
    async with listening(one, way):
        assert await told(one, 1) == ["campaign.created"]


@WAYS
async def test_who_has_caught_up_is_told_so(house: House, tenant: Tenant, way: str) -> None:
    head = await asyncio.to_thread(house.run, house.services.store.head())
    await work(house.tenant().campaign)  # another's events are the last ones in the log
    one = listener(tenant, after="0", topics="account")
    async with listening(one, way):
        await until(lambda: int(one.place or 0) > head)
    assert one.heard == []


@WAYS
async def test_one_connection_carries_many_topics(tenant: Tenant, way: str) -> None:
    campaign = await work(tenant.campaign)
    one = listener(tenant, after="0", topics=f"campaign-{campaign}, account.registered,workspace")
    async with listening(one, way):
        await work(tenant.campaign)
        await work(tenant.account)
        await work(tenant.ok, "POST", f"/v1/campaigns/{campaign}/archive")
        heard = await told(one, 4)
    assert heard == ["workspace.created", "campaign.created", "account.registered", "campaign.archived"]


async def test_a_header_outweighs_the_query_as_a_browser_that_comes_again_needs(tenant: Tenant) -> None:
    await work(tenant.campaign)
    one = listener(tenant, after="0", topics="campaign")
    async with listening(one, "by_sse"):
        await told(one, 1)
    async with listening(one, "by_sse"):  # the same address, with the place
        await work(tenant.campaign)
        await told(one, 2)
    assert len(set(one.ids)) == 2


@WAYS
async def test_who_hears_nothing_is_told_how_far_the_log_is(
    tenant: Tenant, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.1)
    one = listener(tenant, topics="account")
    async with listening(one, way):
        begun = one.place
        await work(tenant.campaign)
        await until(lambda: one.place != begun)
    assert one.heard == []


async def test_a_role_hears_what_it_works_with(tenant: Tenant) -> None:
    await work(tenant.campaign)
    await work(tenant.account)
    await work(tenant.ok, "PUT", "/v1/workspace/sending-policy", {"messages": 2, "seconds": 5}, role=Role.ADMIN)
    for role in set(Role) - {Role.SYSTEM}:
        one = listener(tenant, role, after="0")
        async with listening(one, "by_sse"):
            await until(lambda one=one: any("sending-policy-set" in event["type"] for event in one.heard))  # type: ignore[misc]  # bound at once
        heard = {event["type"].split(".")[1] for event in one.heard}
        assert heard == {"workspace", "campaign", "account"} & hearing.HEARS[role]


def test_every_aggregate_is_heard_by_somebody_and_every_role_hears_something() -> None:
    assert hearing.HEARS.keys() == set(Role)
    assert set().union(*hearing.HEARS.values()) == set(catalog.DECIDERS)
    for aggregate in catalog.DECIDERS:
        assert {Role.ADMIN, Role.AUDITOR} <= set(hearing.who_hears(aggregate))
    for command in catalog.COMMANDS.values():  # who may ask for something hears what comes of it
        assert all(command.aggregate in hearing.HEARS[role] for role in command.roles), command.name


@pytest.mark.parametrize(
    ("topics", "rule", "field"),
    [
        ("jobs", "unknown_topic", "topics.0"),
        ("job,job.approve", "unknown_topic", "topics.1"),
        ("job,,campaign", "unknown_topic", "topics.1"),
        ("job-7", "unknown_topic", "topics.0"),
        ("job-5F0C8A3E-9A44-5B0E-8A55-0D6B1C1F2A77", "unknown_topic", "topics.0"),
        ("workspace-elsewhere", "unknown_topic", "topics.0"),
        ("account", "role_required", "topics.0"),
        ("job,account.ready", "role_required", "topics.1"),
        ("account-5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77", "role_required", "topics.0"),
        (",".join(["job"] * 101), "too_many", "topics"),
    ],
)
@WAYS
async def test_a_wrong_topic_is_refused_by_its_number_and_rule(
    somebody: Tenant, way: str, topics: str, rule: str, field: str
) -> None:
    problem = await refusal(listener(somebody, Role.AUTHOR, topics=topics), way)
    assert (problem["rule"], problem["field"]) == (rule, field)
    assert problem["status"] == (403 if rule == "role_required" else 422)


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        ("", "bad_position"),
        ("-1", "bad_position"),
        ("now", "bad_position"),
        ("1.5", "bad_position"),
        ("٣", "bad_position"),
        ("9" * 40, "bad_position"),
        (str(2**62), "ahead_of_log"),
    ],
)
@WAYS
async def test_a_wrong_position_is_refused(somebody: Tenant, way: str, after: str, rule: str) -> None:
    one = listener(somebody, after=after)
    problem = await refusal(one, way)
    assert (problem["status"], problem["rule"], problem["field"]) == (422, rule, "after")
    if way == "by_sse" and after.isascii() and after:
        one.place, one.query = after, {}
        assert (await refusal(one, way))["field"] == "Last-Event-ID"


@WAYS
async def test_without_a_key_nothing_is_heard(house: House, way: str) -> None:
    problem = await refusal(Listener(house.url, "drl_live_nobody"), way)
    assert (problem["status"], problem["rule"]) == (401, "unauthenticated")


async def refusal(one: Listener, way: str) -> Any:
    """The problem document a listener gets, whichever way it comes."""
    if way == "by_sse":
        async with one.answer() as answer:
            await answer.aread()
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.status_code == answer.json()["status"]
            return answer.json()
    with pytest.raises(InvalidStatus) as refused:
        await one.by_websocket()
    response = httpx.Response(refused.value.response.status_code, content=bytes(refused.value.response.body or b""))
    assert response.status_code == response.json()["status"]
    return response.json()


@WAYS
async def test_a_key_that_ends_ends_its_streams(
    house: House, tenant: Tenant, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK", 0.1)
    one = listener(tenant, Role.OPERATOR)
    other = listener(tenant)
    async with listening(other, way):
        task = asyncio.create_task(getattr(one, way)())
        await until(lambda: one.place is not None)
        key = PrincipalId(tenant.keys[Role.OPERATOR][9:17])
        await work(house.run, house.services.keys.revoke(tenant.workspace, key))
        async with asyncio.timeout(30):
            if way == "by_sse":
                await task
            else:
                with pytest.raises(ConnectionClosed) as closed:
                    await task
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == module.REVOKED
        await work(tenant.campaign)
        await told(other, 1)
    assert (await refusal(one, way))["rule"] == "unauthenticated"


@WAYS
async def test_a_key_has_room_for_some_streams_and_a_place_left_is_free_again(
    house: House, tenant: Tenant, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = house.services.feed
    monkeypatch.setattr(house.services.quotas.streams, "bounds", Bounds(key=2, workspace=100, all=500))
    first, second, third = (listener(tenant) for _ in range(3))
    async with listening(first, way):
        async with listening(second, way):
            problem = await refusal(third, way)
            assert (problem["status"], problem["rule"], problem["params"]) == (429, "too_many_streams", {"maximum": 2})
            async with listening(listener(tenant, Role.AUTHOR), way):  # another key's are its own
                full = Bounds(key=2, workspace=100, all=feed.listeners)
                monkeypatch.setattr(house.services.quotas.streams, "bounds", full)
                problem = await refusal(listener(tenant, Role.ADMIN), way)
                assert (problem["status"], problem["rule"]) == (503, "no_room")
        await until(lambda: feed.listeners == 1)
        async with listening(third, way):
            await work(tenant.campaign)
            await told(third, 1)
    await until(lambda: feed.listeners == 0)


async def test_who_was_refused_took_no_place(house: House, tenant: Tenant) -> None:
    for _ in range(3):
        await refusal(listener(tenant, topics="nonsense"), "by_sse")
        await refusal(listener(tenant, after="-1"), "by_websocket")
    await until(lambda: house.services.feed.listeners == 0)


@WAYS
async def test_a_server_that_is_away_for_a_moment_costs_a_listener_nothing(
    house: House, tenant: Tenant, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail, left = house.services.store.tail, [2]

    async def flickers(after: int, limit: int) -> Any:
        if left[0]:
            left[0] -= 1
            raise ConnectionError
        return await tail(after, limit)

    monkeypatch.setattr(module, "RETRY", 0.01)
    one = listener(tenant)
    async with listening(one, way):
        monkeypatch.setattr(house.services.store, "tail", flickers)
        await work(tenant.campaign)
        await told(one, 1)
    assert left == [0]


async def test_a_stream_tells_a_browser_when_to_come_again_and_nobody_to_keep_it(tenant: Tenant) -> None:
    async with listener(tenant).answer() as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        first = await anext(blocks(answer))
    assert first["retry"] == "1000"
    assert first["id"].isdigit()
    assert "data" not in first


def test_a_role_that_hears_less_is_told_who_hears_it() -> None:
    moderator = Actor(PrincipalId("m"), WorkspaceId("here"), frozenset({Role.MODERATOR}))
    with pytest.raises(Refused) as refused:
        hearing.topics(moderator, ["job", "delivery"])
    assert (refused.value.field, refused.value.rule) == ("topics.1", "role_required")
    assert refused.value.detail == {"role": "admin or auditor or author or operator or service"}
