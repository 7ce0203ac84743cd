"""The vault: who the recipients are. Numbers, names and variables, sealed per person, in versions that never change."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.sealing import PersonKey, Sealing
from domain.message import WorkspaceId

BATCH = 2_000  # people sealed and written at a time
NUMBER, NAME = "number", "name"  # fields every list has a column for; the others are its variables

# One import a workspace at a time: two lists that share people would else seal the same version twice.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('vault|' || %s, 0))"
KNOWN = """
SELECT p.recipient_id, p.wrapped_key, p.version, v.commitment
FROM people p JOIN person_versions v USING (recipient_id, version)
WHERE p.recipient_id = ANY(%s)
"""
WHOSE = "SELECT recipient_id FROM people WHERE workspace = %s AND number_hmac = %s"
ADD_PEOPLE = """
INSERT INTO people (recipient_id, workspace, number_hmac, wrapped_key, country, version)
SELECT recipient_id, %s, number_hmac, wrapped_key, country, 1
FROM unnest(%b::uuid[], %b::bytea[], %b::bytea[], %b::text[]) AS t (recipient_id, number_hmac, wrapped_key, country)
"""
ADD_VERSIONS = """
INSERT INTO person_versions (recipient_id, version, commitment, sealed)
SELECT * FROM unnest(%b::uuid[], %b::int[], %b::bytea[], %s::jsonb[])
"""
SUPPRESSED = "SELECT number_hmac FROM suppressed WHERE workspace = %s AND number_hmac = ANY(%b::bytea[])"
RAISE = """
UPDATE people SET version = t.version FROM unnest(%s::uuid[], %s::int[]) AS t (recipient_id, version)
WHERE people.recipient_id = t.recipient_id AND people.version <> t.version
"""
# Whoever imports holds the lock for long: an erasure comes again rather than hold up the others.
LOCK_NOW = "SELECT pg_try_advisory_xact_lock(hashtextextended('vault|' || %s, 0))"
PENDING = "SELECT recipient_id, workspace FROM erasures LIMIT %s"
SUPPRESS = """
INSERT INTO suppressed (workspace, number_hmac)
SELECT workspace, number_hmac FROM people WHERE recipient_id = %(person)s AND workspace = %(workspace)s
ON CONFLICT DO NOTHING
"""
ERASE = (
    "DELETE FROM contents WHERE recipient_id = %(person)s AND workspace = %(workspace)s",
    "DELETE FROM people WHERE recipient_id = %(person)s AND workspace = %(workspace)s",
    "DELETE FROM erasures WHERE recipient_id = %(person)s",
)
OPEN = """
SELECT recipient_id, v.version, p.workspace, p.wrapped_key, v.sealed
FROM unnest(%s::uuid[], %s::int[]) AS wanted (recipient_id, version)
JOIN person_versions v USING (recipient_id, version) JOIN people p USING (recipient_id)
"""


class PersonGone(LookupError):
    """There is nobody under this id and version: never imported, or erased."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list says of one person: the number in E.164, its country, and the fields that have a value."""

    number: str
    country: str | None
    fields: Mapping[str, str]  # `name` and the variables


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a person lies now: the recipient's id, and the version that holds just what the entry said.

    Of whoever was erased nothing is kept again: their version is 0.
    """

    recipient_id: UUID
    version: int

    @property
    def suppressed(self) -> bool:
        """Whether the person was erased."""
        return not self.version


@dataclass(frozen=True, slots=True)
class Person:
    """One version of a person, opened. `variables` are all fields a text may use, `name` among them."""

    number: str
    name: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A version to be written; `wrapped` is the person's key when the person is new."""

    recipient_id: UUID
    version: int
    commitment: bytes
    fields: str
    entry: Entry
    wrapped: bytes | None


