"""Putting messages aside within a quota: nobody's dead letters take the room of others'."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from domain.message import PrincipalId, WorkspaceId

KEY_SHARE = 4  # one key may have this part of its workspace's quota
KEPT_OF_UNREADABLE = 4_096  # bytes: enough to see what it was; it can never be replayed

# What could not be read is kept if there is room, and else not at all. Of a command that crashed the letter is kept in
# any case, its body if there is room: without it the letter is dropped from the beginning.
BURY = """
WITH used AS (
    SELECT coalesce(sum(letters), 0) AS letters, coalesce(sum(bytes), 0) AS bytes,
           coalesce(sum(letters) FILTER (WHERE principal = %(principal)s), 0) AS of_key,
           coalesce(sum(bytes) FILTER (WHERE principal = %(principal)s), 0) AS bytes_of_key
    FROM dead_letter_usage WHERE workspace = %(workspace)s
), room AS (
    SELECT letters < %(letters)s AND bytes + %(size)s <= %(bytes)s
           AND of_key < %(letters_of_key)s AND bytes_of_key + %(size)s <= %(bytes_of_key)s AS free
    FROM used
), buried AS (
    INSERT INTO dead_letters (id, workspace, principal, name, command_id, reason, traceparent, body, source, state)
    SELECT %(id)s, %(workspace)s, %(principal)s, %(name)s, %(command_id)s, %(reason)s, %(traceparent)s,
           CASE WHEN free THEN %(body)s::bytea END, %(source)s, CASE WHEN free THEN 'dead' ELSE 'dropped' END
    FROM room WHERE free OR %(command_id)s::uuid IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET state = 'dead', reason = excluded.reason,
        body = coalesce(excluded.body, dead_letters.body), died_at = now(), source = excluded.source
    WHERE dead_letters.state = 'replayed' AND (dead_letters.source = excluded.source) IS NOT TRUE
)
SELECT free FROM room
"""


# Who puts letters aside does it alone: two at once would both see the last room that is left. "dead" as a number.
ALONE = "SELECT pg_advisory_xact_lock(1684365668)"


@dataclass(frozen=True, slots=True)
class DeadLetterQuota:
    """What a workspace's dead letters may be, in number and in bytes; those of one key a fourth of it."""

    letters: int = 10_000
    bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that nobody could handle. `id` is its command's key; `body` is sealed under it.

    `source` tells it from any other message of the command; a command that died without one has none.
    """

    id: UUID
    workspace: WorkspaceId  # empty: nobody's
    principal: PrincipalId  # empty: nobody
    name: str
    command_id: UUID | None  # None: it could not be read
    reason: str
    body: bytes
    traceparent: str = ""
    source: str | None = None


async def bury(connection: AsyncConnection[Any], dead: Sequence[Dead], quota: DeadLetterQuota) -> list[bool]:
    """Put messages aside in one transaction; of which the body was kept."""
    limits = {
        "letters": quota.letters,
        "bytes": quota.bytes,
        "letters_of_key": max(quota.letters // KEY_SHARE, 1),
        "bytes_of_key": quota.bytes // KEY_SHARE,
    }
    values = [{name: getattr(one, name) for name in Dead.__slots__} | limits | {"size": len(one.body)} for one in dead]
    found: list[bool] = []
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(ALONE)
        await cursor.executemany(BURY, values, returning=True)
        while values:
            row = await cursor.fetchone()
            found.append(bool(row and row[0]))
            if not cursor.nextset():
                break
    return found
