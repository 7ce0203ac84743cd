"""A message that brings its handler down is tried five times, then kept for a person; the others go through."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

import orjson
import psycopg
import pytest
from nats.aio.msg import Msg

from adapters import streams, wire
from adapters.contents import Contents
from adapters.event_store import LogUnavailable
from domain.message import Ref, Role, WorkspaceId
from tests.workers.core import HERE, QUICK, Client, Core, campaign, clock, drained, until
from workers.intake.messages import RECORD
from workers.intake.retries import Retries
from workers.sweeper import Sweeper

POISON = "Poison"


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A fault in the handling of one title, as a bug of ours would be; counts how often it strikes."""
    struck: list[int] = []
    parse = wire.parse

    def faulty(name: str, raw: bytes) -> wire.Draft:
        if POISON.encode() in raw:
            struck.append(1)
            raise ZeroDivisionError("a text that quotes what somebody wrote")
        return parse(name, raw)

    monkeypatch.setattr(wire, "parse", faulty)
    return struck


async def test_after_five_tries_it_has_crashed_and_its_neighbours_are_applied(
    house: Core, author: Client, poisoned: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    body = {**campaign(), "title": POISON}
    for _ in range(3):
        await author.give("campaign.create", campaign())
    bad = await author.give("campaign.create", body)
    async with house.running(house.intake().run):
        outcomes = {outcome["command_id"]: outcome for outcome in [await author.outcome() for _ in range(4)]}
        crashed = outcomes.pop(str(bad))
        await until(lambda: drained(house))
    assert (crashed["state"], crashed["rule"]) == ("crashed", "crashed")
    assert {outcome["state"] for outcome in outcomes.values()} == {"applied"}
    # Once in the batch, once more alone at the same delivery, then once or twice at each of the further four.
    assert 6 <= len(poisoned) <= 7
    assert (await house.row(author.actor, bad)).state == "crashed"
    _, told = await house.bus.last(streams.DEAD)
    assert told is not None
    assert (told.headers["Drl-Reason"], told.headers["ce-id"], told.body) == ("crashed", str(bad), b"")
    (letter,) = await house.dead.page(HERE)
    assert (letter.command_id, letter.reason, str(letter.id)) == (bad, "crashed", told.headers["Drl-Key"])
    assert orjson.loads(await house.dead.show(HERE, letter.id, author.actor.id)) == body
    assert "somebody wrote" not in caplog.text


TOO_MUCH = {
    "ProgramLimitExceeded": "SELECT repeat('x', 2000000000)",
    "StatementTooComplex": "SELECT repeat('[', 1000000)::json",
    "QueryCanceled": "SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(1)",
}


@pytest.mark.parametrize("error", TOO_MUCH)
async def test_what_is_too_much_for_the_database_crashes_and_holds_up_nobody(
    house: Core, author: Client, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    """The driver counts these errors among those of a server that is away."""
    put, struck = Contents.put_many, list[str]()

    async def faulty(contents: Contents, workspace: WorkspaceId, texts: Sequence[str]) -> list[Ref]:
        if POISON in texts:
            try:
                async with house.pool.connection() as connection, connection.transaction():
                    await connection.execute(TOO_MUCH[error].encode())
            except psycopg.OperationalError as raised:
                struck.append(type(raised).__name__)
                raise
        return await put(contents, workspace, texts)

    other = await Client(house, await house.principal(Role.AUTHOR)).listen()
    bad = await author.give("campaign.create", {**campaign(), "title": POISON})
    monkeypatch.setattr(Contents, "put_many", faulty)
    async with house.running(house.intake().run):
        assert (await other.ask("campaign.create", campaign()))["state"] == "applied"
        crashed = await author.outcome()
    assert (crashed["command_id"], crashed["state"]) == (str(bad), "crashed")
    assert set(struck) == {error}


async def test_what_cannot_be_put_aside_is_not_tried_without_end(
    house: Core, author: Client, poisoned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = house.intake()
    bury, buried = intake._burial.crash, list[int]()

    async def fails(message: Msg) -> None:
        buried.append(len(poisoned))
        if len(buried) < 4:
            raise ZeroDivisionError
        await bury(message)

    monkeypatch.setattr(intake._burial, "crash", fails)
    await author.give("campaign.create", {**campaign(), "title": POISON})
    async with house.running(intake.run):
        assert (await author.outcome())["state"] == "crashed"
        await until(lambda: drained(house))
        await until(lambda: tries_are(house, 0))
    assert len(set(buried)) == 1  # since it was to be put aside first, it was not tried again


async def test_what_crashed_stays_crashed_when_it_is_sent_again(
    house: Core, author: Client, poisoned: list[int]
) -> None:
    body = {**campaign(), "title": POISON}
    async with house.running(house.intake().run):
        bad = await author.give("campaign.create", body)
        await author.outcome()
        again = await author.ask("campaign.create", body, command_id=bad, headers={"Nats-Msg-Id": str(uuid4())})
    assert (again["state"], again["repeated"]) == ("crashed", True)


async def test_a_message_that_was_tried_too_often_is_kept_without_another_try(
    house: Core, author: Client, poisoned: list[int]
) -> None:
    """As after an intake that was killed each time."""
    bad = await author.give("campaign.create", {**campaign(), "title": POISON})
    await house.deliver_in_vain(1, tried=True)
    async with house.running(house.intake().run):
        outcome = await author.outcome()
    assert (outcome["command_id"], outcome["state"]) == (str(bad), "crashed")
    assert poisoned == []


async def test_messages_that_were_delivered_too_often_and_never_tried_are_applied(house: Core, author: Client) -> None:
    """As after an intake that was killed each time by the one before them."""
    ids = {str(await author.give("campaign.create", campaign())) for _ in range(4)}
    await house.deliver_in_vain(len(ids), tried=False)
    async with house.running(house.intake().run):
        outcomes = [await author.outcome() for _ in ids]
        await until(lambda: drained(house))
        await until(lambda: tries_are(house, 0))
    assert {outcome["command_id"] for outcome in outcomes} == ids
    assert {outcome["state"] for outcome in outcomes} == {"applied"}


async def test_tries_are_forgotten_with_the_message(house: Core, author: Client, poisoned: list[int]) -> None:
    await author.give("campaign.create", {**campaign(), "title": POISON})
    async with house.running(house.intake().run):
        assert (await author.outcome())["state"] == "crashed"
        await until(lambda: drained(house))
        await until(lambda: tries_are(house, 0))


@pytest.mark.parametrize("gone", ["trimmed", "wiped"])
async def test_tries_whose_message_is_gone_are_forgotten_by_the_sweeper_alone(
    house: Core, author: Client, gone: str
) -> None:
    """As left by an intake that was killed after it had acknowledged the message, or by a wiped bus."""
    await author.give("campaign.create", campaign())
    await house.deliver_in_vain(1, tried=True)
    if gone == "trimmed":
        await house.bus.js.purge_stream(streams.COMMANDS)
    else:
        await house.bus.js.delete_stream(streams.COMMANDS)
        await streams.declare(house.bus.js, QUICK)
    waiting = await author.give("campaign.create", campaign())
    await house.deliver_in_vain(1, tried=True)
    async with house.running(Sweeper(house.bus, house.inbox, house.contents, clock, 0.05).run):
        await until(lambda: tries_are(house, 1))
    async with house.running(house.intake().run):
        assert (await author.outcome())["command_id"] == str(waiting)


async def tries_are(house: Core, many: int) -> bool:
    async with house.pool.connection() as connection:
        found = await (await connection.execute("SELECT begun FROM tries")).fetchall()
    return len(found) == many


async def test_while_the_log_is_away_nothing_is_given_up(
    house: Core, author: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, away = house.store.append, asyncio.Event()

    async def gone(items: object) -> object:
        away.set()
        raise LogUnavailable("away")

    monkeypatch.setattr(house.store, "append", gone)
    ids = {str(await author.give("campaign.create", campaign())) for _ in range(10)}
    async with house.running(house.intake().run):
        async with asyncio.timeout(30):
            await away.wait()
        monkeypatch.setattr(house.store, "append", append)
        outcomes = [await author.outcome() for _ in ids]
    assert {outcome["command_id"] for outcome in outcomes} == ids
    assert {outcome["state"] for outcome in outcomes} == {"applied"}


async def test_a_keys_failing_commands_hold_up_no_other_key(
    house: Core, author: Client, poisoned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here: for good, in putting them aside."""
    other = await Client(house, await house.principal(Role.AUTHOR)).listen()
    intake, stuck = house.intake(), asyncio.Event()

    async def never(_message: object) -> None:
        stuck.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(intake._burial, "crash", never)
    async with house.running(intake.run):
        for _ in range(3):
            await author.give("campaign.create", {**campaign(), "title": POISON})
        async with asyncio.timeout(30):
            await stuck.wait()
        for _ in range(3):
            assert (await other.ask("campaign.create", campaign()))["state"] == "applied"


async def test_a_failing_command_that_hangs_holds_up_no_other_keys_failing_commands(
    house: Core, author: Client, poisoned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.intake.retries.TURN", 0.1)
    other = await Client(house, await house.principal(Role.AUTHOR)).listen()
    intake, stuck = house.intake(), asyncio.Event()
    crash = intake._burial.crash

    async def never(message: Msg) -> None:
        if author.actor.id in message.subject:
            stuck.set()
            await asyncio.Event().wait()
        await crash(message)

    monkeypatch.setattr(intake._burial, "crash", never)
    async with house.running(intake.run):
        for _ in range(3):
            await author.give("campaign.create", {**campaign(), "title": POISON})
        async with asyncio.timeout(30):
            await stuck.wait()
        assert (await other.ask("campaign.create", {**campaign(), "title": POISON}))["state"] == "crashed"


async def test_what_fails_takes_so_many_bytes_and_no_key_more_than_it_leaves_to_others(
    house: Core, author: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.intake.retries.GIVEN_BACK", 0.1)
    body = b"x" * 50_000
    monkeypatch.setattr("workers.intake.retries.MOST_BYTES", 4 * (len(body) + RECORD))
    other = await Client(house, await house.principal(Role.AUTHOR)).listen()
    for client in (author, other):
        for _ in range(3):
            await client.give("campaign.create", body)
    subscription = await house.bus.js.pull_subscribe_bind(streams.INTAKE, streams.COMMANDS)
    first: list[Msg] = []
    while len(first) < 6:
        first += await subscription.fetch(6 - len(first), timeout=5)

    async def handle(_message: Msg, _loop: str) -> bool:
        raise AssertionError

    retries = Retries(house.bus, house.inbox, handle, handle, lambda _messages: None)
    await retries.add(first)
    again: list[Msg] = []
    while len(again) < 3:
        again += await subscription.fetch(3 - len(again), timeout=5)
    given_back = Counter(message.subject for message in again)
    names = [client.actor_address("campaign.create").subject for client in (author, other)]
    assert given_back == dict(zip(names, (1, 2), strict=True))


async def test_a_key_has_but_so_many_tries_at_a_time(
    house: Core, author: Client, poisoned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.intake.retries.MOST_FAILING", 2)
    ids = {str(await author.give("campaign.create", {**campaign(), "title": POISON})) for _ in range(12)}
    async with house.running(house.intake().run):
        outcomes = [await author.outcome() for _ in ids]
        await until(lambda: drained(house))
    assert {outcome["command_id"] for outcome in outcomes if outcome["state"] == "crashed"} == ids
    assert len(poisoned) <= 2 * 7 + 10 * 2  # those beyond the bound: once in the batch, once alone


async def test_a_key_without_a_fault_in_a_batch_that_failed_is_answered_together(
    house: Core, author: Client, poisoned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await Client(house, await house.principal(Role.AUTHOR)).listen()
    intake, alone = house.intake(), list[str]()
    put = intake._retries.add

    async def added(messages: Sequence[Msg]) -> None:
        alone.extend(message.subject for message in messages)
        await put(messages)

    monkeypatch.setattr(intake._retries, "add", added)
    await author.give("campaign.create", {**campaign(), "title": POISON})
    for _ in range(5):
        await other.give("campaign.create", campaign())
    async with house.running(intake.run):
        assert {(await other.outcome())["state"] for _ in range(5)} == {"applied"}
        assert (await author.outcome())["state"] == "crashed"
    assert alone == [author.actor_address("campaign.create").subject]
