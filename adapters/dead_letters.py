"""Dead letters: messages that nobody could handle; listed, shown, replayed or dropped, and who did it is kept."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from adapters.bus import Bus
from adapters.cloudevents import Address
from adapters.command_limits import MAX_BODY
from adapters.contents import Contents
from adapters.outages import OUTAGES
from adapters.sealing import SealBroken
from domain.message import PrincipalId, Refused, WorkspaceId

State = Literal["dead", "replayed", "dropped"]
TOGETHER = 20  # bodies in memory; one may have 64 KB
SEAL = 256  # bytes that a seal adds at most

COLUMNS = "id, number, workspace, principal, name, command_id, reason, state, replays, died_at, traceparent"
LIST = f"""
SELECT {COLUMNS} FROM dead_letters
WHERE (%(workspace)s::text IS NULL OR workspace = %(workspace)s) AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(behind)s::bigint IS NULL OR number < %(behind)s)
ORDER BY number DESC LIMIT %(limit)s
"""  # noqa: S608  # of constants
ONE = f"""
SELECT {COLUMNS} FROM dead_letters WHERE id = %(id)s AND (%(workspace)s::text IS NULL OR workspace = %(workspace)s)
"""  # noqa: S608  # of constants
BODIES = "SELECT id, workspace, body FROM dead_letters WHERE workspace IN (%s, '') AND body IS NOT NULL"
BODY = "SELECT body FROM dead_letters WHERE id = %s"
BODY_SIZE = "SELECT length(body) FROM dead_letters WHERE id = %s"
# The answer is taken back, and the command waits again as one that HTTP accepted: the sweeper sees to it if need be.
REOPEN = """
UPDATE commands SET state = 'pending', rule = NULL, field = NULL, detail = NULL, answered_at = NULL, ticket = NULL,
    received_at = now(), body = (SELECT body FROM dead_letters WHERE id = %(id)s)
