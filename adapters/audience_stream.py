"""Importing a list of any length: read piece by piece, staged sealed in the database, then written batch by batch.

The staged rows lie in temporary tables under a key that only this process has, and are gone with its connection.
People are written in transactions of 2,000, which repeated change nothing; the audience itself in one, at the end.
"""

import asyncio
import hashlib
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from psycopg import AsyncConnection, AsyncServerCursor
from psycopg_pool import AsyncConnectionPool

from adapters import binary_arrays
from adapters.audience_csv import BadRow, Reading
from adapters.audience_rows import Row
from adapters.audience_staging import Aside, Consent, Staged, merge
from adapters.binary_arrays import Blobs, Int4s, Uuids
from adapters.imports import State, Tally
from adapters.runtime.pools import PARSING
from adapters.sealing import Sealing
from adapters.vault import BATCH, Entry, Kept, Vault
from domain.message import Digest, WorkspaceId

STAGED = 5_000  # rows read and staged at a time
LARGEST_BATCH = 8 << 20  # bytes of such rows: of the longest ones it is fewer
TELL = 5.0  # seconds
T = TypeVar("T")
PREPARE = """
SET LOCAL work_mem = '32MB';
CREATE TEMPORARY TABLE staged (line integer, recipient_id uuid, sealed bytea) ON COMMIT DROP;
"""
STAGE = "INSERT INTO staged (line, recipient_id, sealed) SELECT * FROM unnest(%b::int[], %b::uuid[], %b::bytea[])"
REPEATED = """
CREATE TEMPORARY TABLE repeated ON COMMIT DROP AS
SELECT recipient_id, min(line) AS first, count(*) AS rows FROM staged GROUP BY recipient_id HAVING count(*) > 1
"""
MERGED = "SELECT coalesce(sum(rows - 1), 0)::bigint FROM repeated"
# All rows of a person one after the other, in the first one's place.
PEOPLE = """
SELECT line, recipient_id, sealed FROM staged LEFT JOIN repeated USING (recipient_id)
ORDER BY coalesce(repeated.first, staged.line), line
"""
BEGIN = """
INSERT INTO audience_imports (audience_id, workspace, count, rejected, merged, digest, source, imported_at)
VALUES (%s, %s, 0, 0, 0, '', %s, %s) ON CONFLICT DO NOTHING
"""
COUNT = """
UPDATE audience_imports SET count = %s, rejected = %s, merged = %s, digest = %s
WHERE workspace = %s AND audience_id = %s
"""
ALREADY = "SELECT digest, count, rejected, merged FROM audience_imports WHERE audience_id = %s AND workspace = %s"
ADD_MEMBERS = """
INSERT INTO audience_members (audience_id, ordinal, recipient_id, vault_version)
SELECT %s, * FROM unnest(%b::int[], %b::uuid[], %b::int[])
"""
KNOWN = """
SELECT count(DISTINCT recipient_id) FROM staged WHERE EXISTS (
    SELECT FROM people WHERE people.workspace = %s AND people.recipient_id = staged.recipient_id)
"""
MEMBER = struct.Struct(">Q16sI")  # ordinal, recipient, version of the vault
COUNTS = struct.Struct(">QQQ")  # people, bad rows, merged rows


@dataclass(slots=True)
class Batch:
    """Rows that were read together; the good ones as columns."""

    good: int
    columns: Sequence[binary_arrays.Array]
    bad: list[BadRow]


@dataclass(slots=True)
class Work:
    """One import: for whom, under which id, since when; and whom to tell how far it is, of bad rows and of consents."""

    workspace: WorkspaceId
    audience_id: UUID
    same: bytes
    now: datetime
    tally: Tally
    told: Callable[[State], Awaitable[None]]
    left_out: Callable[[AsyncConnection, Sequence[BadRow]], Awaitable[None]]
    consented: Callable[[Sequence[Consent]], Coroutine[Any, Any, None]]
    dry_run: bool = False
    at_once: bool = False  # people, too, in the audience's one transaction


