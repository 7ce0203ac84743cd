"""Importing a list of any length: read piece by piece, staged sealed in the database, then written batch by batch.

The staged rows lie in temporary tables under a key that only this process has, and are gone with its connection.
People are written in transactions of 2,000, which repeated change nothing; the audience itself in one, at the end.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import orjson
from psycopg import AsyncConnection, AsyncServerCursor
from psycopg_pool import AsyncConnectionPool

from adapters.audience_csv import BadRow, Listed, Reading
from adapters.audience_import import MEMBER, Consent, digest_over
from adapters.audience_rows import Given, Row
from adapters.imports import State, Tally
from adapters.sealing import KEY_BYTES, Box, Sealing
from adapters.vault import BATCH, Entry, Kept, Vault
from domain.message import Digest, WorkspaceId
from domain.recipient import ConsentSource

STAGED = 5_000  # rows read and staged at a time
TELL = 5.0  # seconds
T = TypeVar("T")
PREPARE = """
SET LOCAL work_mem = '32MB';
CREATE TEMPORARY TABLE staged (line integer, recipient_id uuid, sealed bytea) ON COMMIT DROP;
"""
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
COUNT = "UPDATE audience_imports SET count = %s, rejected = %s, merged = %s, digest = %s WHERE audience_id = %s"
ALREADY = "SELECT digest, count, rejected, merged FROM audience_imports WHERE audience_id = %s AND workspace = %s"
COPY_STAGED = "COPY staged (line, recipient_id, sealed) FROM STDIN (FORMAT BINARY)"
COPY_BAD = "COPY import_bad_rows (import_id, line, reason, name) FROM STDIN (FORMAT BINARY)"
COPY_MEMBERS = "COPY audience_members (audience_id, ordinal, recipient_id, vault_version) FROM STDIN (FORMAT BINARY)"
KNOWN = """
SELECT count(DISTINCT recipient_id) FROM staged WHERE EXISTS (
    SELECT FROM people WHERE people.recipient_id = staged.recipient_id)
