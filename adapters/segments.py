"""Whom a filter finds: how many there are, an audience of them, and filters to be kept."""

import asyncio
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil, sqrt
from uuid import UUID

import orjson
from psycopg import AsyncConnection, sql
from psycopg.errors import QueryCanceled
from psycopg_pool import AsyncConnectionPool

from adapters import metrics
from adapters.attributes import Attributes
from adapters.filter_sql import Condition
from adapters.runtime.turns import Turns
from adapters.sealing import Sealing
from adapters.vault import Vault
from domain.attributes import MOST
from domain.filter_language import parse
from domain.filters import Filter
from domain.message import Digest, Refused, WorkspaceId

SOON = 0.04  # seconds after which a guess is prepared beside
EXACTLY = "SET LOCAL statement_timeout = '120ms'"
ROUGHLY = "SET LOCAL statement_timeout = '3s'"
WHOLE = "SET LOCAL statement_timeout = '120s'"  # for an audience of everybody
COUNTING, CHOOSING = 2, 2  # at once in a process: the others' questions need connections, too
# Of a sample each is looked up: the planner would rather read whole tables into a hash.
ONE_BY_ONE = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
NO_JIT = "SET LOCAL jit = off"  # compiling takes longer than counting
COUNT = sql.SQL("SELECT count(*) FROM people p WHERE p.workspace = %(workspace)s AND {}")
# Numbers' HMACs are spread evenly: those that begin so are a fair sample of the workspace's people.
SHARE = 64
SAMPLE = sql.SQL("""
SELECT count(*) FROM (
    SELECT * FROM people WHERE workspace = %(workspace)s AND number_hmac < '\\x04'::bytea OFFSET 0
) p WHERE {}
""")
SURE = 1.96  # standard deviations: right 19 times of 20

PREVIOUS = "SELECT workspace, source, count, digest FROM audience_imports WHERE audience_id = %s"
BEGIN = """
INSERT INTO audience_imports (audience_id, workspace, count, rejected, merged, digest, source, imported_at)
VALUES (%s, %s, 0, 0, 0, '', %s, %s) ON CONFLICT DO NOTHING
"""
CHOOSE = sql.SQL("""
INSERT INTO audience_members (audience_id, ordinal, recipient_id, vault_version)
SELECT %(audience)s, row_number() OVER (ORDER BY p.added), p.recipient_id, p.version
FROM people p WHERE p.workspace = %(workspace)s AND {}
""")
MEMBERS = "SELECT ordinal, recipient_id, vault_version FROM audience_members WHERE audience_id = %s ORDER BY ordinal"
END = "UPDATE audience_imports SET count = %s, digest = %s WHERE workspace = %s AND audience_id = %s"
MEMBER = struct.Struct(">Q16sI")
PAGE = 10_000

SEGMENT = "segment"
MOST_SEGMENTS = 1_000  # of a workspace
KEEPING = "SELECT pg_advisory_xact_lock(hashtextextended('drumline segments of ' || %s, 0))"
KEPT = "SELECT count(*) FROM segments WHERE workspace = %s AND id <> %s"
PUT = """
INSERT INTO segments (id, workspace, sealed, changed_at) VALUES (%(id)s, %(workspace)s, %(sealed)s, %(at)s)
ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at
WHERE segments.workspace = excluded.workspace
"""
LIST = """
SELECT id, number, sealed, changed_at FROM segments
WHERE workspace = %s AND (%s::bigint IS NULL OR number < %s) ORDER BY number DESC LIMIT %s
"""
GET = "SELECT id, number, sealed, changed_at FROM segments WHERE workspace = %s AND id = %s"
DELETE = "DELETE FROM segments WHERE workspace = %s AND id = %s"


