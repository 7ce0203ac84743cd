"""Files that come in chunks: each chunk is kept once it is here, and the last one makes the whole media."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from adapters import metrics
from adapters.media import Media, MediaGone, MediaRecord, cut
from adapters.media_kinds import FIELD
from adapters.media_store import SegmentMissing, Store
from adapters.runtime.pools import HASHING
from adapters.runtime.turns import Turns
from adapters.sealing import Sealing
from domain.message import Digest, Refused, WorkspaceId

USE = "media upload"
MOST_CHUNKS = 10_000
MOST_OPEN = 1_000  # uploads of a workspace
AT_ONCE = 4  # chunks written; each holds a connection meanwhile

COLUMNS = "id, workspace, size, chunks, media, touched_at"
BEGIN = f"INSERT INTO media_uploads (id, workspace, size) VALUES (%s, %s, %s) RETURNING {COLUMNS}"  # noqa: S608  # of constants
ONE = f"SELECT {COLUMNS} FROM media_uploads WHERE id = %s AND workspace = %s"  # noqa: S608  # of constants
LOCKED = f"{ONE} FOR UPDATE"
GROW = f"""
UPDATE media_uploads SET chunks = chunks || %s::integer, touched_at = now() WHERE id = %s RETURNING {COLUMNS}
"""  # noqa: S608  # of constants
OPEN = "SELECT count(*) FROM media_uploads WHERE workspace = %s AND media IS NULL"
SIZE = "UPDATE media_uploads SET size = %s WHERE id = %s"
BECAME = "UPDATE media_uploads SET media = %s, touched_at = now() WHERE id = %s"
FORGET = "DELETE FROM media_uploads WHERE id = %s"


class UploadGone(Exception):
    """This workspace has no such upload, or no more."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way: how much of it is here, and what it became."""

    id: UUID
    workspace: WorkspaceId
    size: int
    chunks: Sequence[int]  # the size of each
    media: Digest | None
    touched_at: datetime

    @property
    def offset(self) -> int:
        """Bytes that are here."""
        return sum(self.chunks)

    @property
    def names(self) -> list[str]:
        """Under which its chunks lie in the store; also the one that is being written."""
        return [name(self.id, number) for number in range(len(self.chunks) + 1)]