"""
VERSIONS = "SELECT recipient_id, version FROM people WHERE recipient_id = ANY(%s)"


class Aside:
    """Rows on their way through temporary tables: sealed under a key that is never written down."""

    def __init__(self) -> None:
        self._box = Box(os.urandom(KEY_BYTES))

    def put(self, row: Row) -> bytes:
        consent = row.consent and [row.consent.source, row.consent.at, row.consent.proof]
        return self._box.seal(orjson.dumps([row.number, row.country, row.fields, consent, row.denied]), b"")

    def take(self, sealed: bytes) -> Row:
        number, country, fields, consent, denied = orjson.loads(self._box.open(sealed, b""))
        given = None
        if consent is not None:
            source, at, proof = consent
            given = Given(ConsentSource(source), datetime.fromisoformat(at) if at else None, proof)
        return Row(number, country, fields, given, denied)


@dataclass(slots=True)
class Batch:
    """Rows that were read together."""

    staged: list[tuple[int, UUID, bytes]]
    bad: list[BadRow]


@dataclass(slots=True)
class Work:
    """One import: for whom, under which id, since when; and whom to tell how far it is, and of consents."""

    workspace: WorkspaceId
    audience_id: UUID
    same: bytes
    now: datetime
    tally: Tally
    told: Callable[[State], Awaitable[None]]
    consented: Callable[[Sequence[Consent]], Coroutine[Any, Any, None]]
    dry_run: bool = False


class StagedImport:
    """Imports lists of any length, in as much memory as a few batches take."""

    def __init__(self, pool: AsyncConnectionPool, vault: Vault, sealing: Sealing) -> None:
        self._pool = pool
        self._vault = vault
        self._sealing = sealing

    async def run(self, work: Work, reading: Reading) -> Digest | None:
        """Carry an import out, or once more, and give its digest; a dry run only reads and has none."""
        aside = Aside()
        async with self._pool.connection() as connection, connection.transaction():
            if digest := await self._already(connection, work):
                return digest
            await connection.execute(PREPARE)
            await self._stage(connection, work, reading, aside)
            await telling(connection.execute(REPEATED), work, "reading")
            work.tally.merged = await number(connection, MERGED)
            work.tally.recipients = work.tally.rows - work.tally.bad - work.tally.merged
            await work.told("writing")
            if work.dry_run:
                work.tally.added = work.tally.recipients - await telling(number(connection, KNOWN), work, "writing")
                return None
            return await self._write(connection, work, aside)

    async def _already(self, connection: AsyncConnection, work: Work) -> Digest | None:
        """The digest of what lies there since an earlier try."""
        row = await (await connection.execute(ALREADY, [work.audience_id, work.workspace])).fetchone()
        if row is None:
            return None
        digest, work.tally.recipients, work.tally.bad, work.tally.merged = row
        work.tally.rows = work.tally.recipients + work.tally.bad + work.tally.merged
        return Digest(digest)

    async def _stage(self, connection: AsyncConnection, work: Work, reading: Reading, aside: Aside) -> None:
        """Read all rows; while some are being stored, the next are read."""
        rows = iter(reading)
        coming = asyncio.create_task(asyncio.to_thread(self._next, work.workspace, rows, aside))
        try:
            while (batch := await coming) is not None:
                coming = asyncio.create_task(asyncio.to_thread(self._next, work.workspace, rows, aside))
                async with connection.cursor() as cursor, cursor.copy(COPY_STAGED) as copy:
                    copy.set_types(["int4", "uuid", "bytea"])
                    for row in batch.staged:
                        await copy.write_row(row)
                await self._leave_out(connection, work, batch.bad)
                work.tally.rows += len(batch.staged) + len(batch.bad)
                await work.told("reading")
        finally:
            await asyncio.wait([coming])

    def _next(self, workspace: WorkspaceId, rows: Iterator[tuple[int, Row | BadRow]], aside: Aside) -> Batch | None:
        """The next rows, ready to be stored; None at the end."""
        batch = Batch([], [])
        for line, row in islice(rows, STAGED):
            if isinstance(row, BadRow):
                batch.bad.append(row)
            else:
                batch.staged.append((line, self._sealing.recipient_id(workspace, row.number), aside.put(row)))
        return batch if batch.staged or batch.bad else None

    async def _leave_out(self, connection: AsyncConnection, work: Work, bad: Sequence[BadRow]) -> None:
        work.tally.bad += len(bad)
        async with connection.cursor() as cursor, cursor.copy(COPY_BAD) as copy:
            copy.set_types(["uuid", "int4", "text", "text"])
            for row in bad:
                await copy.write_row((work.audience_id, row.line, str(row.reason), row.column))

    async def _write(self, connection: AsyncConnection, work: Work, aside: Aside) -> Digest:
        """Everybody into the vault, their consents given, their places in the audience kept."""
        await connection.execute(BEGIN, [work.audience_id, work.workspace, work.same, work.now])
        members, consents = hashlib.sha256(), asyncio.create_task(work.consented(()))
        try:
            async with connection.cursor(name="people", binary=True) as cursor:
                await cursor.execute(PEOPLE)
                async for people in persons(cursor, work, aside):
                    kept = await self._keep(work, people)
                    await self._add_members(connection, work, kept, members)
                    await consents
                    stated = [consent for one in people if (consent := one.consent(work.now))]
                    consents = asyncio.create_task(work.consented(stated))
                    await work.told("writing")
        finally:
            await asyncio.wait([consents])
        consents.result()
        tally = work.tally
        digest = digest_over(tally.recipients, tally.bad, tally.merged, members.digest())
        await connection.execute(COUNT, [tally.recipients, tally.bad, tally.merged, digest, work.audience_id])
        return digest

    async def _keep(self, work: Work, people: Sequence["Staged"]) -> list[Kept]:
        """A batch of people into the vault, in a transaction of its own."""
        entries = [Entry(one.person.number, one.person.country, one.person.fields) for one in people]
        ids = [one.recipient_id for one in people]
        async with self._pool.connection() as connection, connection.transaction():
            rows = await (await connection.execute(VERSIONS, [ids])).fetchall()
            known: dict[UUID, int] = dict(rows)
            kept = await self._vault.store(connection, work.workspace, entries)
        work.tally.erased += sum(one.suppressed for one in kept)
        work.tally.added += sum(one.recipient_id not in known and not one.suppressed for one in kept)
        work.tally.changed += sum(known.get(one.recipient_id, one.version) != one.version for one in kept)
        return kept

    async def _add_members(self, connection: AsyncConnection, work: Work, kept: Sequence[Kept], members: Any) -> None:
        async with connection.cursor() as cursor, cursor.copy(COPY_MEMBERS) as copy:
            copy.set_types(["uuid", "int4", "uuid", "int4"])
            for ordinal, one in enumerate(kept, start=work.tally.written + 1):
                members.update(MEMBER.pack(ordinal, one.recipient_id.bytes, one.version))
                await copy.write_row((work.audience_id, ordinal, one.recipient_id, one.version))
        work.tally.written += len(kept)


@dataclass(slots=True)
class Staged:
    """A person of the list, and the line they begin on."""

    line: int
    recipient_id: UUID
    person: Listed

    def consent(self, now: datetime) -> Consent | None:
        """What the list states of their consent."""
        given = self.person.consent
        return Consent(self.recipient_id, given.source, given.at or now, given.proof) if given else None


async def telling(doing: Coroutine[Any, Any, T], work: Work, state: State) -> T:
    """Wait for what PostgreSQL may take long to do, and tell now and then that we live."""
    task = asyncio.create_task(doing)
    try:
        while not (await asyncio.wait([task], timeout=TELL))[0]:
            await work.told(state)
        return task.result()
    finally:
        task.cancel()


async def number(connection: AsyncConnection, question: str) -> int:
    """The answer to a question that is one number."""
    row = await (await connection.execute(question.encode())).fetchone()
    assert row is not None
    return int(row[0])


async def persons(cursor: AsyncServerCursor[Any], work: Work, aside: Aside) -> AsyncIterator[list[Staged]]:
    """The staged people, batch by batch, each with all their rows merged."""
    last: Staged | None = None
    while rows := await telling(cursor.fetchmany(BATCH), work, "writing"):
        people, last = await asyncio.to_thread(merge, rows, last, aside)
        if people:
            yield people
    if last is not None:
        yield [last]


def merge(
    rows: Sequence[tuple[int, UUID, bytes]], last: Staged | None, aside: Aside
) -> tuple[list[Staged], Staged | None]:
    """Rows as people; the last one may have more rows to come, and is kept back."""
    people: list[Staged] = []
    for line, recipient_id, sealed in rows:
        row = aside.take(sealed)
        if last is None or last.recipient_id != recipient_id:
            if last is not None:
                people.append(last)
            last = Staged(line, recipient_id, Listed(row.number, row.country))
        last.person.add(row)
    return people, last
