"""The commands table: every command and inside decision, and what became of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from adapters.cloudevents import Address
from adapters.dead_letter_quota import Dead, DeadLetterQuota, bury
from domain.message import PrincipalId, StreamId, WorkspaceId

State = Literal["pending", "applied", "refused", "crashed"]

COLUMNS = (
    "key, command_id, workspace, principal, name, digest, state, rule, field, detail, stream, version, position, "
    "received_at, answered_at, traceparent"
)
FIND = f"SELECT {COLUMNS} FROM commands WHERE key = ANY(%s)"  # noqa: S608  # of constants
WAITING = "SELECT key FROM commands WHERE key = ANY(%s) AND state = 'pending'"
BY_COMMAND = f"""
SELECT {COLUMNS} FROM commands WHERE workspace = %(workspace)s AND command_id = %(command_id)s
ORDER BY principal IS NOT DISTINCT FROM %(asker)s DESC, received_at LIMIT 1
"""  # noqa: S608  # of constants
ACCEPT = """
INSERT INTO commands (key, command_id, workspace, principal, name, digest, state, body, traceparent)
VALUES (%(key)s, %(command_id)s, %(workspace)s, %(principal)s, %(name)s, %(digest)s, 'pending', %(body)s,
        %(traceparent)s)
ON CONFLICT (key) DO NOTHING
"""
# The oldest of each giver first, then the second of each…: nobody's thousands hold up others'.
PENDING = """
WITH RECURSIVE givers AS (
    (SELECT workspace, principal FROM commands WHERE state = 'pending' ORDER BY workspace, principal LIMIT 1)
    UNION ALL
    SELECT following.* FROM givers g, LATERAL (
        SELECT workspace, principal FROM commands
        WHERE state = 'pending' AND (workspace, principal) > (g.workspace, g.principal)
        ORDER BY workspace, principal LIMIT 1
    ) following
), chosen AS (
    SELECT waiting.* FROM givers g, LATERAL (
        SELECT key, received_at, row_number() OVER (ORDER BY received_at) AS turn FROM commands
        WHERE state = 'pending' AND workspace = g.workspace AND principal = g.principal
          AND received_at < now() - %(older_than)s AND body IS NOT NULL
        ORDER BY received_at LIMIT %(limit)s
    ) waiting
    ORDER BY turn, received_at LIMIT %(limit)s
)
SELECT c.key, c.command_id, c.workspace, c.principal, c.name, c.digest, c.body, c.traceparent
FROM chosen JOIN commands c USING (key) WHERE c.state = 'pending' AND c.body IS NOT NULL
ORDER BY chosen.turn, chosen.received_at
"""
# What its own key kept from the bus a moment ago counts apart.
OLDEST = """
SELECT min(received_at) FILTER (WHERE (no_room_at > now() - interval '60 s') IS NOT TRUE),
       min(received_at) FILTER (WHERE no_room_at > now() - interval '60 s')
FROM commands WHERE state = 'pending'
"""
NO_ROOM = """
UPDATE commands SET no_room_at = now()
WHERE state = 'pending' AND workspace = %(workspace)s AND principal = %(principal)s AND name = %(name)s
  AND (no_room_at > now() - interval '20 s') IS NOT TRUE
"""
CRASH = """
INSERT INTO commands (key, command_id, workspace, principal, name, digest, state, rule, answered_at, traceparent)
VALUES (%(key)s, %(command_id)s, %(workspace)s, %(principal)s, %(name)s, %(digest)s, 'crashed', %(rule)s, now(),
        %(traceparent)s)
ON CONFLICT (key) DO UPDATE SET state = 'crashed', rule = excluded.rule, answered_at = now(), body = NULL
WHERE commands.state = 'pending' AND commands.digest = excluded.digest AND NOT EXISTS (
    SELECT FROM dead_letters d WHERE d.id = commands.key AND d.source = %(source)s)
"""
TRYING = """
INSERT INTO tries (message, begun) VALUES (%s, 1)
ON CONFLICT (message) DO UPDATE SET begun = tries.begun + 1 RETURNING begun
"""
TRIED = "DELETE FROM tries WHERE message = %s"
GONE = """
DELETE FROM tries WHERE split_part(message, '-', 1)::bigint < split_part(%(first)s, '-', 1)::bigint
    OR split_part(message, '-', 2)::bigint < split_part(%(first)s, '-', 2)::bigint
