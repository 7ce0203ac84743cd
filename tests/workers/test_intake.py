"""Commands from the bus: decided once, answered to their sender, whatever is delivered how often."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid4

import orjson
import pytest
from nats.aio.msg import Msg

from adapters import streams, wire
from adapters.bus import Message
from adapters.cloudevents import Address, command_headers
from adapters.inbox import Pending
from domain.campaign import CampaignCreated
from domain.content import words
from domain.message import Role
from tests.workers.core import HERE, Client, Core, campaign, clock, drained, until
from workers.requests import command_key


async def test_a_command_is_applied_and_its_outcome_comes_to_the_inbox(house: Core, author: Client) -> None:
    body = campaign()
    async with house.running(house.intake().run):
        command_id = await author.give("campaign.create", body)
        outcome = await author.outcome()
    assert outcome["command_id"] == str(command_id)
    assert (outcome["state"], outcome["stream"], outcome["version"]) == (
        "applied",
        f"campaign-{body['campaign_id']}",
        1,
    )
    row = await house.row(author.actor, command_id)
    assert (row.state, row.position, row.digest) == (
        "applied",
        outcome["position"],
        wire.digest("campaign.create", orjson.dumps(body)),
    )


async def test_an_outcome_is_a_cloudevent_and_also_goes_to_the_principals_own_subject(
    house: Core, author: Client
) -> None:
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    await house.bus.nc.subscribe(f"out.{HERE}.{author.actor.id}", cb=heard.put)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with house.running(house.intake().run):
        command_id = await author.give("campaign.create", campaign(), headers={"traceparent": trace})
        async with asyncio.timeout(30):
            message = await heard.get()
    assert message.headers is not None
    assert message.headers["ce-type"] == "drumline.outcome.applied"
    assert message.headers["ce-id"] == f"{command_id}-outcome"
    assert message.headers["traceparent"] == trace


async def test_a_text_is_sealed_and_the_event_has_its_reference(house: Core, author: Client) -> None:
    async with house.running(house.intake().run):
        await author.ask("campaign.create", campaign("Dear {{name}}"))
    created = (await house.events())[-1]
    assert isinstance(created, CampaignCreated)
    [part] = created.parts
    [ref] = words(part)
    assert await house.contents.open_many(HERE, [ref]) == {ref: "Dear {{name}}"}


async def test_a_repeated_id_gets_the_old_outcome_after_the_brokers_window(house: Core, author: Client) -> None:
    body = campaign()
    async with house.running(house.intake().run):
        command_id = await author.give("campaign.create", body)
        first = await author.outcome()
        turned = dict(reversed(body.items()))  # the order of keys says nothing
        second = await author.ask(
            "campaign.create", turned, command_id=command_id, headers={"Nats-Msg-Id": str(uuid4())}
        )
    assert second == {**first, "repeated": True}
    assert len(await house.events()) == 2  # the workspace, and the campaign once


async def test_an_id_that_stands_for_another_body_is_refused(house: Core, author: Client) -> None:
    async with house.running(house.intake().run):
        command_id = await author.give("campaign.create", campaign())
        await author.outcome()
        other = await author.ask(
            "campaign.create", campaign(), command_id=command_id, headers={"Nats-Msg-Id": str(uuid4())}
        )
    assert (other["state"], other["rule"], other["field"]) == ("refused", "id_reused", "command_id")
    assert (await house.row(author.actor, command_id)).state == "applied"


async def test_two_bodies_under_one_id_in_one_batch_apply_one(house: Core, author: Client) -> None:
    command_id = uuid4()
    for _ in range(2):
        await author.give("campaign.create", campaign(), command_id, headers={"Nats-Msg-Id": str(uuid4())})
    async with house.running(house.intake().run):
        outcomes = [await author.outcome(), await author.outcome()]
    assert {(outcome["state"], outcome["rule"]) for outcome in outcomes} == {
        ("applied", None),
        ("refused", "id_reused"),
    }
    assert len(await house.events()) == 2


async def test_commands_on_one_stream_in_one_batch_follow_each_other(house: Core, author: Client) -> None:
    made = campaign()
    revised = {**made, "title": "Summer"}
    for name, body in (
        ("campaign.create", made),
        ("campaign.revise", revised),
        ("campaign.archive", {"campaign_id": made["campaign_id"]}),
        ("campaign.revise", made),
    ):
        await author.give(name, body)
    async with house.running(house.intake().run):
        outcomes = [await author.outcome() for _ in range(4)]
    assert [(outcome["state"], outcome["version"], outcome["rule"]) for outcome in outcomes] == [
        ("applied", 1, None),
        ("applied", 2, None),
        ("applied", 3, None),
        ("refused", 3, "archived"),
    ]


async def test_a_batch_killed_between_append_and_ack_is_applied_once(house: Core, author: Client) -> None:
    intake = house.intake()
    appended = asyncio.Event()
    ack = house.bus.ack

    async def killed(messages: Sequence[Msg]) -> None:
        appended.set()
        await asyncio.Event().wait()  # it never comes to the acknowledgement

    house.bus.ack = killed  # type: ignore[method-assign]  # the place of the kill
    ids = [await author.give("campaign.create", campaign()) for _ in range(20)]
    async with house.running(intake.run):
        async with asyncio.timeout(30):
            await appended.wait()
    house.bus.ack = ack  # type: ignore[method-assign]  # as it was
    async with house.running(house.intake().run):
        await until(lambda: drained(house))
    told = Counter[tuple[str, bool]]()
    while {command_id for command_id, _ in told} != {str(one) for one in ids} or not author.arrived.empty():
        outcome = await author.outcome()
        assert outcome["state"] == "applied"
        told[outcome["command_id"], outcome["repeated"]] += 1
    assert all(told[str(command_id), False] <= 1 for command_id in ids)
    assert any(repeated for _, repeated in told)
    assert len(await house.events()) == 1 + len(ids)


async def test_a_command_http_accepted_is_answered_in_its_row(house: Core, author: Client) -> None:
    body = orjson.dumps(campaign())
    pending, address = await accepted(house, author, body)
    async with house.running(house.intake().run):
        await house.bus.command(address, pending.command_id, body, clock())
        await until(lambda: has_state(house, author, pending.command_id, "applied"))
    assert (await house.row(author.actor, pending.command_id)).key == pending.key


async def test_another_body_under_a_pending_id_is_refused_and_leaves_the_row(house: Core, author: Client) -> None:
    pending, _ = await accepted(house, author, orjson.dumps(campaign()))
    async with house.running(house.intake().run):
        outcome = await author.ask("campaign.create", campaign(), command_id=pending.command_id)
    assert (outcome["rule"], outcome["field"]) == ("id_reused", "command_id")
    assert (await house.row(author.actor, pending.command_id)).state == "pending"


@pytest.mark.parametrize("elsewhere", ["evt.here.campaign.created", "_INBOX.another.x", "_INBOX.x", "_INBOX.>"])
async def test_outcomes_go_to_no_inbox_but_the_senders_own(house: Core, author: Client, elsewhere: str) -> None:
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    for subjects in ("evt.here.>", "_INBOX.another.>", "_INBOX.x"):
        await house.bus.nc.subscribe(subjects, cb=hear)
    async with house.running(house.intake().run):
        await author.give("campaign.create", campaign(), headers={"Drl-Reply-To": elsewhere})
        await author.ask("campaign.create", campaign())
    assert heard == []


async def test_messages_come_again_together_when_the_server_was_restarted(
    house: Core, author: Client, nats_server: object
) -> None:
    from infra.embedded import EmbeddedNats

    assert isinstance(nats_server, EmbeddedNats)
    async with house.running(house.intake().run):
        await author.ask("campaign.create", campaign())
        nats_server.kill()
        await asyncio.to_thread(nats_server.start)
        async with asyncio.timeout(30):
            while True:
                try:
                    await author.give("campaign.create", campaign())
                    break
                except Exception:  # noqa: BLE001  # the client is still connecting
                    await asyncio.sleep(0.05)
        outcome = await author.outcome(15)
    assert outcome["state"] == "applied"


@pytest.mark.parametrize("role", [Role.AUTHOR, Role.SERVICE])
async def test_each_principal_has_ids_of_its_own(house: Core, author: Client, role: Role) -> None:
    other = await Client(house, await house.principal(role)).listen()
    command_id = uuid4()
    async with house.running(house.intake().run):
        mine = await author.ask("campaign.create", campaign(), command_id=command_id)
        theirs = await other.ask(
            "campaign.create", campaign(), command_id=command_id, headers={"Nats-Msg-Id": str(uuid4())}
        )
    assert (mine["state"], theirs["state"]) == ("applied", "applied")
    assert mine["stream"] != theirs["stream"]


async def accepted(house: Core, author: Client, body: bytes) -> tuple[Pending, Address]:
    """A row as the API writes it before it publishes."""
    address = Address(HERE, author.actor.id, "campaign.create")
    command_id = uuid4()
    key = command_key(HERE, author.actor.id, command_id)
    digest = wire.digest(address.name, body)
    sealed = house.contents.seal(HERE, key, body)
    pending = Pending(key, command_id, HERE, author.actor.id, address.name, digest, sealed)
    assert await house.inbox.accept(pending) is None
    return pending, address


async def has_state(house: Core, author: Client, command_id: UUID, state: str) -> bool:
    row = await house.row(author.actor, command_id)
    return row is not None and row.state == state


async def test_a_full_batch_of_500_is_applied_each_once(house: Core, author: Client) -> None:
    address = Address(HERE, author.actor.id, "campaign.create")
    ids = [uuid4() for _ in range(1_200)]
    for start in range(0, len(ids), 400):
        messages = [
            Message(address.subject, orjson.dumps(campaign()), command_headers(address, id_, clock()))
            for id_ in ids[start : start + 400]
        ]
        await house.bus.batch(streams.COMMANDS, messages)
    async with house.running(house.intake().run):
        await until(lambda: drained(house), 20)
    rows = await house.inbox.find([command_key(HERE, author.actor.id, id_) for id_ in ids])
    assert {row.state for row in rows.values()} == {"applied"}
    assert len(rows) == len(ids)
    assert len(await house.events()) == 1 + len(ids)
