"""Consents that lists state: recorded whoever dies meanwhile, and no list's fault holds up another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters import metrics
from adapters.audience_staging import Consent
from adapters.census import COUNTS, Counts
from adapters.stated_consents import PIECE, TRIES, StatedConsents
from domain.message import WorkspaceId
from domain.recipient import ConsentRecorded, ConsentSource
from tests.waiting import until
from tests.workers.import_house import AUTHOR, HERE, House, import_house
from workers.consents import Consents, ConsentWorker
from workers.decisions import Decisions

LISTED = b"number\n" + b"".join(b"+120255501%02d\n" % number for number in range(3))


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with import_house(database_url) as made:
        yield made


async def stated(house: House) -> tuple[StatedConsents, ConsentWorker]:
    """People whose consents are stated, by two workspaces: the first one's cannot be opened."""
    await house.imported(LISTED)
    consents = await some(house)
    table = StatedConsents(house.pool, house.imports.sealing)
    await table.add(replace(AUTHOR, workspace=WorkspaceId("also")), uuid4(), consents)
    await house.rows("UPDATE stated_consents SET sealed = '' RETURNING 1")
    await table.add(AUTHOR, UUID(int=1), consents)
    return table, ConsentWorker(table, Consents(house.decisions, house.contents, house.models), look=0.02)


async def some(house: House) -> list[Consent]:
    people = [row[0] for row in await house.rows("SELECT recipient_id FROM people WHERE workspace = %s", HERE)]
    return [Consent(one, ConsentSource.PAPER, datetime.now(UTC), "a form") for one in people]


async def recorded(house: House) -> int:
    return sum(isinstance(one.event, ConsentRecorded) for one in await house.events())


async def test_a_list_that_cannot_be_opened_is_tried_later_and_holds_up_no_other(house: House) -> None:
    table, worker = await stated(house)
    assert [await worker.step() for _ in range(3)] == [True, True, False]
    assert await recorded(house) == 3
    assert not await table.waits(HERE, UUID(int=1))
    assert await house.rows("SELECT workspace, tries, due_at > now() FROM stated_consents") == [("also", 1, True)]


async def test_what_fails_too_often_is_given_up_seen_by_somebody_and_tried_anew_with_its_list(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    table, worker = await stated(house)
    metrics.LOST.clear()
    before = await counts(house)
    await house.rows("UPDATE stated_consents SET tries = %s WHERE workspace = 'also' RETURNING 1", TRIES - 2)
    for given_up in (False, True):
        while await worker.step():
            pass
        assert await house.rows("SELECT due_at = 'infinity' FROM stated_consents") == [(given_up,)]
        await house.rows("UPDATE stated_consents SET due_at = now() WHERE due_at < 'infinity' RETURNING 1")
    assert before == (2, 0)
    assert await counts(house) == (0, 1)
    assert metrics.REGISTRY.get_sample_value("drumline_facts_lost_total", {"fact": "consent", "reason": "failed"}) == 1
    ((audience,),) = await house.rows("SELECT audience_id FROM stated_consents")
    lost = [one for one in caplog.records if one.getMessage() == "something that happened cannot be recorded"]
    assert [(one.__dict__["workspace"], one.__dict__["audience"]) for one in lost] == [("also", str(audience))]
    await table.add(replace(AUTHOR, workspace=WorkspaceId("also")), audience, await some(house))
    assert await counts(house) == (1, 0)


async def test_what_was_tried_a_thousand_times_is_given_up_and_ends_no_worker(house: House) -> None:
    _, worker = await stated(house)
    await house.rows("UPDATE stated_consents SET tries = 1100 WHERE workspace = 'also' RETURNING 1")
    assert [await worker.step() for _ in range(3)] == [True, True, False]
    assert await counts(house) == (0, 1)


async def counts(house: House) -> tuple[int, int]:
    """Pieces that wait, and those given up, as an operator sees them."""
    async with house.pool.connection() as connection:
        row = await (await connection.execute(COUNTS)).fetchone()
    assert row is not None
    found = Counts(*row)
    return found.consents, found.consents_given_up


async def test_consents_are_recorded_once_although_whoever_recorded_them_was_killed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, worker = await stated(house)
    make, reached = Decisions.make, asyncio.Event()

    async def stops(decisions: Decisions, requests: Any) -> Any:
        await make(decisions, requests)
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Decisions, "make", stops)
        killed = asyncio.create_task(worker.run())
        await asyncio.wait_for(reached.wait(), 20)
        killed.cancel()
        await asyncio.wait([killed])
    assert await table.waits(HERE, UUID(int=1))
    running = asyncio.create_task(worker.run())

    async def done() -> bool:
        return not await table.waits(HERE, UUID(int=1))

    await until(done)
    running.cancel()
    await asyncio.wait([running])
    assert await recorded(house) == 3


async def test_a_list_of_many_is_kept_in_pieces_and_once(house: House) -> None:
    table = StatedConsents(house.pool, house.imports.sealing)
    many = [Consent(UUID(int=n), ConsentSource.IMPORT, datetime.now(UTC), None) for n in range(PIECE + 1)]
    for _ in range(2):
        await table.add(AUTHOR, UUID(int=1), many)
    assert await house.rows("SELECT place FROM stated_consents ORDER BY place") == [(0,), (1,)]
    for wanted in (many[:PIECE], many[PIECE:]):
        async with table.taken("") as piece:
            assert piece is not None
            assert (table.opened(piece), piece.actor) == (wanted, AUTHOR)