@dataclass(frozen=True, slots=True)
class Count:
    """How many people fit. When it is not exact, it is a guess from one in 64, and 19 times of 20 within `margin`."""

    count: int
    exact: bool
    margin: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen, as the command to make an audience of it says."""

    count: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Segment:
    """A filter that somebody keeps."""

    id: UUID
    number: int
    title: str
    filter: str
    changed_at: datetime


class Segments(Attributes):
    """Filters of a workspace, and whom they find."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        vault: Vault,
        sealing: Sealing,
        clock: Callable[[], datetime],
        most: int = MOST_SEGMENTS,
        most_attributes: int = MOST,
    ) -> None:
        """`most`: that a workspace may keep."""
        super().__init__(pool, vault, most_attributes)
        self._most = most
        self._sealing = sealing
        self._clock = clock
        self._counting, self._choosing = Turns(COUNTING, COUNTING // 2), Turns(CHOOSING, CHOOSING // 2)

    async def read(self, workspace: WorkspaceId, text: str) -> Filter:
        """A filter as this workspace's attributes let it be read. Raises Refused."""
        kinds = {one.name: one.kind for one in await self.attributes(workspace)}
        return parse(text, kinds, self._clock())

    async def _early(self, workspace: WorkspaceId, text: str) -> bool:
        """Whether people are still gone through for an attribute that a filter, which can be read, names."""
        ready = {one.name: one.kind for one in await self.attributes(workspace) if one.ready}
        try:
            parse(text, ready, self._clock())
        except Refused:
            return True
        return False

    async def count(self, workspace: WorkspaceId, text: str) -> Count:
        """How many people fit a filter, within a moment: else a guess. Raises Refused."""
        condition = Condition()
        fits = condition.of(await self.read(workspace, text))
        values = {"workspace": workspace, **condition.values}
        async with self._counting.of(workspace):
            return await self._counted(fits, values)

    async def _counted(self, fits: sql.Composable, values: dict[str, object]) -> Count:
        exact, guess = asyncio.create_task(self._exactly(COUNT.format(fits), values)), None
        try:
            if not (await asyncio.wait([exact], timeout=SOON))[0]:
                guess = await self._sampled(SAMPLE.format(fits), values)
            found = await exact
        finally:
            exact.cancel()
            await asyncio.wait([exact])
        if found is not None:
            return Count(found, exact=True)
        seen = await self._sampled(SAMPLE.format(fits), values) if guess is None else guess
        return Count(seen * SHARE, exact=False, margin=ceil(SURE * sqrt(seen + 1) * SHARE))

    async def _exactly(self, statement: sql.Composed, values: dict[str, object]) -> int | None:
        """The count, unless it takes too long."""
        try:
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(EXACTLY)
                return await number(connection, statement, values)
        except QueryCanceled:
            return None

    async def _sampled(self, statement: sql.Composed, values: dict[str, object]) -> int:
        try:
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(f"{ROUGHLY}; {ONE_BY_ONE}")
                return await number(connection, statement, values)
        except QueryCanceled:
            raise Refused("filter_too_slow", field="filter") from None

    async def choose(self, workspace: WorkspaceId, audience_id: UUID, text: str) -> Chosen:
        """Write down who fits a filter now, each at their present version, as an audience; again changes nothing.

        Raises Refused when the filter cannot be read, names an attribute that not everybody can be filtered by yet, or
        the id is another audience's.
        """
        condition = Condition()
        fits = condition.of(await self.read(workspace, text))
        early = await self._early(workspace, text)
        same = self._sealing.mac(workspace, "choice", text.encode())
        values = {"workspace": workspace, "audience": audience_id, **condition.values}
        try:
            async with self._choosing.of(workspace), self._pool.connection() as connection, connection.transaction():
                begun = await connection.execute(BEGIN, [audience_id, workspace, same, self._clock()])
                if not begun.rowcount:  # it was made before, or just now by somebody whom this has waited for
                    previous = await (await connection.execute(PREVIOUS, [audience_id])).fetchone()
                    if previous is None or (previous[0], previous[1]) != (workspace, same):
                        raise Refused("id_taken", field="audience_id")
                    return Chosen(previous[2], Digest(previous[3]))
                if early:  # a `not` would even choose those whom it is to leave out
                    raise Refused("attribute_not_ready", field="filter")
                await connection.execute(f"{WHOLE}; {NO_JIT}")
                count = (await connection.execute(CHOOSE.format(fits), values)).rowcount
                digest = await digest_of(connection, audience_id, count)
                await connection.execute(END, [count, digest, workspace, audience_id])
        except QueryCanceled:
            raise Refused("filter_too_slow", field="filter") from None
        return Chosen(count, digest)

    async def keep(self, workspace: WorkspaceId, segment_id: UUID, title: str, text: str) -> bool:
        """Keep a filter under an id; False when the id is another workspace's. Raises Refused."""
        await self.read(workspace, text)
        body = orjson.dumps({"title": title, "filter": text})
        sealed = self._sealing.seal(workspace, SEGMENT, str(segment_id), body)
        values = {"id": segment_id, "workspace": workspace, "sealed": sealed, "at": self._clock()}
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(KEEPING, [workspace])
            row = await (await connection.execute(KEPT, [workspace, segment_id])).fetchone()
            if row is not None and row[0] >= self._most:
                metrics.OVER_QUOTA.labels("segments", "workspace").inc()
                raise Refused("too_many", field="segment_id", maximum=self._most)
            return bool((await connection.execute(PUT, values)).rowcount)

    async def page(self, workspace: WorkspaceId, behind: int | None, limit: int) -> list[Segment]:
        """Kept filters, the newest first."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(LIST, [workspace, behind, behind, limit])).fetchall()
        return [self._opened(workspace, *row) for row in rows]

    async def one(self, workspace: WorkspaceId, segment_id: UUID) -> Segment | None:
        """A kept filter."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(GET, [workspace, segment_id])).fetchone()
        return self._opened(workspace, *row) if row else None

    async def drop(self, workspace: WorkspaceId, segment_id: UUID) -> bool:
        """Keep a filter no longer; False when there was none."""
        async with self._pool.connection() as connection:
            return bool((await connection.execute(DELETE, [workspace, segment_id])).rowcount)

    def _opened(
        self, workspace: WorkspaceId, segment_id: UUID, number: int, sealed: bytes, changed_at: datetime
    ) -> Segment:
        said = orjson.loads(self._sealing.open(workspace, SEGMENT, str(segment_id), sealed))
        return Segment(segment_id, number, said["title"], said["filter"], changed_at)


async def number(connection: AsyncConnection, statement: sql.Composed, values: dict[str, object]) -> int:
    """What a statement counts."""
    await connection.execute(NO_JIT)
    row = await (await connection.execute(statement, values)).fetchone()
    assert row is not None
    return int(row[0])


async def digest_of(connection: AsyncConnection, audience_id: UUID, count: int) -> Digest:
    """SHA-256 over the members in order; ids come from keyed hashes, so it gives nobody away."""
    sha = hashlib.sha256(struct.pack(">Q", count))
    async with connection.cursor(name="members", binary=True) as cursor:
        await cursor.execute(MEMBERS, [audience_id])
        while rows := await cursor.fetchmany(PAGE):
            for ordinal, person, version in rows:
                sha.update(MEMBER.pack(ordinal, person.bytes, version))
    return Digest(sha.hexdigest())
