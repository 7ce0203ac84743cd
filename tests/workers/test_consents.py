"""Consents that lists state: recorded whoever dies meanwhile, and no list's fault holds up another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.audience_staging import Consent
from adapters.stated_consents import PIECE, StatedConsents
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
    people = [row[0] for row in await house.rows("SELECT recipient_id FROM people WHERE workspace = %s", HERE)]
    consents = [Consent(one, ConsentSource.PAPER, datetime.now(UTC), "a form") for one in people]
    table = StatedConsents(house.pool, house.imports.sealing)
    await table.add(replace(AUTHOR, workspace=WorkspaceId("also")), uuid4(), consents)
    await house.rows("UPDATE stated_consents SET sealed = '' RETURNING 1")
    await table.add(AUTHOR, UUID(int=1), consents)
    return table, ConsentWorker(table, Consents(house.decisions, house.contents, house.models), look=0.02)


async def recorded(house: House) -> int:
    return sum(isinstance(one.event, ConsentRecorded) for one in await house.events())


async def test_a_list_that_cannot_be_opened_is_tried_later_and_holds_up_no_other(house: House) -> None:
    table, worker = await stated(house)
    assert [await worker.step() for _ in range(3)] == [True, True, False]
    assert await recorded(house) == 3
    assert not await table.waits(HERE, UUID(int=1))
    assert await house.rows("SELECT workspace, tries, due_at > now() FROM stated_consents") == [("also", 1, True)]


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
