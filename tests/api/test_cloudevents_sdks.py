"""What is really on the bus, and really heard over HTTP, is read back by the official CloudEvents SDKs."""

import asyncio
import json
from datetime import datetime
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from nats.aio.msg import Msg

from adapters import streams
from domain.message import Role
from tests.api.house import House, Tenant
from tests.api.listeners import Listener
from tests.api.test_events import listening, told
from tests.contracts.node import run

ATTRIBUTES = ("specversion", "id", "type", "source", "subject", "time")


async def on_the_bus(house: House, tenant: Tenant) -> list[dict[str, Any]]:
    """A campaign's command, event and outcome, each as a stranger's client gets it from the bus."""
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    nc, js = house.services.bus.nc, house.services.bus.js
    kept = {f"cmd.{tenant.workspace}.>": streams.COMMANDS, f"evt.{tenant.workspace}.campaign.>": streams.EVENTS}
    told = [await js.subscribe(one, cb=heard.put, stream=kept[one], ordered_consumer=True) for one in kept]
    outcomes = await nc.subscribe(f"out.{tenant.workspace}.*", cb=heard.put)
    await asyncio.to_thread(tenant.campaign)
    found: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(20):
        while found.keys() != {"cmd", "evt", "out"}:
            message = await heard.get()
            headers = {**(message.headers or {}), "content-type": "application/json"}  # NATS has no header for it
            if "campaign" in message.subject or message.subject.startswith("out."):
                found[message.subject.partition(".")[0]] = {"headers": headers, "body": message.data.decode()}
    for one in (*told, outcomes):
        await one.unsubscribe()
    return [found[prefix] for prefix in ("cmd", "evt", "out")]


@pytest.fixture
def binary(house: House, tenant: Tenant) -> list[dict[str, Any]]:
    async def there() -> list[dict[str, Any]]:
        return await on_the_bus(house, tenant)

    return house.run(there())


@pytest.fixture
async def structured(tenant: Tenant) -> list[dict[str, Any]]:
    """The same event, and others, as a listener hears them."""
    await asyncio.to_thread(tenant.account)
    one = Listener(tenant.house.url, tenant.keys[Role.AUDITOR], after="0")
    async with listening(one, "by_sse"):
        await told(one, 3)
    headers = {"content-type": "application/cloudevents+json"}
    return [{"headers": headers, "body": json.dumps(event)} for event in one.heard]


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wanted(message: dict[str, Any]) -> dict[str, Any]:
    """What a message says by itself, without an SDK."""
    body = orjson.loads(message["body"])
    if message["headers"]["content-type"] == "application/cloudevents+json":
        return {name: body[name] for name in (*ATTRIBUTES, "data")}
    return {name: message["headers"].get(f"ce-{name}") for name in ATTRIBUTES} | {"data": body}


def test_the_python_sdk_reads_them(binary: list[dict[str, Any]], structured: list[dict[str, Any]]) -> None:
    for message in [*binary, *structured]:
        given = HTTPMessage(message["headers"], message["body"].encode())
        read = from_binary if message in binary else from_structured
        event = read(given, JSONFormat())
        want = wanted(message)
        assert event.get_specversion() == "1.0"
        assert (event.get_id(), event.get_type()) == (want["id"], want["type"])
        assert (event.get_source(), event.get_subject()) == (want["source"], want["subject"])
        assert event.get_time() == time_of(want["time"])
        assert event.get_data() == want["data"]


def test_the_javascript_sdk_reads_them(binary: list[dict[str, Any]], structured: list[dict[str, Any]]) -> None:
    messages = [*binary, *structured]
    for message, event in zip(messages, run("read_cloudevents.mjs", messages), strict=True):
        want = wanted(message)
        assert {name: event.get(name) for name in ATTRIBUTES if name != "time"} == {
            name: want[name] for name in ATTRIBUTES if name != "time"
        }
        assert (
            abs(time_of(event["time"]) - time_of(want["time"])).total_seconds() < 0.001
        )  # JavaScript has milliseconds
        assert event["data"] == want["data"]


def test_a_listeners_event_is_the_one_on_the_bus(
    binary: list[dict[str, Any]], structured: list[dict[str, Any]]
) -> None:
    _, event, _ = binary
    heard = [wanted(message) for message in structured]
    assert wanted(event) in heard
