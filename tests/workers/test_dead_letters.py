"""Dead letters: what nobody could handle is replayed or dropped by people, and a trace of it is kept."""

import asyncio
from uuid import UUID, uuid4

import orjson
import pytest

from adapters import streams, wire
from adapters.dead_letter_quota import Dead
from adapters.dead_letters import DeadLetter
from adapters.streams import Limits
from domain.message import PrincipalId, Refused, WorkspaceId
from tests.workers.core import HERE, Client, Core, campaign, clock, drained, until
from workers.requests import command_key
from workers.sweeper import Sweeper

POISON = "Poison"
OPERATOR = PrincipalId("operatr1")


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A bug of ours that strikes at one title, for as long as the list is not empty."""
    still = [True]
    parse = wire.parse

    def faulty(name: str, raw: bytes) -> wire.Draft:
        if still and POISON.encode() in raw:
            raise ZeroDivisionError
        return parse(name, raw)

    monkeypatch.setattr(wire, "parse", faulty)
    return still


async def crashed(house: Core, author: Client) -> DeadLetter:
    """A command that has just crashed."""
    command_id = await author.give("campaign.create", {**campaign(), "title": POISON})
    outcome = await author.outcome()
    assert (outcome["command_id"], outcome["state"]) == (str(command_id), "crashed")
    await until(lambda: dead(house))
    (letter,) = await house.dead.page(HERE, state="dead")
    assert letter.command_id == command_id
    return letter


async def dead(house: Core) -> bool:
    return bool(await house.dead.page(HERE, state="dead"))


async def state_of(house: Core, author: Client, command_id: UUID | None) -> str:
    assert command_id is not None
    state: str = (await house.row(author.actor, command_id)).state
    return state


async def actions(house: Core, letter: UUID) -> list[tuple[str, str]]:
    return [(one.action, one.principal) for one in await house.dead.actions(letter)]


async def test_a_replayed_command_is_decided_under_its_own_id(house: Core, author: Client, sick: list[bool]) -> None:
    async with house.running(house.intake().run):
        letter = await crashed(house, author)
        sick.clear()
        replayed = await house.dead.replay(HERE, letter.id, OPERATOR)
        assert (replayed.state, replayed.replays) == ("replayed", 1)
        await until(lambda: applied(house, author, letter.command_id))
    assert [type(event).__name__ for event in await house.events()] == ["WorkspaceCreated", "CampaignCreated"]
    assert await actions(house, letter.id) == [("replayed", OPERATOR)]


async def applied(house: Core, author: Client, command_id: UUID | None) -> bool:
    return await state_of(house, author, command_id) == "applied"


async def test_replayed_twice_it_is_decided_once(house: Core, author: Client, sick: list[bool]) -> None:
    async with house.running(house.intake().run):
        letter = await crashed(house, author)
        sick.clear()
        both = await asyncio.gather(*(house.dead.replay(HERE, letter.id, OPERATOR) for _ in range(2)))
        assert {one.replays for one in both} == {1}
        await until(lambda: applied(house, author, letter.command_id))
        await house.dead.replay(HERE, letter.id, OPERATOR)
        await until(lambda: drained(house))
    assert len(await house.events()) == 2
    assert await actions(house, letter.id) == [("replayed", OPERATOR)]


async def test_what_dies_again_can_be_replayed_again(house: Core, author: Client, sick: list[bool]) -> None:
    async with house.running(house.intake().run):
        letter = await crashed(house, author)
        await house.dead.replay(HERE, letter.id, OPERATOR)
        await until(lambda: dead(house))
        assert await state_of(house, author, letter.command_id) == "crashed"
        sick.clear()
        assert (await house.dead.replay(HERE, letter.id, OPERATOR)).replays == 2
        await until(lambda: applied(house, author, letter.command_id))


async def test_a_replay_that_was_not_published_is_swept(
    house: Core, author: Client, sick: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process is killed between the row and the publish."""
    await streams.declare(house.bus.js, Limits(duplicate_window=0.1, ack_wait=2.0))
    sweeper = Sweeper(house.bus, house.inbox, house.contents, clock, after=0.2)
    async with house.running(house.intake().run, sweeper.run):
        letter = await crashed(house, author)
        sick.clear()
        with monkeypatch.context() as patch:

            async def killed(*_given: object) -> None:
                raise asyncio.CancelledError

            patch.setattr("adapters.dead_letters.DeadLetters._publish", killed)
            with pytest.raises(asyncio.CancelledError):
                await house.dead.replay(HERE, letter.id, OPERATOR)
        await until(lambda: applied(house, author, letter.command_id))


