"""The sweeper: what HTTP accepted is answered, although its publish was lost."""

from uuid import uuid4

import orjson
import pytest

from adapters import metrics, streams, wire
from adapters.dead_letter_quota import Dead
from adapters.inbox import Pending
from domain.message import Refused, Role
from tests.workers.core import HERE, Core, campaign, clock, until
from workers.requests import command_key
from workers.sweeper import Sweeper


async def test_a_command_that_was_never_published_is_applied_once(house: Core) -> None:
    actor = await house.principal(Role.AUTHOR)
    body = orjson.dumps(campaign())
    ids = [uuid4() for _ in range(3)]
    for command_id in ids:
        key = command_key(HERE, actor.id, command_id)
        body = orjson.dumps(campaign())
        digest, sealed = wire.digest("campaign.create", body), house.contents.seal(HERE, key, body)
        await house.inbox.accept(Pending(key, command_id, HERE, actor.id, "campaign.create", digest, sealed))
    sweeper = Sweeper(house.bus, house.inbox, house.contents, clock, 0.2)

    async def answered() -> bool:
        rows = [await house.row(actor, command_id) for command_id in ids]
        return {row.state for row in rows} == {"applied"}

    async with house.running(house.intake().run, sweeper.run):
        await until(answered)
    assert await sweeper.sweep() == 0
    assert len(await house.events()) == 1 + len(ids)


async def test_what_cannot_be_opened_is_put_aside_and_holds_up_nobody(
    house: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await house.principal(Role.AUTHOR)
    ids = [uuid4() for _ in range(3)]
    for command_id in ids:
        key, body = command_key(HERE, actor.id, command_id), orjson.dumps(campaign())
        sealed = house.contents.seal(HERE, key if command_id == ids[-1] else uuid4(), body)
        digest = wire.digest("campaign.create", body)
        await house.inbox.accept(Pending(key, command_id, HERE, actor.id, "campaign.create", digest, sealed))
    monkeypatch.setattr("workers.sweeper.PAGE", 2)  # as many as have a broken seal
    sweeper = Sweeper(house.bus, house.inbox, house.contents, clock, 0.0)
    assert [await sweeper.sweep() for _ in range(2)] == [2, 1]
    rows = [await house.row(actor, command_id) for command_id in ids]
    assert [(row.state, row.rule) for row in rows] == [("crashed", "seal_broken")] * 2 + [("pending", None)]
    letters = await house.dead.page(HERE)
    assert {(one.command_id, one.reason) for one in letters} == {(one, "seal_broken") for one in ids[:2]}
    _, told = await house.bus.last(streams.DEAD)
    assert told is not None
    assert told.headers["Drl-Reason"] == "seal_broken"


async def test_a_body_is_kept_for_thirty_days_and_while_its_command_waits(house: Core) -> None:
    actor = await house.principal(Role.AUTHOR)
    keys = [command_key(HERE, actor.id, uuid4()) for _ in range(3)]
    given = (HERE, actor.id, "campaign.create")
    for key in keys:
        await house.inbox.bury(Dead(key, *given, key, "crashed", house.contents.seal(HERE, key, b"{}")))
    await house.inbox.accept(Pending(keys[2], keys[2], *given, b"", b""))  # replayed
    async with house.pool.connection() as connection:
        age = "UPDATE dead_letters SET died_at = now() - make_interval(days => 31) WHERE id = ANY(%s)"
        await connection.execute(age, [[keys[0], keys[2]]])
    assert await house.inbox.expire() == 1
    states = {letter.id: letter.state for letter in await house.dead.page(HERE)}
    assert states == {keys[0]: "dropped", keys[1]: "dead", keys[2]: "dead"}
    assert [one.principal for one in await house.dead.actions(keys[0])] == ["system-sweeper"]
    with pytest.raises(Refused, match="dropped"):
        await house.dead.show(HERE, keys[0], actor.id)
    assert await house.inbox.expire() == 0


async def test_a_young_command_is_left_to_whoever_is_publishing_it(house: Core) -> None:
    actor = await house.principal(Role.AUTHOR)
    body, command_id = orjson.dumps(campaign()), uuid4()
    key = command_key(HERE, actor.id, command_id)
    digest, sealed = wire.digest("campaign.create", body), house.contents.seal(HERE, key, body)
    await house.inbox.accept(Pending(key, command_id, HERE, actor.id, "campaign.create", digest, sealed))
    assert await Sweeper(house.bus, house.inbox, house.contents, clock, 60.0).sweep() == 0
    assert (await house.bus.js.stream_info(streams.COMMANDS)).state.messages == 0


async def test_a_command_that_finds_no_room_is_told_of(house: Core, caplog: pytest.LogCaptureFixture) -> None:
    actor = await house.principal(Role.AUTHOR)
    await streams.declare(house.bus.js, streams.Limits(duplicate_window=0.5, commands_waiting=1))
    for _ in range(3):
        body, command_id = orjson.dumps(campaign()), uuid4()
        key = command_key(HERE, actor.id, command_id)
        digest, sealed = wire.digest("campaign.create", body), house.contents.seal(HERE, key, body)
        await house.inbox.accept(Pending(key, command_id, HERE, actor.id, "campaign.create", digest, sealed))
    before = counted()
    await Sweeper(house.bus, house.inbox, house.contents, clock, 0.0).sweep()
    assert counted() == before + 1
    (told,) = [record for record in caplog.records if record.message == "sweeper: commands wait for room on the bus"]
    assert vars(told)["subjects"] == 1


def counted() -> float:
    return metrics.REGISTRY.get_sample_value("drumline_commands_without_room_total") or 0.0
