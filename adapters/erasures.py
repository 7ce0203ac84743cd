"""Erasures that the log tells: those that are still to be carried out, and those that a restored database lacks."""

from collections.abc import Collection, Sequence

from psycopg_pool import AsyncConnectionPool

from adapters.erasure_ledger import Erased
from domain.message import WorkspaceId

PAGE = 2_000
PENDING = """
SELECT recipient_id, workspace, p.number_hmac FROM erasures e LEFT JOIN people p USING (workspace, recipient_id)
WHERE e.done_at IS NULL LIMIT %s
"""
KNOWN = """
SELECT workspace, recipient_id FROM erasures
JOIN unnest(%s::text[], %s::uuid[]) AS asked (workspace, recipient_id) USING (workspace, recipient_id)
"""
SUPPRESS = "INSERT INTO suppressed (workspace, number_hmac) VALUES (%s, %s) ON CONFLICT DO NOTHING"
NOBODY = "INSERT INTO erasures (recipient_id, workspace, done_at) VALUES (%s, %s, now()) ON CONFLICT DO NOTHING"


class Erasures:
    """The table of erasures: the reactors add to it, `Vault.erase` marks what is done."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def pending(self, limit: int = PAGE) -> list[Erased]:
        """People whose erasure the log tells, and who are still here."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(PENDING, [limit])).fetchall()
        return [Erased(person, WorkspaceId(workspace), number) for person, workspace, number in rows]

    async def unknown(self, erased: Collection[Erased]) -> Sequence[Erased]:
        """Those of whose erasure this database knows nothing: it is from before."""
        asked = [[one.workspace for one in erased], [one.recipient_id for one in erased]]
        async with self._pool.connection() as connection:
            here = set(await (await connection.execute(KNOWN, asked)).fetchall())
        return [one for one in erased if one.whose not in here]

    async def rule_out(self, one: Erased) -> None:
        """Somebody who is not here is not to come back, either: nothing of them or their number is kept."""
        async with self._pool.connection() as connection, connection.transaction():
            if one.number is not None:
                await connection.execute(SUPPRESS, [one.workspace, one.number])
            await connection.execute(NOBODY, [one.recipient_id, one.workspace])
