"""What bad input from the bus gets: a refusal that names the field and the rule, and neighbours untouched."""

from typing import Any
from uuid import UUID, uuid4

import nats.errors
import orjson
import pytest

from adapters import streams
from adapters.bus import Message
from adapters.cloudevents import Address, command_headers
from adapters.command_limits import MAX_MESSAGE
from domain.catalog import COMMANDS, DECISIONS
from domain.message import Role, WorkspaceId
from tests.workers.core import HERE, Client, Core, campaign, clock, drained, until

SOME = str(UUID(int=7))
JOB = {"job_id": SOME, "campaign_id": SOME}

BAD: list[tuple[str, str, Any, str, str]] = [
    ("an unknown command", "campaign.launch", {}, "unknown_command", "subject"),
    ("a subject of another form", "campaign", {}, "unknown_command", "subject"),
    ("bytes that are not UTF-8", "campaign.create", b'{"title": "\xff"}', "not_utf8", "body"),
    ("text that is not JSON", "campaign.create", b"title: Spring", "not_json", "body"),
    ("JSON nested without end", "campaign.create", b"[" * 60_000, "not_json", "body"),
    ("JSON nested deeper than can be written", "campaign.create", b"[" * 300 + b"]" * 300, "not_json", "body"),
    (
        "JSON nested as deep as can be read",
        "job.approve",
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        "role_required",
        "actor",
    ),
    ("a list", "campaign.create", b"[]", "not_an_object", "body"),
    ("a missing field", "campaign.create", {"campaign_id": SOME, "parts": []}, "missing", "title"),
    ("a field too many", "campaign.create", {**campaign(), "colour": "red"}, "unknown_field", "colour"),
    ("a field named by a person", "campaign.create", {**campaign(), "Anna Example": 1}, "unknown_field", "body"),
    ("an id that is none", "campaign.create", {**campaign(), "campaign_id": "7"}, "uuid_parsing", "campaign_id"),
    ("a number for a text", "campaign.create", {**campaign(), "title": 7}, "string_type", "title"),
    ("a title too long", "campaign.create", {**campaign(), "title": "x" * 201}, "string_too_long", "title"),
    ("a text too long", "campaign.create", campaign("x" * 4_097), "string_too_long", "parts.0.text"),
    ("braces that are no variable", "campaign.create", campaign("Hello {{name}"), "malformed_variable", "parts.0.text"),
    ("no part at all", "campaign.create", {**campaign(), "parts": []}, "empty", "parts"),
    ("eleven parts", "campaign.create", {**campaign(), "parts": [{"text": "x"}] * 11}, "too_many", "parts"),
    ("an unknown audience", "campaign.create", campaign(audience_id=SOME), "unknown_audience", "audience_id"),
    (
        "a truth for a number",
        "job.submit",
        {"job_id": SOME, "campaign_id": SOME, "accounts": True},
        "list_type",
        "accounts",
    ),
    ("a role that is not given", "job.approve", {"job_id": SOME, "review_hash": "0" * 64}, "role_required", "actor"),
    ("a job that is not there", "job.pause", {"job_id": SOME}, "unknown_job", "job_id"),
    (
        "a start without an offset",
        "recipient.record-consent",
        {"recipient_id": SOME, "source": "paper", "given_at": "2026-01-01T00:00:00"},
        "no_time_zone",
        "given_at",
    ),
]


HEADERS: list[tuple[str, dict[str, str | None], str, str]] = [
    ("another type than the subject's", {"ce-type": "drumline.cmd.campaign.archive"}, "mismatch", "ce-type"),
    ("no type", {"ce-type": None}, "missing", "ce-type"),
    ("another version of CloudEvents", {"ce-specversion": "0.3"}, "mismatch", "ce-specversion"),
]


async def test_each_is_refused_by_field_and_rule_and_its_neighbours_are_applied(house: Core, author: Client) -> None:
    expected, good = dict[str, tuple[str, str, str]](), set[str]()
    for what, name, body, rule, field in BAD:
        expected[str(await author.give(name, body))] = (what, rule, field)
        good.add(str(await author.give("campaign.create", campaign())))
    for what, headers, rule, field in HEADERS:
        expected[str(await author.give("campaign.create", campaign(), headers=headers))] = (what, rule, field)
    async with house.running(house.intake().run):
        outcomes = [await author.outcome() for _ in range(len(expected) + len(good))]
    refused = {outcome["command_id"]: outcome for outcome in outcomes if outcome["command_id"] in expected}
    for command_id, (what, rule, field) in expected.items():
        told = refused[command_id]
        assert (what, told["state"], told["rule"], told["field"]) == (what, "refused", rule, field)
        row = await house.row(author.actor, UUID(command_id))
        assert (what, row.state, row.rule, row.field) == (what, "refused", rule, field)
    assert {outcome["state"] for outcome in outcomes if outcome["command_id"] in good} == {"applied"}
    assert len(await house.events()) == 1 + len(good)