class StagedImport:
    """Imports lists of any length, in as much memory as a few batches take."""

    def __init__(self, pool: AsyncConnectionPool, vault: Vault, sealing: Sealing) -> None:
        self._pool = pool
        self._vault = vault
        self._sealing = sealing

    async def already(self, work: Work) -> Digest | None:
        """The digest of what lies there since an earlier try."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(ALREADY, [work.audience_id, work.workspace])).fetchone()
        if row is None:
            return None
        digest, work.tally.recipients, work.tally.bad, work.tally.merged = row
        work.tally.rows = work.tally.recipients + work.tally.bad + work.tally.merged
        return Digest(digest)

    async def run(self, work: Work, reading: Reading, digest: Digest | None = None) -> Digest | None:
        """Carry an import out, and give its digest: of one that has one, nothing is written, and all is told again.

        None: it was a dry run; or somebody else imports under this id, and is done.
        """
        aside = Aside()
        async with self._pool.connection() as connection, connection.transaction():
            binary_arrays.register(connection)
            await connection.execute(PREPARE)
            await self._stage(connection, work, reading, aside)
            await telling(connection.execute(REPEATED), work, "reading")
            work.tally.merged = await number(connection, MERGED)
            work.tally.recipients = work.tally.rows - work.tally.bad - work.tally.merged
            await work.told("writing")
            if work.dry_run:
                work.tally.added = work.tally.recipients - await telling(
                    number(connection, KNOWN, work.workspace), work, "writing"
                )
                return None
            return await self._write(connection, work, aside, digest)

    async def _stage(self, connection: AsyncConnection, work: Work, reading: Reading, aside: Aside) -> None:
        """Read all rows; while some are being stored, the next are read."""
        rows = iter(reading)
        coming = asyncio.create_task(PARSING.run(work.workspace, self._next, work.workspace, rows, aside))
        try:
            while (batch := await coming) is not None:
                coming = asyncio.create_task(PARSING.run(work.workspace, self._next, work.workspace, rows, aside))
                await connection.execute(STAGE, batch.columns)
                work.tally.rows += batch.good + len(batch.bad)
                work.tally.bad += len(batch.bad)
                await work.left_out(connection, batch.bad)
                await work.told("reading")
        finally:
            await asyncio.wait([coming])

    def _next(self, workspace: WorkspaceId, rows: Iterator[tuple[int, Row | BadRow]], aside: Aside) -> Batch | None:
        """The next rows, ready to be stored; None at the end."""
        good: list[tuple[int, UUID, bytes]] = []
        bad: list[BadRow] = []
        size = 0
        for line, row in islice(rows, STAGED):
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                good.append((line, self._sealing.recipient_id(workspace, row.number), aside.put(row)))
                size += len(good[-1][2])
                if size > LARGEST_BATCH:
                    break
        if not good and not bad:
            return None
        lines, ids, sealed = zip(*good, strict=True) if good else ((), (), ())
        return Batch(len(good), [Int4s.of(lines), Uuids.of(ids), Blobs.of(sealed)], bad)

    async def _write(
        self, connection: AsyncConnection, work: Work, aside: Aside, digest: Digest | None
    ) -> Digest | None:
        """Everybody into the vault, their consents given, their places in the audience kept."""
        if digest is None:
            begun = await connection.execute(BEGIN, [work.audience_id, work.workspace, work.same, work.now])
            if not begun.rowcount:
                return None
        members, consents = hashlib.sha256(), asyncio.create_task(work.consented(()))
        async with (
            connection.cursor(name="people", binary=True) as cursor,
            aclosing(persons(cursor, work, aside)) as people,
        ):
            await cursor.execute(PEOPLE)
            coming = asyncio.ensure_future(anext(people, None))
            try:
                while (some := await coming) is not None:
                    coming = asyncio.ensure_future(anext(people, None))
                    if digest is None:
                        await self._add_members(connection, work, await self._keep(connection, work, some), members)
                    await consents
                    stated = [consent for one in some if (consent := one.consent(work.now))]
                    consents = asyncio.create_task(work.consented(stated))
                    await work.told("writing")
            finally:
                await asyncio.wait([coming, consents])
        consents.result()
        if digest is None:
            tally = work.tally
            digest = digest_over(tally.recipients, tally.bad, tally.merged, members.digest())
            counts = [tally.recipients, tally.bad, tally.merged, digest]
            await connection.execute(COUNT, [*counts, work.workspace, work.audience_id])
        return digest

    async def _keep(self, connection: AsyncConnection, work: Work, people: Sequence[Staged]) -> list[Kept]:
        """A batch of people into the vault, in a transaction of its own unless all is to be in one."""
        entries = [Entry(one.person.number, one.person.country, one.person.fields, one.recipient_id) for one in people]
        if work.at_once:
            kept = await self._vault.store(connection, work.workspace, entries)
        else:
            async with self._pool.connection() as own, own.transaction():
                kept = await self._vault.store(own, work.workspace, entries)
        work.tally.erased += sum(one.suppressed for one in kept)
        work.tally.added += sum(one.added for one in kept)
        work.tally.changed += sum(one.changed for one in kept)
        return kept

    async def _add_members(self, connection: AsyncConnection, work: Work, kept: Sequence[Kept], members: Any) -> None:
        first = work.tally.written + 1
        packed = [MEMBER.pack(n, one.recipient_id.bytes, one.version) for n, one in enumerate(kept, first)]
        members.update(b"".join(packed))
        columns = [
            Int4s.of(range(first, first + len(kept))),
            Uuids.of(one.recipient_id for one in kept),
            Int4s.of(one.version for one in kept),
        ]
        await connection.execute(ADD_MEMBERS, [work.audience_id, *columns])
        work.tally.written += len(kept)


def digest_over(count: int, rejected: int, merged: int, members: bytes) -> Digest:
    """SHA-256 over the counts and the members' own; ids come from keyed hashes, so it gives nobody away."""
    return Digest(hashlib.sha256(COUNTS.pack(count, rejected, merged) + members).hexdigest())


async def telling(doing: Coroutine[Any, Any, T], work: Work, state: State) -> T:
    """Wait for what PostgreSQL may take long to do, and tell now and then that we live."""
    task = asyncio.create_task(doing)
    try:
        while not (await asyncio.wait([task], timeout=TELL))[0]:
            await work.told(state)
        return task.result()
    finally:
        task.cancel()


async def number(connection: AsyncConnection, question: str, *values: str) -> int:
    """The answer to a question that is one number."""
    row = await (await connection.execute(question.encode(), values)).fetchone()
    assert row is not None
    return int(row[0])


async def persons(cursor: AsyncServerCursor[Any], work: Work, aside: Aside) -> AsyncGenerator[list[Staged], None]:
    """The staged people, batch by batch, each with all their rows merged."""
    last: Staged | None = None
    while rows := await telling(cursor.fetchmany(BATCH), work, "writing"):
        people, last = await PARSING.run(work.workspace, merge, rows, last, aside)
        if people:
            yield people
    if last is not None:
        yield [last]
