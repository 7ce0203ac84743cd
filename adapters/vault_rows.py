"""The vault's rows as they are written: many people at once, each column as one array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import AsyncConnection

from adapters.binary_arrays import Blobs, Int4s, Texts, Uuids
from domain.message import WorkspaceId

KNOWN = """
SELECT p.recipient_id, p.wrapped_key, p.version, v.commitment
FROM people p JOIN person_versions v USING (recipient_id, version)
WHERE p.workspace = %s AND p.recipient_id = ANY(%b::uuid[])
"""
SUPPRESSED = "SELECT number_hmac FROM suppressed WHERE workspace = %s AND number_hmac = ANY(%b::bytea[])"
ADD_PEOPLE = """
INSERT INTO people (recipient_id, workspace, number_hmac, wrapped_key, country, version, attributes, words)
SELECT recipient_id, %s, number_hmac, wrapped_key, country, 1, attributes::jsonb, words::int[]
FROM unnest(%b::uuid[], %b::bytea[], %b::bytea[], %b::text[], %b::text[], %b::text[])
    AS t (recipient_id, number_hmac, wrapped_key, country, attributes, words)
"""
ADD_VERSIONS = """
INSERT INTO person_versions (recipient_id, version, commitment, sealed)
SELECT recipient_id, version, commitment, sealed::jsonb
FROM unnest(%b::uuid[], %b::int[], %b::bytea[], %b::text[]) AS t (recipient_id, version, commitment, sealed)
"""
RAISE = """
UPDATE people SET version = t.version, attributes = t.attributes::jsonb, words = t.words::int[]
FROM unnest(%b::uuid[], %b::int[], %b::text[], %b::text[]) AS t (recipient_id, version, attributes, words)
WHERE people.workspace = %s AND people.recipient_id = t.recipient_id AND people.version <> t.version
"""

Known = Mapping[UUID, tuple[bytes, int, bytes]]
"""Of people who are there: the wrapped key, the newest version, and its commitment."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list says of one person: the number in E.164, its country, and the fields that have a value."""

    number: str
    country: str | None
    fields: Mapping[str, str]  # `name` and the variables
    recipient_id: UUID | None = None  # where the caller has it already: it follows from the number


@dataclass(frozen=True, slots=True)
class New:
    """What `people` has of somebody from the beginning on."""

    wrapped: bytes  # the person's key
    number_hmac: bytes
    country: str | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A version to be written."""

    recipient_id: UUID
    version: int
    commitment: bytes
    fields: str  # JSON
    attributes: str  # JSON
    words: str  # an array
    new: New | None  # whose first version it is


async def known(connection: AsyncConnection, workspace: WorkspaceId, ids: Sequence[UUID]) -> Known:
    """Those of these people who are there."""
    rows = await (await connection.execute(KNOWN, [workspace, Uuids.of(ids)], binary=True)).fetchall()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def write(connection: AsyncConnection, workspace: WorkspaceId, sealed: Sequence[Sealed]) -> Sequence[Sealed]:
    """Write versions, and the people who are new; nothing of those who were erased. Gives what was written."""
    if new := [(row, row.new) for row in sealed if row.new is not None]:
        wanted = [workspace, Blobs.of(one.number_hmac for _, one in new)]
        erased = {row[0] for row in await (await connection.execute(SUPPRESSED, wanted, binary=True)).fetchall()}
        if erased:
            sealed = [row for row in sealed if row.new is None or row.new.number_hmac not in erased]
            new = [(row, one) for row, one in new if one.number_hmac not in erased]
        await connection.execute(
            ADD_PEOPLE,
            [
                workspace,
                Uuids.of(row.recipient_id for row, _ in new),
                Blobs.of(one.number_hmac for _, one in new),
                Blobs.of(one.wrapped for _, one in new),
                Texts.of(one.country for _, one in new),
                Texts.of(row.attributes for row, _ in new),
                Texts.of(row.words for row, _ in new),
            ],
        )
    if sealed:
        await connection.execute(
            ADD_VERSIONS,
            [
                Uuids.of(row.recipient_id for row in sealed),
                Int4s.of(row.version for row in sealed),
                Blobs.of(row.commitment for row in sealed),
                Texts.of(row.fields for row in sealed),
            ],
        )
    if changed := [row for row in sealed if row.new is None]:
        await connection.execute(
            RAISE,
            [
                Uuids.of(row.recipient_id for row in changed),
                Int4s.of(row.version for row in changed),
                Texts.of(row.attributes for row in changed),
                Texts.of(row.words for row in changed),
                workspace,
            ],
        )
    return sealed