@pytest.fixture
async def lost(house: Core, author: Client, monkeypatch: pytest.MonkeyPatch) -> DeadLetter:
    """A letter whose message will come again: its intake was killed before the acknowledgement."""
    await author.give("campaign.create", campaign())
    await house.deliver_in_vain(1, tried=True)
    with monkeypatch.context() as patch:

        async def killed(_message: object) -> None:
            raise asyncio.CancelledError

        patch.setattr(house.bus, "ack", killed)
        patch.setattr(house.inbox, "tried", killed)
        async with house.running(house.intake().run):
            assert (await author.outcome())["state"] == "crashed"
    (letter,) = await house.dead.page(HERE)
    return letter


async def test_the_message_that_died_kills_nothing_when_it_comes_again_after_the_replay(
    house: Core, author: Client, lost: DeadLetter
) -> None:
    await house.dead.replay(HERE, lost.id, OPERATOR)
    async with house.running(house.intake().run):
        assert (await author.outcome())["state"] == "applied"  # to who gave it first; the replay has no inbox
        await until(lambda: drained(house))
    assert await state_of(house, author, lost.command_id) == "applied"
    (letter,) = await house.dead.page(HERE)
    assert letter.state == "replayed"


async def test_neither_does_it_when_it_comes_before_what_the_replay_publishes(
    house: Core, author: Client, lost: DeadLetter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        async def killed(*_given: object) -> None:
            raise asyncio.CancelledError

        patch.setattr("adapters.dead_letters.DeadLetters._publish", killed)
        with pytest.raises(asyncio.CancelledError):
            await house.dead.replay(HERE, lost.id, OPERATOR)
    async with house.running(house.intake().run):
        await until(lambda: drained(house))
        assert await state_of(house, author, lost.command_id) == "pending"
        (letter,) = await house.dead.page(HERE)
        assert letter.state == "replayed"
        await streams.declare(house.bus.js, Limits(duplicate_window=0.1, ack_wait=2.0))
        async with house.running(Sweeper(house.bus, house.inbox, house.contents, clock, after=0.2).run):
            await until(lambda: applied(house, author, lost.command_id))


async def test_a_dropped_letter_is_neither_shown_nor_replayed(house: Core, author: Client, sick: list[bool]) -> None:
    async with house.running(house.intake().run):
        letter = await crashed(house, author)
    for _ in range(2):
        assert (await house.dead.drop(HERE, letter.id, OPERATOR)).state == "dropped"
    for act in (house.dead.show, house.dead.replay):
        with pytest.raises(Refused) as refused:
            await act(HERE, letter.id, OPERATOR)
        assert refused.value.rule == "dropped"
    assert await state_of(house, author, letter.command_id) == "crashed"
    assert await actions(house, letter.id) == [("dropped", OPERATOR)]
    async with house.pool.connection() as connection:
        row = await (await connection.execute("SELECT body FROM dead_letters")).fetchone()
    assert row == (None,)


async def test_a_replayed_letter_is_dropped_once_its_command_is_answered(
    house: Core, author: Client, sick: list[bool]
) -> None:
    async with house.running(house.intake().run):
        letter = await crashed(house, author)
    await house.dead.replay(HERE, letter.id, OPERATOR)
    with pytest.raises(Refused) as refused:
        await house.dead.drop(HERE, letter.id, OPERATOR)
    assert refused.value.rule == "replayed"
    sick.clear()
    async with house.running(house.intake().run):
        await until(lambda: applied(house, author, letter.command_id))
    assert (await house.dead.drop(HERE, letter.id, OPERATOR)).state == "dropped"
    assert await state_of(house, author, letter.command_id) == "applied"
    assert await actions(house, letter.id) == [("replayed", OPERATOR), ("dropped", OPERATOR)]


async def test_a_letter_whose_command_was_answered_is_not_replayed(house: Core, author: Client) -> None:
    """As when whoever put it aside was killed before it said so in the command's row."""
    command_id = await author.give("campaign.create", campaign())
    key = command_key(HERE, author.actor.id, command_id)
    given = (key, HERE, author.actor.id, "campaign.create", command_id, "seal_broken", b"")
    await house.inbox.bury(Dead(*given))
    async with house.running(house.intake().run):
        assert (await author.outcome())["state"] == "applied"
    with pytest.raises(Refused) as refused:
        await house.dead.replay(HERE, key, OPERATOR)
    assert refused.value.rule == "not_crashed"
    assert await actions(house, key) == []


async def test_what_could_not_be_read_cannot_be_replayed(house: Core, author: Client) -> None:
    await author.give("campaign.create", campaign(), headers={"ce-id": "seven"})
    async with house.running(house.intake().run):
        await until(lambda: dead(house))
    (letter,) = await house.dead.page(HERE)
    assert (letter.command_id, letter.reason, letter.principal) == (None, "no_command_id", author.actor.id)
    with pytest.raises(Refused) as refused:
        await house.dead.replay(HERE, letter.id, OPERATOR)
    assert refused.value.rule == "not_replayable"


async def test_workspaces_do_not_see_each_others(house: Core, author: Client, sick: list[bool]) -> None:
    elsewhere = WorkspaceId("elsewhere")
    async with house.running(house.intake().run):
        letter = await crashed(house, author)
    assert await house.dead.page(elsewhere) == []
    assert await house.dead.one(elsewhere, letter.id) is None
    for act in (house.dead.show, house.dead.replay, house.dead.drop):
        with pytest.raises(Refused) as refused:
            await act(elsewhere, letter.id, OPERATOR)
        assert refused.value.rule == "unknown_dead_letter"
    assert [one.id for one in await house.dead.page(None)] == [letter.id]
    assert await actions(house, letter.id) == []


async def test_looking_into_one_is_written_down(house: Core, author: Client, sick: list[bool]) -> None:
    async with house.running(house.intake().run):
        letter = await crashed(house, author)
    assert orjson.loads(await house.dead.show(HERE, letter.id, OPERATOR))["title"] == POISON
    assert await actions(house, letter.id) == [("shown", OPERATOR)]


async def test_a_list_goes_on_behind_a_number(house: Core, author: Client) -> None:
    for _ in range(5):
        await author.give("campaign.create", campaign(), headers={"ce-id": "seven", "Nats-Msg-Id": str(uuid4())})
    async with house.running(house.intake().run):
        await until(lambda: drained(house))
    whole = await house.dead.page(HERE)
    assert [one.number for one in whole] == sorted((one.number for one in whole), reverse=True)
    first = await house.dead.page(HERE, limit=2)
    rest = await house.dead.page(HERE, behind=first[-1].number)
    assert [*first, *rest] == list(whole)
    assert len(whole) == 5


async def test_a_wiped_bus_and_a_full_dead_cost_no_letter(house: Core, author: Client, sick: list[bool]) -> None:
    await house.bus.js.delete_stream(streams.DEAD)
    async with house.running(house.intake().run):
        await crashed(house, author)
        await streams.declare(house.bus.js, Limits(duplicate_window=0.5, ack_wait=2.0, dead_bytes=300))
        for _ in range(5):
            await author.give("campaign.create", campaign(), headers={"ce-id": "seven", "Nats-Msg-Id": str(uuid4())})
        assert (await author.ask("campaign.create", campaign()))["state"] == "applied"
        await until(lambda: drained(house))
    assert len(await house.dead.page(HERE)) == 6