class Uploads:
    """Begins uploads, takes chunks, and ends them; any process can go on with what another began."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        sealing: Sealing,
        store: Store,
        media: Media,
        grace: timedelta,
        most: int = MOST_OPEN,
    ) -> None:
        """`grace`: after which an upload that nobody went on with is removed; `most`: that a workspace may have."""
        self._pool = pool
        self._sealing = sealing
        self._store = store
        self._media = media
        self._most = most
        self.grace = grace
        self._writing = Turns(AT_ONCE, AT_ONCE // 2)

    @property
    def largest(self) -> int:
        """The largest file of any kind, in bytes."""
        return max(self._media.limits.largest.values())

    async def begin(self, workspace: WorkspaceId, size: int) -> Upload:
        """Make room for a file of so many bytes. Raises Refused."""
        if size > self.largest:
            raise Refused("file_too_large", field=FIELD, kind="file", maximum=self.largest)
        async with self._pool.connection() as connection, connection.transaction():
            await self._media.reserve(connection, workspace, size)
            row = await (await connection.execute(OPEN, [workspace])).fetchone()
            if row is not None and row[0] >= self._most:
                metrics.OVER_QUOTA.labels("uploads_open", "workspace").inc()
                raise Refused("too_many_open", field="Upload-Length", maximum=self._most)
            return await asked(connection, BEGIN, [uuid4(), workspace, size])

    async def one(self, workspace: WorkspaceId, upload: UUID) -> tuple[Upload, MediaRecord | None]:
        """How far it is, and what it became. Raises UploadGone, Refused."""
        async with self._pool.connection() as connection:
            found = await asked(connection, ONE, [upload, workspace])
        return found, await self._finished(found)

    async def append(
        self, workspace: WorkspaceId, upload: UUID, offset: int, chunks: AsyncIterable[bytes]
    ) -> tuple[Upload, MediaRecord | None]:
        """Take bytes that begin at `offset`; what came before a connection broke is kept, in pieces of SEGMENT bytes.

        Raises UploadGone; Refused, and then nothing of it is left if it is the file that was refused.
        """
        found, _ = await self.one(workspace, upload)
        at(found, offset)
        async for piece in cut(chunks):
            found = await self._take(found, offset, piece)
            offset = found.offset
        return found, await self._finished(found)

    async def take(self, workspace: WorkspaceId, chunks: AsyncIterable[bytes], size: int | None = None) -> MediaRecord:
        """A whole file in one go; room is kept for the size it declares before a byte is read. Raises Refused."""
        pieces = cut(chunks)
        found = await self.begin(workspace, size) if size else None
        try:
            first = await anext(pieces, b"")
            second = await anext(pieces, None)
            if second is None:
                return await self._media.put(workspace, [first], found.id if found else None)
            found = found or await self.begin(workspace, min(self.largest, self._media.limits.quota))
            for piece in (first, second):
                found = await self._take(found, found.offset, piece)
            async for piece in pieces:
                if found.offset + len(piece) > found.size:
                    raise Refused("file_too_large", field=FIELD, kind="file", maximum=found.size)
                found = await self._take(found, found.offset, piece)
            return await self._media.keep(workspace, partial(self._content, found), found.id)
        finally:
            if found is not None:
                await self.cancel(workspace, found.id)

    async def cancel(self, workspace: WorkspaceId, upload: UUID) -> None:
        """Forget it with its chunks. Raises UploadGone."""
        async with self._locked(workspace, upload) as (connection, found):
            await self._store.delete(found.names)
            await connection.execute(FORGET, [upload])

    async def _take(self, found: Upload, offset: int, piece: bytes) -> Upload:
        """Keep a chunk; it counts from when its row says so, and written again it is the same one."""
        async with self._writing.of(found.workspace), self._locked(found.workspace, found.id) as (connection, upload):
            at(upload, offset)
            if offset + len(piece) > upload.size:
                raise Refused("beyond_the_end", field=FIELD)
            if len(upload.chunks) == MOST_CHUNKS:
                raise Refused("too_many_chunks", field=FIELD, maximum=MOST_CHUNKS)
            number = len(upload.chunks)
            place = f"{upload.id} {number}"
            sealed = await HASHING.run(upload.workspace, self._sealing.seal, upload.workspace, USE, place, piece)
            await self._store.write(name(upload.id, number), sealed)
            return await asked(connection, GROW, [len(piece), upload.id])

    async def _finished(self, found: Upload) -> MediaRecord | None:
        """What it became, if all is here. Also after a crash in the middle: whoever looks ends it."""
        if found.media is None and found.offset < found.size:
            return None
        try:
            if found.media is not None:
                return await self._media.one(found.workspace, found.media)
            became = await self._media.keep(found.workspace, lambda: self._content(found), found.id)
        except MediaGone:
            return None  # deleted since
        except Refused as refused:
            if refused.rule != "quota_reached":  # what is none today is none tomorrow
                await self.cancel(found.workspace, found.id)
            raise
        except SegmentMissing:  # somebody else ended it, and took the chunks away
            async with self._pool.connection() as connection:
                again = await asked(connection, ONE, [found.id, found.workspace])
            if again.media is None:
                raise
            return await self._media.one(again.workspace, again.media)
        async with self._pool.connection() as connection:
            await connection.execute(BECAME, [became.id, found.id])
        await self._store.delete(found.names)
        return became

    async def _content(self, found: Upload) -> AsyncIterator[bytes]:
        for number in range(len(found.chunks)):
            sealed = await self._store.read(name(found.id, number))
            place = f"{found.id} {number}"
            yield await HASHING.run(found.workspace, self._sealing.open, found.workspace, USE, place, sealed)

    @asynccontextmanager
    async def _locked(self, workspace: WorkspaceId, upload: UUID) -> AsyncIterator[tuple[AsyncConnection, Upload]]:
        async with self._pool.connection() as connection, connection.transaction():
            yield connection, await asked(connection, LOCKED, [upload, workspace])


async def asked(connection: AsyncConnection[Any], statement: str, values: Sequence[Any]) -> Upload:
    """The upload that a statement answers with. Raises UploadGone."""
    async with connection.cursor(row_factory=args_row(Upload)) as cursor:
        found = await (await cursor.execute(statement, values)).fetchone()
    if found is None:
        raise UploadGone
    return found


def at(upload: Upload, offset: int) -> None:
    """Refuse bytes that do not follow those that are here."""
    if offset != upload.offset:
        raise Refused("offset_mismatch", field="Upload-Offset", offset=upload.offset)


def name(upload: UUID, number: int) -> str:
    """Under which a chunk lies in the store."""
    return f"uploads/{upload}-{number}"