async def test_what_nobody_can_be_told_of_goes_to_dead_with_its_body_sealed(house: Core, author: Client) -> None:
    secret = b"call +12025550143"
    subject = f"cmd.{HERE}.{author.actor.id}.campaign.create"
    unreadable = [
        (f"cmd.{HERE}", str(uuid4())),
        (subject, "seven"),
        (subject, ""),
        (f"cmd.{HERE}.{author.actor.id}.12025550143", "+12025550143"),
        ("cmd.+12025550143", ""),
    ]
    named = {"ce-subject": "+12025550143", "ce-source": "Anna, +12025550143", "ce-type": "12025550143"}
    async with house.running(house.intake().run):
        for where, command_id in unreadable:
            await house.bus.single(Message(where, secret, {"ce-id": command_id, **named}))
        assert (await author.ask("campaign.create", campaign()))["state"] == "applied"
        await until(lambda: drained(house))
    letters = await house.dead.page(None)
    assert sorted(letter.reason for letter in letters) == [*["no_command_id"] * 3, *["no_principal"] * 2]
    assert sorted(letter.workspace for letter in letters) == ["", "", *[HERE] * 3]
    for letter in letters:
        assert "2025550143" not in str(letter)
        assert await house.dead.show(None, letter.id, author.actor.id) == secret
    for sequence in range(1, 1 + len(unreadable)):
        told = await house.bus.js.get_msg(streams.DEAD, sequence)
        assert told.headers is not None
        assert "2025550143" not in str(told.headers)
        assert not told.data
        assert UUID(told.headers["Drl-Key"]) in {letter.id for letter in letters}


async def test_another_workspace_in_the_subject_is_refused(house: Core, author: Client) -> None:
    await house.make_workspace(WorkspaceId("there"))
    async with house.running(house.intake().run):
        outcome = await author.ask("campaign.create", campaign(), workspace=WorkspaceId("there"))
    assert (outcome["rule"], outcome["field"]) == ("foreign_workspace", "workspace")


async def test_a_workspace_nobody_created_is_refused(house: Core) -> None:
    stranger = await house.principal(Role.AUTHOR, workspace=WorkspaceId("nowhere"))
    client = await Client(house, stranger).listen()
    async with house.running(house.intake().run):
        outcome = await client.ask("campaign.create", campaign())
    assert (outcome["rule"], outcome["field"]) == ("unknown_workspace", "workspace")


async def test_a_principal_without_a_key_is_refused(house: Core, author: Client) -> None:
    actor = await house.principal(Role.AUTHOR)
    client = await Client(house, actor).listen()
    await house.keys.revoke(HERE, actor.id)
    async with house.running(house.intake().run):
        outcome = await client.ask("campaign.create", campaign())
        assert (await author.ask("campaign.create", campaign()))["state"] == "applied"
    assert (outcome["rule"], outcome["field"]) == ("unknown_principal", "actor")


async def test_a_campaign_of_another_workspace_does_not_exist_and_its_id_is_taken(house: Core, author: Client) -> None:
    there = WorkspaceId("there")
    await house.make_workspace(there)
    other = await Client(house, await house.principal(Role.AUTHOR, workspace=there)).listen()
    body = campaign()
    async with house.running(house.intake().run):
        await author.ask("campaign.create", body)
        revised = await other.ask("campaign.revise", body)
        created = await other.ask("campaign.create", body)
    assert (revised["rule"], revised["field"]) == ("unknown_campaign", "campaign_id")
    assert (created["rule"], created["field"]) == ("id_taken", "campaign_id")
    assert len(await house.events()) == 3  # two workspaces, one campaign


async def test_no_decision_of_the_system_has_a_subject(house: Core, author: Client) -> None:
    assert not {row.kind for row in COMMANDS.values()} & set(DECISIONS)
    async with house.running(house.intake().run):
        for decision, aggregate in DECISIONS.items():
            words = "".join("-" + letter.lower() if letter.isupper() else letter for letter in decision.__name__)
            verb = words.removeprefix("-")
            # (`job.start` is a person's; what the system starts goes by another rule)
            for name in {f"{aggregate}.{verb}", f"{aggregate}.{verb.partition('-')[0]}"} - COMMANDS.keys():
                outcome = await author.ask(name, {})
                assert (name, outcome["state"], outcome["rule"]) == (name, "refused", "unknown_command")


async def test_the_broker_itself_refuses_a_message_over_one_mebibyte(house: Core, author: Client) -> None:
    assert house.bus.nc.max_payload == 1_048_576
    with pytest.raises(nats.errors.MaxPayloadError):
        await author.give("campaign.create", b" " * (1_048_576 + 1))
    async with house.running(house.intake().run):
        assert (await author.ask("campaign.create", campaign()))["state"] == "applied"


async def test_the_largest_message_that_is_taken_is_refused_like_any_other(house: Core, author: Client) -> None:
    address = Address(HERE, author.actor.id, "campaign.create")
    headers = command_headers(address, uuid4(), clock(), reply_to=author.inbox)
    room = MAX_MESSAGE - sum(len(name) + len(value) + 4 for name, value in headers.items()) - 14
    body = orjson.dumps({**campaign(), "title": "x"})
    async with house.running(house.intake().run):
        await house.bus.single(Message(address.subject, body[:-2] + b"x" * (room - len(body)) + b'"}', headers))
        outcome = await author.outcome()
    assert (outcome["state"], outcome["rule"]) in {("refused", "string_too_long"), ("refused", "not_json")}
