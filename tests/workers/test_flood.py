"""One workspace's flood is its own: others' commands are answered meanwhile, and what was accepted stays accepted."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

import orjson
import pytest
from nats.aio.msg import Msg

from adapters import streams, undelivered, wire
from adapters.bus import BatchRefused, Message
from adapters.bus_messages import STORE_REFUSED
from adapters.cloudevents import Address, command_headers
from adapters.command_limits import CommandLimits
from adapters.dead_letter_quota import KEPT_OF_UNREADABLE, Dead, DeadLetterQuota
from adapters.inbox import Inbox, Pending
from adapters.pulls import Pulls
from domain.message import Actor, Role, WorkspaceId
from domain.rates import Rates
from tests.workers.core import HERE, Client, Core, campaign, clock, core, until
from workers.cases import Case
from workers.commands import BATCH
from workers.intake.arrivals import Arrivals
from workers.intake.stuck import LOOKS
from workers.requests import Outcome, Turned, command_key
from workers.sweeper import Sweeper

FLOODING = WorkspaceId("flooding")
DEEP = streams.Limits(duplicate_window=0.5, commands_waiting=20_000)
SHALLOW = streams.Limits(duplicate_window=0.5, commands_waiting=8)


async def flood(house: Core, actor: Actor, count: int, name: str = "campaign.create") -> list[UUID]:
    """Commands that wait on the bus."""
    address, ids = Address(actor.workspace, actor.id, name), [uuid4() for _ in range(count)]
    for start in range(0, count, 1_000):
        some = ids[start : start + 1_000]
        messages = [
            Message(address.subject, orjson.dumps(campaign()), command_headers(address, one, clock())) for one in some
        ]
        await house.bus.batch(streams.COMMANDS, messages)
    return ids


async def pending(house: Core, actor: Actor, count: int, name: str = "campaign.create") -> list[Pending]:
    """What HTTP accepted and did not come to publish."""
    made = []
    for _ in range(count):
        body, command_id = orjson.dumps(campaign()), uuid4()
        key = command_key(actor.workspace, actor.id, command_id)
        sealed = house.contents.seal(actor.workspace, key, body)
        one = Pending(key, command_id, actor.workspace, actor.id, name, wire.digest(name, body), sealed)
        assert await house.inbox.accept(one) is None
        made.append(one)
    return made


async def within(house: Core, rate: int, first: int = 1) -> int:
    """How many of the commands that wait, from this one on, a rate allows, by when the server stored them."""
    last = (await house.bus.js.stream_info(streams.COMMANDS)).state.last_seq
    ends = [await undelivered.read(house.bus, streams.COMMANDS, at, 1) for at in (first, last)]
    began, ended = [one.stored for one in ends if one is not None]
    return int(rate * (ended - began) + rate)


async def states(house: Core, made: Sequence[Pending]) -> set[str]:
    rows = await house.inbox.find([one.key for one in made])
    return {row.state for row in rows.values()}


async def test_one_workspaces_ten_thousand_waiting_delay_another_by_no_more_than_what_is_in_work(
    database_url: str, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with core(database_url, nats_url, DEEP) as house:
        flooding = await house.principal(Role.AUTHOR, workspace=FLOODING)
        author = await Client(house, await house.principal(Role.AUTHOR)).listen()
        await flood(house, flooding, 10_000)
        ours, intake, decided, marks = await author.give("campaign.create", campaign()), house.intake(), 0, list[int]()
        admit, make_all = intake._arrivals._admit, house.decisions.make_all

        async def admitted(messages: Sequence[Msg]) -> None:
            if any(author.actor.id in message.subject for message in messages):
                marks.append(decided)
            await admit(messages)

        async def made(cases: Sequence[Case], turned: Sequence[Turned] = ()) -> list[Outcome]:
            nonlocal decided
            outcomes = await make_all(cases, turned)
            decided += len(cases)
            if any(case.request.command_id == ours for case in cases):
                marks.append(decided)
            return outcomes

        monkeypatch.setattr(intake._arrivals, "_admit", admitted)
        monkeypatch.setattr(house.decisions, "make_all", made)
        async with house.running(intake.run):
            assert (await author.outcome())["state"] == "applied"
        read, answered = marks
        assert answered - read <= 6 * BATCH  # two decided, one next, one prepared, one read, and its own


async def test_what_is_over_a_keys_rate_is_refused_without_a_row_and_decided_when_sent_again(
    house: Core, author: Client
) -> None:
    limits = CommandLimits(rate=3)
    ids = [await author.give("campaign.create", campaign()) for _ in range(20)]
    most = await within(house, 3)
    async with house.running(house.intake(limits=limits).run):
        outcomes = [await author.outcome() for _ in ids]
        refused = [one for one in outcomes if one["rule"] == "too_many"]
        assert 20 - most <= len(refused) <= 17
        assert {(one["state"], one["field"], one["detail"]["maximum"]) for one in refused} == {("refused", "actor", 3)}
        assert all([await house.row(author.actor, UUID(one["command_id"])) is None for one in refused])
        assert await house.bus.length(streams.COMMANDS) == 0
        again = UUID(refused[0]["command_id"])

        async def decided() -> bool:
            headers = {"Nats-Msg-Id": str(uuid4())}
            outcome = await author.ask("campaign.create", campaign(), command_id=again, headers=headers)
            return bool(outcome["state"] == "applied")

        await until(decided)
    assert (await house.row(author.actor, again)).state == "applied"


async def test_what_was_refused_without_a_row_stays_refused_when_the_intake_starts_anew_above_an_older_command(
    database_url: str, nats_url: str
) -> None:
    patient = streams.Limits(duplicate_window=0.5, ack_wait=60.0)
    async with core(database_url, nats_url, patient) as house:
        author, older = [await Client(house, await house.principal(Role.AUTHOR)).listen() for _ in range(2)]
        await older.give("campaign.create", campaign())
        subscription = await house.bus.js.pull_subscribe_bind(streams.INTAKE, streams.COMMANDS)
        await subscription.fetch(1, timeout=5)  # by an intake that was killed
        ids = [await author.give("campaign.create", campaign()) for _ in range(6)]
        most = await within(house, 1, first=2)
        async with house.running(house.intake(limits=CommandLimits(rate=1)).run):
            outcomes = [await author.outcome() for _ in ids]
            await until(lambda: waiting(house, 1))
        refused = [UUID(one["command_id"]) for one in outcomes if one["rule"] == "too_many"]
        assert len(refused) >= max(6 - most, 1)
        events, came = len(await house.events()), clock()
        await until(lambda: clock() - came > timedelta(seconds=0.2))
        async with house.running(house.intake(stuck=0.2).run):
            assert (await older.outcome())["state"] == "applied"
            assert (await older.ask("campaign.create", campaign()))["state"] == "applied"
            await until(lambda: waiting(house, 0))
        assert [await house.row(author.actor, one) for one in refused] == [None] * len(refused)
        assert len(await house.events()) == events + 2


async def test_what_is_being_refused_while_the_database_is_away_is_decided_by_nobody_else(
    house: Core, author: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asked, back = house.inbox.waiting, asyncio.Event(), asyncio.Event()

    async def away(keys: Collection[UUID]) -> set[UUID]:
        asked.set()
        await back.wait()
        return await ask(keys)

    monkeypatch.setattr(house.inbox, "waiting", away)
    for _ in range(6):
        await author.give("campaign.create", campaign())
    most = await within(house, 1)
    intake = house.intake(limits=CommandLimits(rate=1), stuck=0.1)
    look, looks = intake._stuck.look, 0

    async def counted(*loop: str) -> None:
        nonlocal looks
        await look(*loop)
        looks += 1

    monkeypatch.setattr(intake._stuck, "look", counted)
    async with house.running(intake.run):
        async with asyncio.timeout(30):
            await asked.wait()
        seen = looks
        await until(lambda: looks > seen + 2 * LOOKS)
        back.set()
        states: dict[str, set[str]] = defaultdict(set)  # what is handled twice is answered twice, alike
        while len(states) < 6:
            outcome = await author.outcome()
            states[outcome["command_id"]].add(outcome["state"])
        await until(lambda: empty(house))
    refused = {command for command, said in states.items() if said == {"refused"}}
    rows = await house.inbox.find([command_key(HERE, author.actor.id, UUID(command)) for command in states])
    assert {str(row.command_id) for row in rows.values()} == set(states) - refused  # decided, each once
    assert len(refused) >= max(6 - most, 1)


async def waiting(house: Core, count: int) -> bool:
    return await house.bus.length(streams.COMMANDS) == count


async def test_a_key_that_kept_to_its_rate_is_not_refused_for_an_intake_that_was_away(house: Core) -> None:
    """What counts is when the server stored a message, not when it came here: three a second, all taken at once."""
    kept = [at(house, number, stored=number // 3, deliveries=1) for number in range(12)]
    again = [at(house, number, stored=4, deliveries=2) for number in range(12, 20)]  # was within it before

    class Source:
        async def next(self) -> list[Msg]:
            if not kept:
                await asyncio.Event().wait()
            some, kept[:] = [*kept, *again], []
            return some

    async def none_away(messages: Sequence[Msg]) -> None:
        assert not messages

    arrivals = Arrivals(house.bus, house.inbox, clock, Rates(3), none_away)
    async with house.running(lambda: arrivals.fill(cast("Pulls", Source()))):
        assert len(await arrivals.take(100)) == 20


def at(house: Core, number: int, *, stored: int, deliveries: int) -> Msg:
    """A message as the server hands it out; times in seconds."""
    reply = f"$JS.ACK.COMMANDS.intake.{deliveries}.{number}.{number}.{stored}000000000.0"
    return Msg(house.bus.nc, f"cmd.{HERE}.somebody.campaign.create", reply, b"{}", {})


async def test_another_key_is_not_refused_for_the_rate_of_a_first(house: Core, author: Client) -> None:
    other = await Client(house, await house.principal(Role.AUTHOR)).listen()
    for _ in range(20):
        await author.give("campaign.create", campaign())
    await other.give("campaign.create", campaign())
    async with house.running(house.intake(limits=CommandLimits(rate=1)).run):
        assert (await other.outcome())["state"] == "applied"


async def test_what_http_accepted_is_decided_though_the_key_is_over_its_rate(house: Core) -> None:
    actor = await house.principal(Role.AUTHOR)
    made = await pending(house, actor, 12)
    sweeper = Sweeper(house.bus, house.inbox, house.contents, clock, 0.0)
    assert await sweeper.sweep() == 12
    async with house.running(house.intake(limits=CommandLimits(rate=1)).run):
        await until(lambda: applied(house, made))


async def applied(house: Core, made: Sequence[Pending]) -> bool:
    return await states(house, made) == {"applied"}


async def test_what_the_server_has_no_room_for_is_published_later_and_holds_up_nobody(
    database_url: str, nats_url: str
) -> None:
    async with core(database_url, nats_url, SHALLOW) as house:
        many, other = await house.principal(Role.AUTHOR), await house.principal(Role.AUTHOR)
        made, its = await pending(house, many, 20), await pending(house, other, 1)
        sweeper = Sweeper(house.bus, house.inbox, house.contents, clock, 0.0)
        await sweeper.sweep()
        info = await house.bus.js.stream_info(streams.COMMANDS, subjects_filter=">")
        assert sorted((info.state.subjects or {}).values()) == [1, 8]
        async with house.running(house.intake().run):
            await until(lambda: applied(house, its))

            async def swept() -> bool:
                await sweeper.sweep()
                return await applied(house, made)

            await until(swept)


async def test_who_has_thousands_waiting_to_be_published_takes_turns_with_others(house: Core) -> None:
    many, other = await house.principal(Role.AUTHOR), await house.principal(Role.AUTHOR)
    await pending(house, many, 30)
    (its,) = await pending(house, other, 1)
    found = await house.inbox.pending(timedelta(0), 10)
    assert len(found) == 10
    assert its.key in [one.key for one in found[:2]]


async def test_a_message_that_nobody_acknowledges_does_not_fill_the_subjects_of_others(
    database_url: str, nats_url: str
) -> None:
    limits = CommandLimits()
    patient = streams.Limits(duplicate_window=0.5, ack_wait=60.0, commands_waiting=limits.waiting)
    async with core(database_url, nats_url, patient) as house:
        author, held = await house.principal(Role.AUTHOR), await house.principal(Role.AUTHOR)
        await flood(house, held, 1)
        subscription = await house.bus.js.pull_subscribe_bind(streams.INTAKE, streams.COMMANDS)
        await subscription.fetch(1, timeout=5)  # by an intake that was killed
        async with house.running(house.intake(limits=limits).run):
            for _ in range(3):

                async def taken() -> bool:
                    try:
                        await flood(house, author, limits.waiting * 2 // 3)
                    except BatchRefused as refused:
                        assert_full(refused)
                        return False
                    return True

                await until(taken, 15)
            assert await house.bus.length(streams.COMMANDS) >= 1


def assert_full(refused: BatchRefused) -> None:
    assert refused.code == STORE_REFUSED


@pytest.mark.parametrize("headers", [{"ce-id": None}, {"ce-id": "x"}])
async def test_what_cannot_be_told_of_and_is_over_the_rate_is_passed_over(
    house: Core, author: Client, headers: dict[str, str | None]
) -> None:
    for _ in range(30):
        await author.give("campaign.create", campaign(), headers=headers)
    most = await within(house, 2)
    async with house.running(house.intake(limits=CommandLimits(rate=2)).run):
        await until(lambda: empty(house))
    assert 2 <= len(await house.dead.page(HERE)) <= most


async def empty(house: Core) -> bool:
    return await house.bus.length(streams.COMMANDS) == 0


async def test_dead_letters_keep_a_few_kilobytes_of_what_could_not_be_read(house: Core, author: Client) -> None:
    async with house.running(house.intake().run):
        await author.give("campaign.create", b"x" * 60_000, headers={"ce-id": None})
        await until(lambda: dead(house, 1))
    (letter,) = await house.dead.page(HERE)
    assert await house.dead.show(HERE, letter.id, author.actor.id) == b"x" * KEPT_OF_UNREADABLE


async def test_a_key_that_fills_its_quota_of_dead_letters_takes_no_room_of_others(house: Core, author: Client) -> None:
    house.inbox = Inbox(house.pool, DeadLetterQuota(letters=12, bytes=1 << 20))
    colleague = await Client(house, await house.principal(Role.AUTHOR)).listen()
    other = await Client(house, await house.principal(Role.AUTHOR, workspace=FLOODING)).listen()
    async with house.running(house.intake().run):
        for _ in range(10):
            await author.give("campaign.create", b"{", headers={"ce-id": None})
        for client in (colleague, other):
            await client.give("campaign.create", b"{", headers={"ce-id": None})
        await until(lambda: empty(house))
    assert len(await house.dead.page(HERE)) == 3 + 1  # a fourth of the workspace's, and the colleague's
    assert len(await house.dead.page(FLOODING)) == 1
    assert (await house.bus.js.stream_info(streams.DEAD)).state.messages == 5
    first = (await house.dead.page(HERE))[-1]
    await house.dead.drop(HERE, first.id, author.actor.id)  # then there is room for one more
    async with house.running(house.intake().run):
        for _ in range(3):
            await author.give("campaign.create", b"{", headers={"ce-id": None})
        await until(lambda: empty(house))
    assert len(await house.dead.page(HERE, state="dead")) == 3 + 1


async def test_letters_put_aside_at_once_share_what_room_there_is(house: Core) -> None:
    actor = await house.principal(Role.AUTHOR)
    inbox = Inbox(house.pool, DeadLetterQuota(letters=12, bytes=1 << 20))
    letters = [Dead(uuid4(), HERE, actor.id, "campaign.create", None, "no_command_id", b"x") for _ in range(40)]
    kept = await asyncio.gather(*map(inbox.bury, letters))
    assert sum(kept) == len(await house.dead.page(HERE)) == 3


async def test_letters_of_large_bodies_are_bounded_by_their_bytes_and_a_command_keeps_its_letter(house: Core) -> None:
    actor = await house.principal(Role.AUTHOR)
    inbox = Inbox(house.pool, DeadLetterQuota(letters=1_000, bytes=1 << 20))
    kept = []
    for _ in range(6):
        key = command_key(HERE, actor.id, uuid4())
        sealed = house.contents.seal(HERE, key, b"x" * 60_000)
        kept.append(await inbox.bury(Dead(key, HERE, actor.id, "campaign.create", key, "crashed", sealed)))
    assert kept == [True] * 4 + [False] * 2
    assert [letter.state for letter in await house.dead.page(HERE)] == ["dropped"] * 2 + ["dead"] * 4
    async with house.pool.connection() as connection:
        used = await (await connection.execute("SELECT letters, bytes FROM dead_letter_usage")).fetchone()
        held = await (await connection.execute("SELECT count(body), sum(length(body)) FROM dead_letters")).fetchone()
    assert used == held


async def dead(house: Core, count: int) -> bool:
    return len(await house.dead.page(HERE)) == count
