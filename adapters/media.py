"""Media: files that messages carry, each once a workspace, named by what it holds, sealed, and gone when unused."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

from adapters.media_kinds import FIELD, TYPES, Found, Inspector, kinds_of
from adapters.media_opened import Opened
from adapters.media_store import Store
from adapters.runtime.pools import HASHING, IMAGES
from adapters.sealing import Sealing
from domain.content import MediaKind
from domain.message import Digest, Refused, WorkspaceId

SEGMENT = 4 << 20  # bytes that are sealed, written and held in memory at a time
USE = "media"

COLUMNS = "id, kind, mimetype, size, width, height, put_at"
ONE = f"SELECT {COLUMNS} FROM media WHERE workspace = %s AND id = %s AND written"  # noqa: S608  # of constants
SHOWN = f"{ONE} AND deleted_at IS NULL"
# In the order of their ids: two that ask for the same ones then wait for each other instead of deadlocking.
USED = f"""
WITH asked AS (
    SELECT id FROM media WHERE workspace = %(workspace)s AND id = ANY(%(ids)s) AND written AND deleted_at IS NULL
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE media SET used_at = now() WHERE workspace = %(workspace)s AND id IN (SELECT id FROM asked) RETURNING {COLUMNS}
"""  # noqa: S608  # of constants
QUOTA = "SELECT pg_advisory_xact_lock(hashtextextended('drumline media of ' || %s, 0))"
TAKEN = """
SELECT (SELECT coalesce(sum(size), 0) FROM media
        WHERE workspace = %(workspace)s AND deleted_at IS NULL AND id <> %(id)s)
     + (SELECT coalesce(sum(size), 0) FROM media_uploads
        WHERE workspace = %(workspace)s AND media IS NULL AND id IS DISTINCT FROM %(upload)s)
"""
ENTER = """
INSERT INTO media (workspace, id, kind, mimetype, size, width, height) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (workspace, id) DO UPDATE SET used_at = now(), deleted_at = NULL
RETURNING written
"""
WRITTEN = "UPDATE media SET written = true, used_at = now() WHERE workspace = %s AND id = %s"
DELETED = "UPDATE media SET deleted_at = now() WHERE workspace = %s AND id = %s AND written AND deleted_at IS NULL"

Source = Callable[[], AsyncIterator[bytes]]
"""A file's bytes from its begin, as often as asked for; no chunk is larger than SEGMENT."""


class MediaGone(Exception):
    """This workspace has no such media, or no more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest files by kind, and what a workspace may keep; all in bytes."""

    largest: Mapping[MediaKind, int]
    quota: int


@dataclass(frozen=True, slots=True)
class MediaRecord:
    """A file as its content says it is."""

    id: Digest
    kind: MediaKind
    mimetype: str
    size: int  # bytes
    width: int | None  # of an image, in pixels
    height: int | None
    put_at: datetime

    @property
    def kinds(self) -> frozenset[MediaKind]:
        """What it may be sent as."""
        return kinds_of(self.mimetype)

    @property
    def suffix(self) -> str:
        """What a file's name ends in: `.jpg`."""
        return TYPES[self.mimetype].suffix


class Media:
    """Puts files in and gives them out again."""

    def __init__(
        self, pool: AsyncConnectionPool, sealing: Sealing, store: Store, limits: Limits, opened: Opened
    ) -> None:
        self._pool = pool
        self._sealing = sealing
        self._store = store
        self._opened = opened
        self.limits = limits

    async def put(self, workspace: WorkspaceId, chunks: Sequence[bytes], upload: UUID | None = None) -> MediaRecord:
        """Keep a file that is held in memory; larger ones come as uploads. See `keep`. Raises Refused."""

        async def source() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return await self.keep(workspace, source, upload)

    async def keep(self, workspace: WorkspaceId, source: Source, upload: UUID | None = None) -> MediaRecord:
        """Look at a file and keep it, if it can be sent; the same content again is the same media.

        `upload`: whose bytes these are, that they are not counted twice. Raises Refused.
        """
        found, media = await self._look(workspace, source)
        size = found[1]
        while not await self._enter(workspace, media, found[0], size, upload):
            await self._write(workspace, media, size, source)
            async with self._pool.connection() as connection:
                if (await connection.execute(WRITTEN, [workspace, media])).rowcount:
                    break  # else somebody removed it in the middle: it took us longer than the grace
        return await self.one(workspace, media)

    async def known(self, workspace: WorkspaceId, ids: Collection[Digest]) -> dict[Digest, MediaRecord]:
        """Which of these the workspace has; being asked for, they are kept for another while."""
        values = {"workspace": workspace, "ids": sorted(set(ids))}
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=args_row(record)) as cursor,
        ):
            rows = await (await cursor.execute(USED, values)).fetchall()
        return {row.id: row for row in rows}

    async def kinds(self, workspace: WorkspaceId, media: Collection[Digest]) -> Mapping[Digest, Collection[MediaKind]]:
        """What each may be sent as, likewise."""
        return {one.id: one.kinds for one in (await self.known(workspace, media)).values()}

    async def one(self, workspace: WorkspaceId, media: Digest) -> MediaRecord:
        """What is known of one. Raises MediaGone."""
        return await self._one(SHOWN, workspace, media)

    async def content(self, workspace: WorkspaceId, found: MediaRecord) -> AsyncIterator[bytes]:
        """A file's bytes, in segments. Raises SealBroken, SegmentMissing."""
        segments = segments_of(found.size)
        for number in range(segments):
            sealed = await self._store.read(name(found.id, number))
            place = f"{found.id} {number}/{segments}"
            yield await HASHING.run(workspace, self._sealing.open, workspace, USE, place, sealed)

    async def open(self, workspace: WorkspaceId, media: Digest) -> Path:
        """The file in plain, for a browser of this machine; it lies there for two minutes at least. Raises MediaGone.

        Also one that was deleted meanwhile, as long as it is there: a message that was approved may carry it.
        """
        found = await self._one(ONE, workspace, media)
        return await self._opened.path(f"{media}{found.suffix}", found.size, lambda: self.content(workspace, found))

    async def delete(self, workspace: WorkspaceId, media: Digest) -> None:
        """Show it no more, and let it be removed. Raises MediaGone."""
        async with self._pool.connection() as connection:
            if not (await connection.execute(DELETED, [workspace, media])).rowcount:
                raise MediaGone(media)

    async def reserve(
        self,
        connection: AsyncConnection,
        workspace: WorkspaceId,
        size: int,
        media: str = "",
        upload: UUID | None = None,
    ) -> None:
        """Refuse what would not fit into the workspace's quota; until the transaction ends nobody else reserves."""
        await connection.execute(QUOTA, [workspace])
        row = await (
            await connection.execute(TAKEN, {"workspace": workspace, "id": media, "upload": upload})
        ).fetchone()
        taken = int(row[0]) if row else 0
        if taken + size > self.limits.quota:
            raise Refused("quota_reached", field=FIELD, maximum=self.limits.quota, used=taken)

    async def _one(self, statement: str, workspace: WorkspaceId, media: Digest) -> MediaRecord:
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(record)) as cursor:
            found = await (await cursor.execute(statement, [workspace, media])).fetchone()
        if found is None:
            raise MediaGone(media)
        return found

    async def _look(self, workspace: WorkspaceId, source: Source) -> tuple[tuple[Found, int], Digest]:
        """What the file is, its size, and the name that its content gives it."""
        inspector, digest = Inspector(self.limits.largest), hashlib.sha256()
        async for chunk in source():
            await HASHING.run(workspace, digest.update, chunk)
            await HASHING.run(workspace, inspector.feed, chunk)
        found = await (IMAGES if inspector.pictured else HASHING).run(workspace, inspector.finish)
        return (found, inspector.size), Digest(self._sealing.mac(workspace, USE, digest.digest()).hex())

    async def _enter(self, workspace: WorkspaceId, media: Digest, found: Found, size: int, upload: UUID | None) -> bool:
        """Note what is about to be written; True when it already is."""
        values = [workspace, media, found.kind, found.mimetype, size, found.width, found.height]
        async with self._pool.connection() as connection, connection.transaction():
            await self.reserve(connection, workspace, size, media, upload)
            row = await (await connection.execute(ENTER, values)).fetchone()
            return bool(row and row[0])

    async def _write(self, workspace: WorkspaceId, media: Digest, size: int, source: Source) -> None:
        segments = segments_of(size)
        number = 0
        async for segment in cut(source()):
            place = f"{media} {number}/{segments}"
            sealed = await HASHING.run(workspace, self._sealing.seal, workspace, USE, place, segment)
            await self._store.write(name(media, number), sealed)
            number += 1


def record(media: str, kind: str, mimetype: str, size: int, *rest: object) -> MediaRecord:
    """A row of the table."""
    return MediaRecord(Digest(media), MediaKind(kind), mimetype, size, *rest)  # type: ignore[arg-type]  # as selected


def segments_of(size: int) -> int:
    """How many segments a file of this size has."""
    return -(-size // SEGMENT)


def name(media: str, number: int) -> str:
    """Under which a segment lies in the store."""
    return f"{media[:2]}/{media}-{number}"


async def cut(chunks: AsyncIterable[bytes], length: int = SEGMENT) -> AsyncIterator[bytes]:
    """The same bytes in pieces of one length; only the last is shorter."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= length:
            yield bytes(waiting[:length])
            del waiting[:length]
    if waiting:
        yield bytes(waiting)
