"""Importing a list: its people into the vault, its order into `audience_members`, in one transaction or not at all."""

import asyncio
import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.audience_csv import LARGEST, BadRow, ImportRefused, Parsed, parse
from adapters.sealing import Sealing, bound
from adapters.vault import Entry, Kept, Vault
from domain.message import Digest, WorkspaceId
from domain.recipient import ConsentSource

PREVIOUS = "SELECT workspace, source, digest, imported_at FROM audience_imports WHERE audience_id = %s"
ADD = """
INSERT INTO audience_imports (audience_id, workspace, count, rejected, merged, digest, source, imported_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
ADD_MEMBERS = """
INSERT INTO audience_members (audience_id, ordinal, recipient_id, vault_version)
SELECT %s, t.ordinal, t.recipient_id, t.version
FROM unnest(%s::uuid[], %s::int[]) WITH ORDINALITY AS t (recipient_id, version, ordinal)
"""
MEMBER = struct.Struct(">Q16sI")  # ordinal, recipient, version of the vault
COUNTS = struct.Struct(">QQQ")  # people, bad rows, merged rows


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent the list states, to be recorded by a command; `proof` is a person's words, not yet sealed."""

    recipient_id: UUID
    source: ConsentSource
    given_at: datetime
    proof: str | None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of an import; rows = bad + merged + recipients. The counts and the digest are ImportAudience's."""

    audience_id: UUID
    rows: int
    bad: int
    merged: int
    recipients: int
    digest: Digest
    consents: tuple[Consent, ...]
    bad_rows: tuple[BadRow, ...]


class AudienceImport:
    """Imports lists. The same list under the same id is imported once, and reported again as it was."""

    def __init__(
        self, pool: AsyncConnectionPool, vault: Vault, sealing: Sealing, clock: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._vault = vault
        self._sealing = sealing
        self._clock = clock

    async def run(
        self, workspace: WorkspaceId, audience_id: UUID, source: bytes | Path, country: str | None = None
    ) -> ImportReport:
        """Import a CSV file; `country` (ISO 3166-1) is assumed for numbers that do not name theirs.

        Raises ImportRefused for a file that cannot be read, or an id that another list has.
        """
        data = await asyncio.to_thread(read, source) if isinstance(source, Path) else source
        same = self._sealing.mac(workspace, "import", bound(country or "") + data)
        while True:
            imported = await self._previous(workspace, audience_id, same)
            digest, now = imported or (None, self._clock())
            parsed = await asyncio.to_thread(parse, data, country, now)
            digest = digest or await self._write(workspace, audience_id, parsed, same, now)
            if digest is not None:  # else somebody imported under this id since we looked
                return self._report(workspace, audience_id, parsed, digest, now)

    async def _previous(self, workspace: WorkspaceId, audience_id: UUID, same: bytes) -> tuple[Digest, datetime] | None:
        """The digest and the time of this very import, if it was done before."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(PREVIOUS, [audience_id])).fetchone()
        if row is None:
            return None
        if (row[0], row[1]) != (workspace, same):
            raise ImportRefused("id_taken", "audience_id", "Another list was imported under this audience's id.")
        return Digest(row[2]), row[3]

    async def _write(
        self, workspace: WorkspaceId, audience_id: UUID, parsed: Parsed, same: bytes, now: datetime
    ) -> Digest | None:
        """Keep the list, and give its digest; None when the id was taken meanwhile."""
        entries = [Entry(person.number, person.country, person.fields) for person in parsed.people]
        async with self._pool.connection() as connection, connection.transaction():
            kept = await self._vault.store(connection, workspace, entries)
            digest = digest_of(kept, len(parsed.bad), parsed.merged)
            counts = [len(kept), len(parsed.bad), parsed.merged]
            added = await connection.execute(ADD, [audience_id, workspace, *counts, digest, same, now])
            if not added.rowcount:
                return None
            await self._write_members(connection, audience_id, kept)
        return digest

    async def _write_members(self, connection: AsyncConnection, audience_id: UUID, kept: Sequence[Kept]) -> None:
        ids, versions = [person.recipient_id for person in kept], [person.version for person in kept]
        await connection.execute(ADD_MEMBERS, [audience_id, ids, versions])

    def _report(
        self, workspace: WorkspaceId, audience_id: UUID, parsed: Parsed, digest: Digest, now: datetime
    ) -> ImportReport:
        consents = tuple(
            Consent(
                self._sealing.recipient_id(workspace, person.number),
                person.consent.source,
                person.consent.at or now,
                person.consent.proof,
            )
            for person in parsed.people
            if person.consent is not None
        )
        return ImportReport(
            audience_id=audience_id,
            rows=parsed.rows,
            bad=len(parsed.bad),
            merged=parsed.merged,
            recipients=len(parsed.people),
            digest=digest,
            consents=consents,
            bad_rows=tuple(parsed.bad),
        )


def read(path: Path) -> bytes:
    """A file's bytes, and one more than allowed at most, so that a huge one is refused without being read."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        sentence = f"The file cannot be read: {(error.strerror or 'unknown reason').lower()}."
        raise ImportRefused("unreadable", "file", sentence) from None


def digest_of(kept: Sequence[Kept], rejected: int, merged: int) -> Digest:
    """SHA-256 over the counts and the members in order; ids come from keyed hashes, so it gives nobody away."""
    members = hashlib.sha256()
    for ordinal, person in enumerate(kept, start=1):
        members.update(MEMBER.pack(ordinal, person.recipient_id.bytes, person.version))
    return digest_over(len(kept), rejected, merged, members.digest())


def digest_over(count: int, rejected: int, merged: int, members: bytes) -> Digest:
    """The digest, of counts and the members' own."""
    return Digest(hashlib.sha256(COUNTS.pack(count, rejected, merged) + members).hexdigest())
