"""The commands table: a command is there from its acceptance on, and is answered once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.event_store import EventStore
from adapters.inbox import Inbox, Pending
from domain.message import Refused, WorkspaceId, derive
from tests.adapters.logs import an_item, opened, rows
from tests.builders import AUTHOR, HERE, MODERATOR, NORTH_STREAM, READY

LONG_AGO = timedelta(seconds=-1)


@pytest.fixture
async def inbox(database_url: str) -> AsyncIterator[Inbox]:
    async with AsyncConnectionPool(database_url, open=False, min_size=1, kwargs={"autocommit": True}) as pool:
        yield Inbox(pool)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[EventStore]:
    async with opened(database_url) as log:
        yield log


def a_pending(command_id: UUID | None = None) -> Pending:
    command_id = command_id or uuid4()
    key = derive("command", HERE, AUTHOR.id, command_id)
    return Pending(key, command_id, HERE, AUTHOR.id, "account.register", b"\1" * 32, b"sealed", "00-trace")


async def test_an_accepted_command_is_pending(inbox: Inbox) -> None:
    pending = a_pending()

    assert await inbox.accept(pending) is None
    row = (await inbox.find([pending.key, uuid4()]))[pending.key]
    assert (row.state, row.name, row.digest, row.traceparent) == ("pending", pending.name, pending.digest, "00-trace")
    assert (row.answered_at, row.stream, row.position) == (None, None, None)


async def test_an_id_that_is_known_is_not_accepted_twice(inbox: Inbox) -> None:
    pending = a_pending()
    await inbox.accept(pending)
    old = await inbox.accept(replace(pending, digest=b"\2" * 32, name="other"))

    assert old is not None
    assert (old.digest, old.name) == (pending.digest, pending.name)


async def test_a_pending_command_becomes_applied_with_its_events_and_its_body_goes(
    inbox: Inbox, store: EventStore, database_url: str
) -> None:
    pending = a_pending()
    await inbox.accept(pending)
    item = an_item(NORTH_STREAM, *READY, key=pending.key, command_id=pending.command_id, digest=pending.digest)
    [verdict] = await store.append([item])

    row = (await inbox.find([pending.key]))[pending.key]
    assert (verdict.code, row.state, row.stream, row.version) == ("ok", "applied", NORTH_STREAM, 3)
    assert row.position == verdict.position
    assert row.answered_at is not None
    assert row.answered_at >= row.received_at
    assert rows(database_url, "SELECT body FROM commands") == [{"body": None}]


async def test_a_pending_command_becomes_refused(inbox: Inbox, store: EventStore) -> None:
    pending = a_pending()
    await inbox.accept(pending)
    refused = Refused("id_taken", field="account_id", status="ready")
    await store.append([an_item(NORTH_STREAM, key=pending.key, command_id=pending.command_id, refusal=refused)])

    row = (await inbox.find([pending.key]))[pending.key]
    assert (row.state, row.rule, row.field, row.detail) == ("refused", "id_taken", "account_id", {"status": "ready"})


async def test_a_command_whose_item_was_not_appended_stays_pending(inbox: Inbox, store: EventStore) -> None:
    pending = a_pending()
    await inbox.accept(pending)
    await store.append([an_item(NORTH_STREAM, *READY, expected=7, key=pending.key)])

    assert (await inbox.find([pending.key]))[pending.key].state == "pending"


async def test_a_command_is_found_by_the_id_its_sender_gave_it(inbox: Inbox) -> None:
    pending = a_pending()
    await inbox.accept(pending)
    found = await inbox.by_command(HERE, pending.command_id)

    assert found is not None
    assert found.key == pending.key
    assert await inbox.by_command(WorkspaceId("globex"), pending.command_id) is None


async def test_two_principals_may_use_the_same_id(inbox: Inbox) -> None:
    first = a_pending()
    key = derive("command", HERE, MODERATOR.id, first.command_id)
    await inbox.accept(first)

    assert await inbox.accept(replace(first, key=key, principal=MODERATOR.id)) is None


async def test_what_is_pending_for_long_is_listed_with_its_body_the_oldest_first(inbox: Inbox) -> None:
    waiting = [a_pending() for _ in range(3)]
    for pending in waiting:
        await inbox.accept(pending)

    assert await inbox.pending(LONG_AGO) == waiting
    assert await inbox.pending(LONG_AGO, limit=2) == waiting[:2]
    assert await inbox.pending(timedelta(minutes=1)) == []


async def test_a_crashed_command_keeps_what_it_was(inbox: Inbox, store: EventStore) -> None:
    pending = a_pending()
    await inbox.accept(pending)
    await inbox.crash(pending, "max_deliver")
    item = an_item(NORTH_STREAM, *READY, key=pending.key, command_id=pending.command_id)

    assert await inbox.pending(LONG_AGO) == []
    [crashed] = await store.append([item])
    assert crashed.previous is not None
    assert (crashed.previous.state, crashed.previous.rule) == ("crashed", "max_deliver")


async def test_a_command_that_was_answered_does_not_crash(inbox: Inbox, store: EventStore) -> None:
    pending = a_pending()
    await store.append([an_item(NORTH_STREAM, *READY, key=pending.key, command_id=pending.command_id)])
    await inbox.crash(pending, "max_deliver")

    assert (await inbox.find([pending.key]))[pending.key].state == "applied"


async def test_a_command_that_was_never_accepted_can_crash(inbox: Inbox) -> None:
    pending = a_pending()
    await inbox.crash(pending, "max_deliver")

    assert (await inbox.find([pending.key]))[pending.key].state == "crashed"
