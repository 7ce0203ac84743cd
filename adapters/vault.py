"""The vault: who the recipients are. Numbers, names and variables, sealed per person, in versions that never change."""

import json
import re
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters import binary_arrays
from adapters.forgotten_chats import leave
from adapters.runtime.pools import SEALING
from adapters.sealing import PersonKey, SealBroken, Sealing
from adapters.vault_rows import Entry, Known, New, Sealed, known, write
from domain.attributes import AttributeKind, values_of
from domain.message import WorkspaceId

BATCH = 2_000  # people sealed and written at a time
WORD = re.compile(r"\w+")
SAID = json.JSONEncoder(sort_keys=True)  # never another: commitments are over what it writes
MOST_WORDS = 8  # of a name that it can be found by
NUMBER, NAME = "number", "name"  # fields every list has a column for; the others are its variables

# One import a workspace at a time: two lists that share people would else seal the same version twice.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('vault|' || %s, 0))"
WHOSE = "SELECT recipient_id FROM people WHERE workspace = %s AND number_hmac = %s"
KINDS = "SELECT name, kind FROM attributes WHERE workspace = %s"
# Whoever imports holds the lock for long: an erasure comes again rather than hold up the others.
LOCK_NOW = "SELECT pg_try_advisory_xact_lock(hashtextextended('vault|' || %s, 0))"
NEWEST = "SELECT recipient_id, version FROM people WHERE recipient_id = %(person)s AND workspace = %(workspace)s"
SUPPRESS = """
INSERT INTO suppressed (workspace, number_hmac)
SELECT workspace, number_hmac FROM people WHERE recipient_id = %(person)s AND workspace = %(workspace)s
ON CONFLICT DO NOTHING
"""
ERASE = (
    "DELETE FROM contents WHERE recipient_id = %(person)s AND workspace = %(workspace)s",
    "DELETE FROM people WHERE recipient_id = %(person)s AND workspace = %(workspace)s",
    "UPDATE erasures SET done_at = now() WHERE recipient_id = %(person)s AND workspace = %(workspace)s",
)
OPEN = """
SELECT recipient_id, v.version, p.workspace, p.wrapped_key, v.sealed
FROM unnest(%s::uuid[], %s::int[]) AS wanted (recipient_id, version)
JOIN person_versions v USING (recipient_id, version) JOIN people p USING (recipient_id)
"""

__all__ = ["BATCH", "LOCK", "LOCK_NOW", "NAME", "NUMBER", "Entry", "Kept", "Person", "PersonGone", "Vault", "words_of"]


class PersonGone(LookupError):
    """There is nobody under this id and version: never imported, or erased."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a person lies now: the recipient's id, and the version that holds just what the entry said.

    Of whoever was erased nothing is kept again: their version is 0. `before` is the newest before.
    """

    recipient_id: UUID
    version: int
    before: int = field(default=0, compare=False)

    @property
    def suppressed(self) -> bool:
        """Whether the person was erased."""
        return not self.version

    @property
    def added(self) -> bool:
        """Whether the person was not there before."""
        return not self.before and not self.suppressed

    @property
    def changed(self) -> bool:
        """Whether something else was said of the person before."""
        return self.before not in (0, self.version)


@dataclass(frozen=True, slots=True)
class Person:
    """One version of a person, opened. `variables` are all fields a text may use, `name` among them."""

    number: str
    name: str
    variables: Mapping[str, str]


