"""Declared attributes: what people can be filtered by, and how those who are here already get their values."""

from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool

from adapters import metrics
from adapters.vault import LOCK_NOW, Vault
from domain.attributes import MOST, NAME, TAKEN, AttributeKind
from domain.message import Refused, WorkspaceId

KINDS = "SELECT name, kind, filled IS NULL FROM attributes WHERE workspace = %s ORDER BY name"
DECLARE = """
INSERT INTO attributes (workspace, name, kind, filled) VALUES (%(workspace)s, %(name)s, %(kind)s, 0)
ON CONFLICT (workspace, name) DO UPDATE SET kind = excluded.kind, filled = 0 WHERE attributes.kind <> excluded.kind
"""
COUNTING = "SELECT pg_advisory_xact_lock(hashtextextended('drumline attributes of ' || %s, 0))"
COUNT = "SELECT count(*) FROM attributes WHERE workspace = %s AND name <> %s"
FORGET = "DELETE FROM attributes WHERE workspace = %s AND name = %s"
WAITING = "SELECT workspace FROM attributes WHERE filled IS NOT NULL ORDER BY workspace LIMIT 1"
UNFILLED = "SELECT name, kind, filled FROM attributes WHERE workspace = %s ORDER BY name FOR UPDATE"
NEXT = "SELECT recipient_id, version, added FROM people WHERE workspace = %s AND added > %s ORDER BY added LIMIT %s"
FILL = """
UPDATE people p SET attributes = t.attributes, words = t.words::int[]
FROM unnest(%s::uuid[], %s::int[], %s::jsonb[], %s::text[]) AS t (recipient_id, version, attributes, words)
WHERE p.workspace = %s AND p.recipient_id = t.recipient_id AND p.version = t.version
"""
FILLED = "UPDATE attributes SET filled = %s WHERE workspace = %s AND name = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared attribute; `ready` when everybody can be filtered by it."""

    name: str
    kind: AttributeKind
    ready: bool


class Attributes:
    """The attributes of all workspaces."""

    def __init__(self, pool: AsyncConnectionPool, vault: Vault, most: int = MOST) -> None:
        """`most`: that a workspace may declare."""
        self._pool = pool
        self._most_attributes = most
        self._vault = vault

    async def attributes(self, workspace: WorkspaceId) -> list[Declared]:
        """The attributes that people can be filtered by."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(KINDS, [workspace])).fetchall()
        return [Declared(name, AttributeKind(kind), ready) for name, kind, ready in rows]

    async def declare(self, workspace: WorkspaceId, name: str, kind: AttributeKind) -> None:
        """Let people be filtered by a variable; those who are here already follow within a while. Raises Refused."""
        if not NAME.fullmatch(name):
            raise Refused("malformed", field="name")
        if name in TAKEN:
            raise Refused("reserved", field="name")
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(COUNTING, [workspace])
            row = await (await connection.execute(COUNT, [workspace, name])).fetchone()
            if row is not None and row[0] >= self._most_attributes:
                metrics.OVER_QUOTA.labels("attributes", "workspace").inc()
                raise Refused("too_many", field="name", maximum=self._most_attributes)
            await connection.execute(DECLARE, {"workspace": workspace, "name": name, "kind": kind})

    async def withdraw(self, workspace: WorkspaceId, name: str) -> bool:
        """Let nobody be filtered by it any more; False when nobody was."""
        if not NAME.fullmatch(name):
            return False
        async with self._pool.connection() as connection:
            return bool((await connection.execute(FORGET, [workspace, name])).rowcount)

    async def fill(self, limit: int = 1_000) -> bool:
        """Give the next people the values of what was declared after they came; False when there is nobody to be given
        any, or somebody is adding people just now, of whom nobody can say what they were given."""
        async with self._pool.connection() as connection, connection.transaction():
            row = await (await connection.execute(WAITING)).fetchone()
            if row is None:
                return False
            workspace = WorkspaceId(row[0])
            free = await (await connection.execute(LOCK_NOW, [workspace])).fetchone()
            if free is None or not free[0]:
                return False
            declared = await (await connection.execute(UNFILLED, [workspace])).fetchall()
            kinds = {name: AttributeKind(kind) for name, kind, _ in declared}
            late = [name for name, _, filled in declared if filled is not None]
            after = min((filled for _, _, filled in declared if filled is not None), default=0)
            rows = await (await connection.execute(NEXT, [workspace, after, limit])).fetchall()
            people = await self._vault.opened(connection, [(person, version) for person, version, _ in rows])
            facets = [self._vault.facets(workspace, kinds, person.variables) for person in people.values()]
            if people:
                ids, versions = zip(*people, strict=True)
                plain, words = zip(*facets, strict=True)
                await connection.execute(FILL, [list(ids), list(versions), list(plain), list(words), workspace])
            await connection.execute(FILLED, [rows[-1][2] if len(rows) == limit else None, workspace, late])
        return True