class Vault:
    """Writes people inside an import's transaction, and opens the versions that frozen audiences name."""

    def __init__(self, pool: AsyncConnectionPool, sealing: Sealing) -> None:
        self._pool = pool
        self._sealing = sealing

    async def store(self, connection: AsyncConnection, workspace: WorkspaceId, entries: Sequence[Entry]) -> list[Kept]:
        """Keep these people (each number once) in the caller's transaction; whose fields changed gets a new version."""
        await connection.execute(LOCK, [workspace])
        kept: list[Kept] = []
        for start in range(0, len(entries), BATCH):
            kept += await self._store_batch(connection, workspace, entries[start : start + BATCH])
        return kept

    async def _store_batch(
        self, connection: AsyncConnection, workspace: WorkspaceId, entries: Sequence[Entry]
    ) -> list[Kept]:
        ids = [self._sealing.recipient_id(workspace, entry.number) for entry in entries]
        rows = await (await connection.execute(KNOWN, [ids])).fetchall()
        known = {row[0]: (row[1], row[2], row[3]) for row in rows}
        sealed = await asyncio.to_thread(self._seal_all, workspace, ids, entries, known)
        new = [row for row in sealed if row.wrapped is not None]
        gone: set[UUID] = set()
        if new:
            numbers = [self._sealing.number_hmac(workspace, row.entry.number) for row in new]
            cursor = await connection.execute(SUPPRESSED, [workspace, numbers])
            if erased := {row[0] for row in await cursor.fetchall()}:
                gone = {row.recipient_id for row, number in zip(new, numbers, strict=True) if number in erased}
                sealed = [row for row in sealed if row.recipient_id not in gone]
                new = [row for row in new if row.recipient_id not in gone]
                numbers = [number for number in numbers if number not in erased]
            keys, countries = [row.wrapped for row in new], [row.entry.country for row in new]
            await connection.execute(
                ADD_PEOPLE, [workspace, [row.recipient_id for row in new], numbers, keys, countries]
            )
        if sealed:
            written, versions = [row.recipient_id for row in sealed], [row.version for row in sealed]
            commitments, fields = [row.commitment for row in sealed], [row.fields for row in sealed]
            await connection.execute(ADD_VERSIONS, [written, versions, commitments, fields])
            await connection.execute(RAISE, [written, versions])
        newest = {recipient: version for recipient, (_, version, _) in known.items()}
        newest |= {row.recipient_id: row.version for row in sealed}
        return [Kept(recipient, newest.get(recipient, 0)) for recipient in ids]

    def _seal_all(
        self,
        workspace: WorkspaceId,
        ids: Sequence[UUID],
        entries: Sequence[Entry],
        known: Mapping[UUID, tuple[bytes, int, bytes]],
    ) -> list[Sealed]:
        """The versions to write: of new people, and of those about whom anything changed."""
        sealed = []
        for recipient, entry in zip(ids, entries, strict=True):
            fields = {**entry.fields, NUMBER: entry.number}
            said = json.dumps(fields, sort_keys=True).encode()
            wrapped, version, commitment = known.get(recipient, (None, 0, None))
            if wrapped is None:
                key, to_keep = self._sealing.new_person(workspace, recipient)
            else:
                key, to_keep = self._sealing.person(workspace, recipient, wrapped), None
            said_as = key.commit(said)
            if said_as != commitment:
                rows = seal_fields(key, version + 1, fields)
                sealed.append(Sealed(recipient, version + 1, said_as, rows, entry, to_keep))
        return sealed

    async def erasures(self, limit: int = BATCH) -> list[tuple[UUID, WorkspaceId]]:
        """People whose erasure the log tells, and who are still here."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(PENDING, [limit])).fetchall()
        return [(person, WorkspaceId(workspace)) for person, workspace in rows]

    async def erase(self, workspace: WorkspaceId, recipient_id: UUID) -> bool:
        """Destroy a person's key, versions and texts; only that their number is not to be kept again stays.

        False, and nothing is done, while somebody imports into the workspace.
        """
        whom = {"workspace": workspace, "person": recipient_id}
        async with self._pool.connection() as connection, connection.transaction():
            row = await (await connection.execute(LOCK_NOW, [workspace])).fetchone()
            if row is None or not row[0]:
                return False
            await connection.execute(SUPPRESS, whom)
            for statement in ERASE:
                await connection.execute(statement, whom)
        return True

    async def whose(self, connection: AsyncConnection, workspace: WorkspaceId, number: str) -> UUID | None:
        """The recipient who has this number (E.164), if somebody in the vault has it."""
        wanted = [workspace, self._sealing.number_hmac(workspace, number)]
        row = await (await connection.execute(WHOSE, wanted)).fetchone()
        return row[0] if row else None

    async def person(self, recipient_id: UUID, version: int) -> Person:
        """One version of one person. Raises PersonGone, or SealBroken when the row was tampered with."""
        found = await self.people([(recipient_id, version)])
        if not found:
            raise PersonGone(f"nobody under recipient {recipient_id}, version {version}")
        return found[recipient_id, version]

    async def people(self, wanted: Collection[tuple[UUID, int]]) -> dict[tuple[UUID, int], Person]:
        """Many people at once, by (recipient id, version); who is gone is left out. Raises SealBroken."""
        ids, versions = [recipient for recipient, _ in wanted], [version for _, version in wanted]
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(OPEN, [ids, versions])).fetchall()
        return {
            (recipient, version): open_person(self._sealing.person(workspace, recipient, wrapped), version, sealed)
            for recipient, version, workspace, wrapped, sealed in rows
        }


def seal_fields(key: PersonKey, version: int, fields: Mapping[str, str]) -> str:
    """The JSON of a version's sealed fields."""
    return json.dumps({name: b64encode(key.seal(name, version, value)).decode() for name, value in fields.items()})


def open_person(key: PersonKey, version: int, sealed: Mapping[str, str]) -> Person:
    """A version's fields in plain words."""
    fields = {name: key.open(name, version, b64decode(value)) for name, value in sealed.items()}
    number = fields.pop(NUMBER)
    return Person(number, fields.get(NAME, ""), fields)
