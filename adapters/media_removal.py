"""Removing media: what nobody needs is first no longer whole, then gone from the store, then from the table."""

from collections.abc import Collection, Iterable
from datetime import timedelta

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.media import name, segments_of
from adapters.media_store import Store
from adapters.media_uploads import Upload, UploadGone, Uploads
from domain.message import Digest, WorkspaceId

SETTLED = timedelta(minutes=1)  # after a deletion: until then a command that asked before may still be answered
PAGE = 500

# Whoever puts or asks for it in the middle moves `used_at`, and it stays: so each statement asks again.
UNUSED = "(used_at < now() - %(grace)s OR deleted_at < now() - %(settled)s)"
CANDIDATES = f"""
SELECT number, workspace, id FROM media WHERE {UNUSED} AND number > %(after)s ORDER BY number LIMIT %(page)s
"""  # noqa: S608  # of constants
RESTORE = (
    "UPDATE media SET deleted_at = NULL WHERE workspace = %(workspace)s AND id = %(id)s AND deleted_at IS NOT NULL"
)
UNDO = f"UPDATE media SET written = false WHERE workspace = %(workspace)s AND id = %(id)s AND written AND {UNUSED}"  # noqa: S608  # of constants
TAKE = f"""
SELECT size FROM media WHERE workspace = %(workspace)s AND id = %(id)s AND NOT written AND {UNUSED} FOR UPDATE
"""  # noqa: S608  # of constants
GONE = "DELETE FROM media WHERE workspace = %(workspace)s AND id = %(id)s"
IDLE = """
SELECT id, workspace, size, chunks, media, touched_at FROM media_uploads WHERE touched_at < now() - %s LIMIT %s
"""


class Removal:
    """What is killed in the middle is done again: nothing is forgotten before it is gone."""

    def __init__(self, pool: AsyncConnectionPool, store: Store, uploads: Uploads) -> None:
        self._pool = pool
        self._store = store
        self._uploads = uploads
        self._grace = uploads.grace

    async def step(self, used: Collection[tuple[WorkspaceId, Digest]], settled: timedelta = SETTLED) -> int:
        """Remove what is not among the used ones and was not touched for the grace; how many media and uploads."""
        await self._store.tidy()
        return await self._unused(used, settled) + await self._idle()

    async def _unused(self, used: Collection[tuple[WorkspaceId, Digest]], settled: timedelta) -> int:
        removed = after = 0
        while True:
            values = {"grace": self._grace, "settled": settled, "after": after, "page": PAGE}
            async with self._pool.connection() as connection:
                page = await (await connection.execute(CANDIDATES, values)).fetchall()
            for number, workspace, media in page:
                one = values | {"workspace": workspace, "id": media}
                async with self._pool.connection() as connection:
                    if (workspace, media) in used:
                        await connection.execute(RESTORE, one)
                    else:
                        await connection.execute(UNDO, one)
                        removed += await self._remove(connection, media, one)
                after = number
            if len(page) < PAGE:
                return removed

    async def _remove(self, connection: AsyncConnection, media: str, one: dict[str, object]) -> int:
        """The row is held meanwhile: whoever puts the same content waits, and then writes it anew."""
        async with connection.transaction():
            row = await (await connection.execute(TAKE, one)).fetchone()
            if row is None:
                return 0
            await self._store.delete(names(media, row[0]))
            await connection.execute(GONE, one)
        return 1

    async def _idle(self) -> int:
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(IDLE, [self._grace, PAGE])).fetchall()
        removed = 0
        for upload in [Upload(*row) for row in rows]:
            try:
                await self._uploads.cancel(upload.workspace, upload.id)
                removed += 1
            except UploadGone:  # its giver was first
                continue
        return removed


def names(media: str, size: int) -> Iterable[str]:
    """Under which all of a file lies."""
    return [name(media, number) for number in range(segments_of(size))]
