"""A page of the log into every read model: one row a key, all written in one transaction with the position."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from domain.message import Recorded
from projections import accounts, audiences, campaigns, deliveries, jobs, recipients, templates, workspaces
from projections.projection import Projection, share
from projections.table import stream_key

Connection = AsyncConnection  # for those who may not know psycopg

PROJECTIONS: Sequence[Projection[Any]] = (
    workspaces.PROJECTION,
    accounts.PROJECTION,
    audiences.PROJECTION,
    recipients.PROJECTION,
    templates.PROJECTION,
    campaigns.PROJECTION,
    jobs.PROJECTION,
    deliveries.PROJECTION,
)

POSITION = "SELECT position FROM projected"
TAKE = POSITION + " FOR UPDATE"  # who projects beside us waits here, then finds our work done
ADVANCE = "UPDATE projected SET position = %s"
# A crash may take back the last commits, but rows and position together: the log gives them again.
NO_WAIT = "SET LOCAL synchronous_commit = off"


async def apply(
    connection: AsyncConnection,
    after: int,
    page: Sequence[Recorded],
    projections: Sequence[Projection[Any]] = PROJECTIONS,
) -> int:
    """Project the events that follow position `after`; returns the position reached, to read on from.

    What another process projected before is passed over. A position below `after` comes back, and nothing is
    written, when the read models were emptied meanwhile.
    """
    async with connection.pipeline(), connection.transaction():
        await connection.execute(NO_WAIT)
        taken = await (await connection.execute(TAKE)).fetchone()
        assert taken is not None
        position: int = taken[0]
        if position < after:
            return position
        events = [(stream_key(recorded), recorded) for recorded in page if recorded.position > position]
        if not events:
            return position
        folds = share(projections, events)
        loading = [await fold.load(connection) for fold in folds]
        for fold, asked in zip(folds, loading, strict=True):
            fold.fold(await asked.rows() if asked else {})
        for fold in folds:
            await fold.write(connection)
        position = events[-1][1].position
        await connection.execute(ADVANCE, [position])
    return position


class ReadModels:
    """The read models of one database."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection to ask them by."""
        return self._pool.connection()

    async def position(self) -> int:
        """How far the log is projected: the position of the last event taken in."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(POSITION)).fetchone()
            assert row is not None
            return int(row[0])

    async def apply(self, after: int, page: Sequence[Recorded]) -> int:
        """Project a page of the log; see `apply`."""
        async with self._pool.connection() as connection:
            return await apply(connection, after, page)