class Vault:
    """Writes people inside an import's transaction, and opens the versions that frozen audiences name."""

    def __init__(self, pool: AsyncConnectionPool, sealing: Sealing) -> None:
        self._pool = pool
        self._sealing = sealing

    async def store(self, connection: AsyncConnection, workspace: WorkspaceId, entries: Sequence[Entry]) -> list[Kept]:
        """Keep these people (each number once) in the caller's transaction; whose fields changed gets a new version."""
        binary_arrays.register(connection)
        await connection.execute(LOCK, [workspace])
        kinds = {
            name: AttributeKind(kind) for name, kind in await (await connection.execute(KINDS, [workspace])).fetchall()
        }
        kept: list[Kept] = []
        for start in range(0, len(entries), BATCH):
            kept += await self._store_batch(connection, workspace, kinds, entries[start : start + BATCH])
        return kept

    async def _store_batch(
        self,
        connection: AsyncConnection,
        workspace: WorkspaceId,
        kinds: Mapping[str, AttributeKind],
        entries: Sequence[Entry],
    ) -> list[Kept]:
        ids = [entry.recipient_id or self._sealing.recipient_id(workspace, entry.number) for entry in entries]
        there = await known(connection, workspace, ids)
        sealed = await SEALING.run(workspace, self._seal_all, workspace, kinds, ids, entries, there)
        sealed = await write(connection, workspace, sealed)
        before = {recipient: version for recipient, (_, version, _) in there.items()}
        newest = before | {row.recipient_id: row.version for row in sealed}
        return [Kept(recipient, newest.get(recipient, 0), before.get(recipient, 0)) for recipient in ids]

    def _seal_all(
        self,
        workspace: WorkspaceId,
        kinds: Mapping[str, AttributeKind],
        ids: Sequence[UUID],
        entries: Sequence[Entry],
        there: Known,
    ) -> Sequence[Sealed]:
        """The versions to write: of new people, and of those about whom anything changed."""
        sealed = []
        for recipient, entry in zip(ids, entries, strict=True):
            fields = {**entry.fields, NUMBER: entry.number}
            said = SAID.encode(fields).encode()
            wrapped, version, commitment = there.get(recipient, (None, 0, None))
            new: New | None = None
            if wrapped is None:
                key, to_keep = self._sealing.new_person(workspace, recipient)
                new = New(to_keep, self._sealing.number_hmac(workspace, entry.number), entry.country)
            else:
                key = self._sealing.person(workspace, recipient, wrapped)
            said_as = key.commit(said)
            if said_as != commitment:
                rows, facets = seal_fields(key, version + 1, fields), self.facets(workspace, kinds, entry.fields)
                sealed.append(Sealed(recipient, version + 1, said_as, rows, *facets, new))
        return sealed

    def facets(
        self, workspace: WorkspaceId, kinds: Mapping[str, AttributeKind], fields: Mapping[str, str]
    ) -> tuple[str, str]:
        """What a person can be filtered and searched by, as `people` has it: attributes, and the words of the name."""
        words = sorted({self._sealing.word_hmac(workspace, word) for word in words_of(fields.get(NAME, ""))})
        return json.dumps(values_of(kinds, fields)) if kinds else "{}", f"{{{','.join(map(str, words))}}}"

    async def erase(self, workspace: WorkspaceId, recipient_id: UUID) -> bool:
        """Destroy a person's key, versions and texts, and order their chats to be deleted; only that their number is
        not to be kept again stays.

        False, and nothing is done, while somebody imports into the workspace.
        """
        whom = {"workspace": workspace, "person": recipient_id}
        async with self._pool.connection() as connection, connection.transaction():
            row = await (await connection.execute(LOCK_NOW, [workspace])).fetchone()
            if row is None or not row[0]:
                return False
            if (person := await self._newest(connection, whom)) is not None:
                await leave(connection, self._sealing, workspace, recipient_id, person.number)
            for statement in (SUPPRESS, *ERASE):
                await connection.execute(statement, whom)
        return True

    async def number_of(self, workspace: WorkspaceId, recipient_id: UUID) -> str | None:
        """A person's number, if somebody is there and it can be read."""
        async with self._pool.connection() as connection:
            person = await self._newest(connection, {"workspace": workspace, "person": recipient_id})
        return person.number if person else None

    async def _newest(self, connection: AsyncConnection, whom: Mapping[str, object]) -> Person | None:
        row = await (await connection.execute(NEWEST, whom)).fetchone()
        with suppress(SealBroken):
            return next(iter((await self.opened(connection, [row])).values()), None) if row else None
        return None

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
        async with self._pool.connection() as connection:
            return await self.opened(connection, wanted)

    async def opened(
        self, connection: AsyncConnection, wanted: Collection[tuple[UUID, int]]
    ) -> dict[tuple[UUID, int], Person]:
        """The same, for who holds a connection."""
        ids, versions = [recipient for recipient, _ in wanted], [version for _, version in wanted]
        rows = await (await connection.execute(OPEN, [ids, versions])).fetchall()
        return {
            (recipient, version): open_person(self._sealing.person(workspace, recipient, wrapped), version, sealed)
            for recipient, version, workspace, wrapped, sealed in rows
        }


def words_of(name: str) -> list[str]:
    """The words of a name as they are searched for: without case and accents, the first few."""
    plain = name
    if not name.isascii():
        plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return WORD.findall(plain.casefold())[:MOST_WORDS]


def seal_fields(key: PersonKey, version: int, fields: Mapping[str, str]) -> str:
    """The JSON of a version's sealed fields."""
    sealed = {name: b64encode(key.seal(name, version, value)).decode() for name, value in fields.items()}
    return orjson.dumps(sealed).decode()


def open_person(key: PersonKey, version: int, sealed: Mapping[str, str]) -> Person:
    """A version's fields in plain words."""
    fields = {name: key.open(name, version, b64decode(value)) for name, value in sealed.items()}
    number = fields.pop(NUMBER)
    return Person(number, fields.get(NAME, ""), fields)
