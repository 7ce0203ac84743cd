"""What sessions are wanted, how each stands, and what its sends left open."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from adapters.progress import SentMessage
from domain.message import WorkspaceId
from domain.ports import SessionState, StateChanged

# Tenants take turns where there are fewer places than accounts.
ACCOUNTS = """
SELECT account_id, workspace, removed, leaving,
    EXISTS (SELECT FROM forgotten_chats c WHERE c.account_id = a.account_id) AS forgets FROM session_accounts a
ORDER BY removed DESC, row_number() OVER (PARTITION BY workspace ORDER BY position), position
"""
FORGET = "DELETE FROM session_accounts WHERE account_id = %s AND removed"
PUT_STATE = """
INSERT INTO session_states (account_id, state, reason) VALUES (%s, %s, %s)
ON CONFLICT (account_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, at = excluded.at
"""
# A worker that was killed said nothing: what it said last holds only while its lease does.
STATES = """
SELECT s.account_id, held OR s.state = 'dead', s.state, s.reason, s.at FROM session_states s
LEFT JOIN leases l ON l.account = s.account_id,
LATERAL (SELECT coalesce(l.expires_at > clock_timestamp(), false) AS held) _
WHERE s.account_id = ANY(%s)
"""
# Of those whom nobody holds, where all places are taken.
NO_ROOM = """
INSERT INTO session_states (account_id, state, reason)
SELECT a.account_id, %s, %s FROM session_accounts a
LEFT JOIN leases l ON l.account = a.account_id AND l.expires_at > clock_timestamp()
WHERE l.account IS NULL AND NOT a.removed
ON CONFLICT (account_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, at = excluded.at
WHERE (session_states.state, session_states.reason) <> (excluded.state, excluded.reason)
"""
WITHOUT_ROOM = "SELECT count(*) FROM session_states WHERE (state, reason) = (%s, %s)"
OPEN = """
SELECT delivery_id, part FROM send_progress WHERE account_id = %s AND state = 'intended' AND fence < %s
"""
UNKNOWN = """
SELECT s.delivery_id, s.part, s.recipient_id, p.version FROM send_progress s JOIN people p USING (recipient_id)
WHERE s.account_id = %s AND s.state = 'unknown' ORDER BY s.delivery_id LIMIT 500
"""
MESSAGES = "SELECT wa_id, delivery_id, part, workspace FROM sent_messages WHERE wa_id = ANY(%s)"

NO_PLACE = (SessionState.DEAD, "no_room")


@dataclass(frozen=True, slots=True)
class WantedSession:
    """A registered account, or one that is to be logged out; of one that was removed, only what its last session left
    open is to be told."""

    account_id: UUID
    workspace: WorkspaceId
    removed: bool = False
    leaving: bool = False
    forgets: bool = False  # it has chats to delete, with people who were erased


@dataclass(frozen=True, slots=True)
class SessionNow:
    """How an account's session stands, or stood last."""

    account_id: UUID
    state: SessionState
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent without an outcome."""

    delivery_id: UUID
    part: int


@dataclass(frozen=True, slots=True)
class UnknownSend:
    """A send that nobody could tell of, and the person's newest version in the vault."""

    delivery_id: UUID
    part: int
    recipient_id: UUID
    version: int


async def states(connection: AsyncConnection[Any], accounts: Collection[UUID]) -> dict[UUID, SessionNow]:
    """How the sessions of these accounts stand; one that never had any is left out."""
    rows = await (await connection.execute(STATES, [list(accounts)])).fetchall()
    return {
        account: SessionNow(account, SessionState(state), reason, at)
        if known
        else SessionNow(account, SessionState.DEAD, "no_worker", at)
        for account, known, state, reason, at in rows
    }


class Sessions:
    """The tables that session workers read, and the one they write (a session's state is chatter, not an event)."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def wanted(self) -> Sequence[WantedSession]:
        """All registered accounts, in the order in which they get sessions."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=args_row(WantedSession)) as cursor,
        ):
            await cursor.execute(ACCOUNTS)
            return await cursor.fetchall()

    async def forget(self, account: UUID) -> None:
        """Nothing is left to be done for an account that was removed."""
        async with self._pool.connection() as connection:
            await connection.execute(FORGET, [account])

    async def put_state(self, account: UUID, changed: StateChanged) -> None:
        """Note how a session stands now."""
        async with self._pool.connection() as connection:
            await connection.execute(PUT_STATE, [account, changed.state, changed.reason])

    async def no_room(self) -> int:
        """Note which accounts have no session because all places are taken; how many there are."""
        async with self._pool.connection() as connection:
            await connection.execute(NO_ROOM, NO_PLACE)
            row = await (await connection.execute(WITHOUT_ROOM, NO_PLACE)).fetchone()
        assert row is not None
        return int(row[0])

    async def open_intents(self, account: UUID, fence: int) -> Sequence[OpenIntent]:
        """What former holders of this account's lease intended and never said the outcome of."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(OpenIntent)) as cursor:
            await cursor.execute(OPEN, [account, fence])
            return await cursor.fetchall()

    async def unknown(self, account: UUID) -> Sequence[UnknownSend]:
        """Which of an account's sends nobody could tell of; not those that were given up."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=args_row(UnknownSend)) as cursor,
        ):
            await cursor.execute(UNKNOWN, [account])
            return await cursor.fetchall()

    async def messages(self, wa_ids: Collection[str]) -> Sequence[SentMessage]:
        """Which of our sends these message ids stand for; ids of others are left out."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=args_row(SentMessage)) as cursor,
        ):
            await cursor.execute(MESSAGES, [list(wa_ids)])
            return await cursor.fetchall()