WHERE key = %(id)s AND state = 'crashed'
"""
REPLAYED = "UPDATE dead_letters SET state = 'replayed', replays = replays + 1 WHERE id = %s"
WAITS = "SELECT 1 FROM commands WHERE key = %s AND state = 'pending'"
DROPPED = "UPDATE dead_letters SET state = 'dropped', body = NULL WHERE id = %s"
ACT = "INSERT INTO dead_letter_actions (letter, action, principal) VALUES (%s, %s, %s)"
ACTIONS = "SELECT action, principal, at FROM dead_letter_actions WHERE letter = %s ORDER BY number"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody could handle; its body is apart. Without a command id it could not be read."""

    id: UUID
    number: int
    workspace: WorkspaceId
    principal: PrincipalId
    name: str
    command_id: UUID | None
    reason: str
    state: State
    replays: int
    died_at: datetime
    traceparent: str


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody did to a dead letter."""

    action: Literal["shown", "replayed", "dropped"]
    principal: PrincipalId
    at: datetime


class DeadLetters:
    """The dead letters of a workspace, or (workspace None) all there are, nobody's among them: for operators here."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        contents: Contents,
        bus: Bus | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._contents = contents
        self._bus = bus  # None: what is replayed waits for the sweeper
        self._clock = clock

    async def page(
        self, workspace: WorkspaceId | None, *, state: State | None = None, behind: int | None = None, limit: int = 50
    ) -> Sequence[DeadLetter]:
        """The newest first; those behind a number, if given."""
        values = {"workspace": workspace, "state": state, "behind": behind, "limit": limit}
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(DeadLetter)) as cursor:
            return await (await cursor.execute(LIST, values)).fetchall()

    async def one(self, workspace: WorkspaceId | None, letter: UUID) -> DeadLetter | None:
        """The letter, if it is the workspace's."""
        async with self._pool.connection() as connection:
            return await find(connection, ONE, workspace, letter)

    async def actions(self, letter: UUID) -> Sequence[Action]:
        """What was done to it, in order."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(Action)) as cursor:
            return await (await cursor.execute(ACTIONS, [letter])).fetchall()

    async def show(self, workspace: WorkspaceId | None, letter: UUID, who: PrincipalId) -> bytes:
        """Its body, opened; that it was is written down first. Raises Refused, SealBroken."""
        async with self._taken(workspace, letter) as (connection, found):
            if found.state == "dropped":
                raise Refused("dropped", field="dead_letter_id")
            row = await (await connection.execute(BODY, [letter])).fetchone()
            await connection.execute(ACT, [letter, "shown", who])
        return self._contents.unseal(found.workspace, found.id, row[0] if row else b"")

    async def replay(self, workspace: WorkspaceId | None, letter: UUID, who: PrincipalId) -> DeadLetter:
        """Let its command be decided again, under the same id; once more changes nothing until it dies again.

        Raises Refused when there is nothing to replay.
        """
        async with self._taken(workspace, letter) as (connection, found):
            if found.state == "dropped":
                raise Refused("dropped", field="dead_letter_id")
            if found.command_id is None:
                raise Refused("not_replayable", field="dead_letter_id")
            if found.state == "dead":
                kept = await (await connection.execute(BODY_SIZE, [letter])).fetchone()
                if kept and kept[0] > MAX_BODY + SEAL:
                    raise Refused("not_replayable", field="dead_letter_id")  # of a release that took larger ones
                if not (await connection.execute(REOPEN, {"id": letter})).rowcount:
                    raise Refused("not_crashed", field="dead_letter_id")
                await connection.execute(REPLAYED, [letter])
                await connection.execute(ACT, [letter, "replayed", who])
            row = await (await connection.execute(BODY, [letter])).fetchone()
            replayed = await find(connection, ONE, workspace, letter)
        assert row is not None
        assert replayed is not None
        await self._publish(replayed, found.command_id, row[0])
        return replayed

    async def drop(self, workspace: WorkspaceId | None, letter: UUID, who: PrincipalId) -> DeadLetter:
        """Forget its body: it can be neither shown nor replayed any more; its command stays as it is.

        One that was replayed is dropped once its command is answered.
        """
        async with self._taken(workspace, letter) as (connection, found):
            if found.state == "replayed" and await (await connection.execute(WAITS, [letter])).fetchone():
                raise Refused("replayed", field="dead_letter_id")
            if found.state != "dropped":
                await connection.execute(DROPPED, [letter])
                await connection.execute(ACT, [letter, "dropped", who])
            dropped = await find(connection, ONE, workspace, letter)
        assert dropped is not None
        return dropped

    async def forget(self, workspace: WorkspaceId, words: Collection[str], who: PrincipalId) -> None:
        """Drop what has one of these words in it, also nobody's letters. One that was replayed is being decided."""
        named = []
        async with (
            self._pool.connection() as connection,
            connection.transaction(),
            connection.cursor(name="bodies", binary=True) as cursor,
        ):
            cursor.itersize = TOGETHER
            await cursor.execute(BODIES, [workspace])
            async for letter, owner, sealed in cursor:
                with suppress(SealBroken):
                    body = self._contents.unseal(owner, letter, sealed).lower()
                    if any(word.encode() in body for word in words):
                        named.append(letter)
        for letter in named:
            with suppress(Refused):
                await self.drop(None, letter, who)

    @asynccontextmanager
    async def _taken(
        self, workspace: WorkspaceId | None, letter: UUID
    ) -> AsyncIterator[tuple[AsyncConnection[Any], DeadLetter]]:
        """A letter that nobody else does anything to meanwhile."""
        async with self._pool.connection() as connection, connection.transaction():
            found = await find(connection, f"{ONE} FOR UPDATE", workspace, letter)
            if found is None:
                raise Refused("unknown_dead_letter", field="dead_letter_id")
            yield connection, found

    async def _publish(self, letter: DeadLetter, command_id: UUID, sealed: bytes) -> None:
        """Each replay has a message id of its own: under the first one the broker would drop it as a repetition."""
        if self._bus is None:
            return
        body = self._contents.unseal(letter.workspace, letter.id, sealed)
        address = Address(letter.workspace, letter.principal, letter.name)
        with suppress(*OUTAGES):  # the row says pending: the sweeper publishes it
            await self._bus.command(
                address, command_id, body, self._clock(), letter.traceparent, msg_id=f"{command_id}-{letter.replays}"
            )


async def find(
    connection: AsyncConnection[Any], query: str, workspace: WorkspaceId | None, letter: UUID
) -> DeadLetter | None:
    """One letter, by its id."""
    async with connection.cursor(row_factory=args_row(DeadLetter)) as cursor:
        return await (await cursor.execute(query, {"id": letter, "workspace": workspace})).fetchone()
