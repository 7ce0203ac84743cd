"""Consents that imported lists state, on their way from the API to whoever records them: sealed, in pieces."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from adapters.audience_staging import Consent
from adapters.sealing import Sealing
from domain.message import Actor, PrincipalId, Role, WorkspaceId
from domain.recipient import ConsentSource

PIECE = 2_000  # consents in one row
TRIES = 10  # that fail, in about 17 minutes; then a piece is given up until its list is given again
USE = "stated-consents"

ADD = """
INSERT INTO stated_consents (workspace, audience_id, place, principal, roles, sealed)
VALUES (%s, %s, %s, %s, %s, %b) ON CONFLICT (workspace, audience_id, place) DO UPDATE
SET principal = excluded.principal, roles = excluded.roles, sealed = excluded.sealed, tries = 0, due_at = now()
WHERE stated_consents.due_at = 'infinity'
"""
WAITS = "SELECT 1 FROM stated_consents WHERE workspace = %s AND audience_id = %s LIMIT 1"
# Workspaces take turns: the one that follows the last.
TAKE = """
SELECT workspace, audience_id, place, principal, roles, sealed FROM stated_consents WHERE due_at <= now()
ORDER BY workspace <= %s, workspace, stated_at, audience_id, place LIMIT 1 FOR UPDATE SKIP LOCKED
"""
DONE = "DELETE FROM stated_consents WHERE workspace = %s AND audience_id = %s AND place = %s"
# What is given up stays, due never.
PUT_OFF = """
UPDATE stated_consents SET tries = tries + 1,
    due_at = CASE WHEN tries + 1 < %s THEN now() + make_interval(secs => power(2, tries)) ELSE 'infinity' END
WHERE workspace = %s AND audience_id = %s AND place = %s RETURNING due_at = 'infinity'
"""


@dataclass(frozen=True, slots=True)
class Stated:
    """A piece of what a list states."""

    workspace: WorkspaceId
    audience_id: UUID
    place: int
    principal: PrincipalId
    roles: Sequence[str]
    sealed: bytes

    @property
    def key(self) -> tuple[WorkspaceId, UUID, int]:
        """Its row's."""
        return self.workspace, self.audience_id, self.place

    @property
    def actor(self) -> Actor:
        """Who gave the list, with the roles of that time."""
        return Actor(self.principal, self.workspace, frozenset(Role(role) for role in self.roles))


class StatedConsents:
    """The table of consents that are to be recorded."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], sealing: Sealing) -> None:
        self._pool = pool
        self._sealing = sealing

    async def add(self, actor: Actor, audience_id: UUID, consents: Sequence[Consent]) -> None:
        """Keep what a list states, all or nothing; a list that is repeated while it waits adds nothing, and what was
        given up is tried anew."""
        async with self._pool.connection() as connection, connection.transaction():
            for place, start in enumerate(range(0, len(consents), PIECE)):
                plain = orjson.dumps(consents[start : start + PIECE])
                sealed = self._sealing.seal(actor.workspace, USE, f"{audience_id}|{place}", plain)
                row = [actor.workspace, audience_id, place, actor.id, sorted(actor.roles), sealed]
                await connection.execute(ADD, row)

    async def waits(self, workspace: WorkspaceId, audience_id: UUID) -> bool:
        """Whether some of what a list states is not recorded yet."""
        async with self._pool.connection() as connection:
            return await (await connection.execute(WAITS, [workspace, audience_id])).fetchone() is not None

    @asynccontextmanager
    async def taken(self, after: str) -> AsyncIterator[Stated | None]:
        """A piece to record, of the workspace that follows this one; nobody else has it meanwhile.

        It is done with unless an exception is raised, or this process dies.
        """
        async with self._pool.connection() as connection, connection.transaction():
            async with connection.cursor(row_factory=args_row(Stated), binary=True) as cursor:
                taken = await (await cursor.execute(TAKE, [after])).fetchone()
            yield taken
            if taken is not None:
                await connection.execute(DONE, taken.key)

    async def put_off(self, stated: Stated) -> bool:
        """Try a piece again later, each time later; False when it has failed too often, and is given up."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(PUT_OFF, [TRIES, *stated.key])).fetchone()
        return row is None or not row[0]

    def opened(self, stated: Stated) -> list[Consent]:
        """What it says. Raises SealBroken."""
        place = f"{stated.audience_id}|{stated.place}"
        return [
            Consent(
                UUID(one["recipient_id"]),
                ConsentSource(one["source"]),
                datetime.fromisoformat(one["given_at"]),
                one["proof"],
            )
            for one in orjson.loads(self._sealing.open(stated.workspace, USE, place, stated.sealed))
        ]