"""


# One that was replayed is kept until its command is answered: nobody else has its body.
EXPIRE = """
WITH gone AS (
    UPDATE dead_letters d SET state = 'dropped', body = NULL
    WHERE body IS NOT NULL AND died_at < now() - %s
      AND NOT EXISTS (SELECT FROM commands c WHERE c.key = d.id AND c.state = 'pending')
    RETURNING id
)
INSERT INTO dead_letter_actions (letter, action, principal) SELECT id, 'dropped', 'system-sweeper' FROM gone
"""
KEPT = timedelta(days=30)  # that a dead message's body is kept: it may say something of people


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command as the table tells it: `version` and `position` are its stream's and its last event's."""

    key: UUID
    command_id: UUID
    workspace: WorkspaceId
    principal: PrincipalId
    name: str
    digest: bytes
    state: State
    rule: str | None
    field: str | None
    detail: Mapping[str, Any] | None
    stream: StreamId | None
    version: int | None
    position: int | None
    received_at: datetime
    answered_at: datetime | None
    traceparent: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A command that was accepted and not yet answered; `body` is sealed."""

    key: UUID
    command_id: UUID
    workspace: WorkspaceId
    principal: PrincipalId
    name: str
    digest: bytes
    body: bytes
    traceparent: str = ""


class Inbox:
    """Looks commands up, accepts them before they are published, and marks those that nobody could answer."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], quota: DeadLetterQuota | None = None) -> None:
        """`quota`: of the dead letters of a workspace."""
        self._pool = pool
        self._quota = quota or DeadLetterQuota()

    async def find(self, keys: Collection[UUID]) -> dict[UUID, CommandRow]:
        """The rows of these keys, in one round trip; a key without a row is left out."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(CommandRow)) as cursor:
            await cursor.execute(FIND, [list(keys)])
            return {row.key: row async for row in cursor}

    async def waiting(self, keys: Collection[UUID]) -> set[UUID]:
        """Those of these keys that HTTP accepted and nobody has answered."""
        async with self._pool.connection() as connection:
            return {row[0] for row in await (await connection.execute(WAITING, [list(keys)])).fetchall()}

    async def by_command(
        self, workspace: WorkspaceId, command_id: UUID, asker: PrincipalId | None = None
    ) -> CommandRow | None:
        """The command with the id its sender gave it; of two principals' equal ids the asker's, else the first one."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(CommandRow)) as cursor:
            await cursor.execute(BY_COMMAND, {"workspace": workspace, "command_id": command_id, "asker": asker})
            return await cursor.fetchone()

    async def accept(self, pending: Pending) -> CommandRow | None:
        """Write a pending row; where the key has one already nothing changes, and that row is returned."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(ACCEPT, {name: getattr(pending, name) for name in Pending.__slots__})
            if cursor.rowcount:
                return None
        return (await self.find([pending.key]))[pending.key]

    async def pending(self, older_than: timedelta, limit: int = 100) -> Sequence[Pending]:
        """Commands still unanswered after this time, to be published again: each giver's oldest first, in turn."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(Pending)) as cursor:
            await cursor.execute(PENDING, {"older_than": older_than, "limit": limit})
            return await cursor.fetchall()

    async def oldest_pending(self) -> tuple[datetime | None, datetime | None]:
        """When the oldest command came that nobody has answered: of those that the bus had room for, and of others."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(OLDEST)).fetchone()
        return row or (None, None)

    async def no_room(self, address: Address) -> None:
        """The bus takes no more commands of this kind from this key: what waits here waits for that."""
        async with self._pool.connection() as connection:
            names = {"workspace": address.workspace, "principal": address.principal, "name": address.name}
            await connection.execute(NO_ROOM, names)

    async def trying(self, message: str) -> int:
        """Write down that a message is about to be tried by itself: how often it was, this time included."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(TRYING, [message])).fetchone()
        assert row is not None
        begun: int = row[0]
        return begun

    async def tried(self, message: str) -> None:
        """Forget the tries of a message that nobody need try again."""
        async with self._pool.connection() as connection:
            await connection.execute(TRIED, [message])

    async def forget_tries(self, first: str) -> None:
        """Forget those of messages that are gone, see `Bus.first`: who tried them may have been killed before."""
        async with self._pool.connection() as connection:
            await connection.execute(GONE, {"first": first})

    async def bury(self, dead: Dead) -> bool:
        """Put a message aside for a person; whether its body is kept, see `bury_all`."""
        return (await self.bury_all([dead]))[0]

    async def bury_all(self, dead: Sequence[Dead]) -> list[bool]:
        """Put messages aside, as far as the quota of their key and workspace goes; of which the body is kept.

        One that lies there already, was dropped, or was replayed stays as it is; what was replayed and died anew, as
        another message, lies there again. Beyond the quota a command's letter is kept without its body, and nothing of
        what could not be read.
        """
        async with self._pool.connection() as connection:
            return await bury(connection, dead, self._quota)

    async def expire(self) -> int:
        """Forget the bodies of those that nobody has seen to for long; how many."""
        async with self._pool.connection() as connection:
            return (await connection.execute(EXPIRE, [KEPT])).rowcount

    async def crash(self, pending: Pending, rule: str, source: str | None = None) -> CommandRow:
        """Mark a command that nobody could answer; what its row says then.

        One that was answered meanwhile stays as it is, and one that was replayed after this very message had died.
        """
        values = {name: getattr(pending, name) for name in Pending.__slots__ if name != "body"}
        async with self._pool.connection() as connection:
            await connection.execute(CRASH, {**values, "rule": rule, "source": source})
        return (await self.find([pending.key]))[pending.key]
