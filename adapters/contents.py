"""The sealed content store: each text once a workspace, under a name that only its words give (`Ref`)."""

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable, Sequence
from contextlib import nullcontext
from typing import Generic, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.sealing import Sealing
from domain.message import Ref, WorkspaceId

# Sorted by the caller: two batches that share texts then wait for each other instead of deadlocking. Sent as binary
# (%b): bytea as text costs more than the sealing.
PUT = """
INSERT INTO contents (workspace, ref, sealed)
SELECT %s, ref, sealed FROM unnest(%b::text[], %b::bytea[]) AS t (ref, sealed)
ON CONFLICT DO NOTHING
"""
PUT_PERSONAL = """
INSERT INTO contents (workspace, ref, sealed, recipient_id)
SELECT %s, ref, sealed, recipient_id FROM unnest(%b::text[], %b::bytea[], %b::uuid[]) AS t (ref, sealed, recipient_id)
WHERE EXISTS (SELECT FROM people p WHERE p.workspace = %s AND p.recipient_id = t.recipient_id)
AND NOT EXISTS (SELECT FROM erasures e WHERE e.workspace = %s AND e.recipient_id = t.recipient_id)
ON CONFLICT DO NOTHING
"""
OPEN = "SELECT ref, sealed, recipient_id IS NULL FROM contents WHERE workspace = %s AND ref = ANY(%s)"

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The entries used last, at most so many."""

    __slots__ = ("_entries", "_most")

    def __init__(self, most: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The entry, used just now."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, entries: Iterable[tuple[K, V]]) -> None:
        for key, value in entries:
            self._entries[key] = value
            self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)


class Contents:
    """Puts texts in and opens them again; also seals bodies that wait elsewhere (pending commands, dead messages)."""

    def __init__(
        self, pool: AsyncConnectionPool, sealing: Sealing, *, known: int = 20_000, opened: int = 2_000
    ) -> None:
        self._pool = pool
        self._sealing = sealing
        self._known: Recent[tuple[WorkspaceId, Ref], bool] = Recent(known)
        self._opened: Recent[tuple[WorkspaceId, Ref], str] = Recent(opened)

    async def put_many(self, workspace: WorkspaceId, texts: Sequence[str]) -> list[Ref]:
        """Keep these texts, in one statement for those that are new; their references, in the order given."""
        named = {text: self._sealing.content_ref(workspace, text) for text in set(texts)}
        new = {ref: text for text, ref in named.items() if not self._known.get((workspace, ref))}
        if new:
            names = sorted(new)
            sealed = [self._sealing.seal(workspace, "content", ref, new[ref].encode()) for ref in names]
            async with self._pool.connection() as connection:
                await connection.execute(PUT, [workspace, names, sealed])
            self._known.put(((workspace, ref), True) for ref in names)  # only once it is stored
        return [named[text] for text in texts]

    async def put_personal(self, workspace: WorkspaceId, texts: Sequence[tuple[UUID, str]]) -> list[Ref]:
        """Keep texts that are about one person each, to go when that person is erased; their references, in order.

        Of whoever was erased nothing is kept, nor of anybody whom the workspace does not have: with whom would it go?
        Nothing is remembered here: this process would not hear of the erasure.
        """
        refs = [self._sealing.personal_ref(workspace, person, text) for person, text in texts]
        new = dict(sorted(zip(refs, texts, strict=True)))
        if new:
            sealed = [self._sealing.seal(workspace, "content", ref, text.encode()) for ref, (_, text) in new.items()]
            people = [person for person, _ in new.values()]
            async with self._pool.connection() as connection:
                await connection.execute(PUT_PERSONAL, [workspace, list(new), sealed, people, workspace, workspace])
        return refs

    async def open_many(
        self, workspace: WorkspaceId, refs: Collection[Ref], connection: AsyncConnection | None = None
    ) -> dict[Ref, str]:
        """The texts behind these references; what this workspace never put in is left out.

        Who holds a connection lends it: to wait for a second one would be to wait for each other.
        """
        found = {ref: text for ref in set(refs) if (text := self._opened.get((workspace, ref))) is not None}
        absent = [ref for ref in set(refs) if ref not in found]
        if absent:
            async with nullcontext(connection) if connection else self._pool.connection() as lent:
                rows = await (await lent.execute(OPEN, [workspace, absent], binary=True)).fetchall()
            shared = {Ref(ref) for ref, _, nobodys in rows if nobodys}
            opened = {
                Ref(ref): self._sealing.open(workspace, "content", ref, sealed).decode() for ref, sealed, _ in rows
            }
            self._opened.put(((workspace, ref), text) for ref, text in opened.items() if ref in shared)
            found |= opened
        return found

    def seal(self, workspace: WorkspaceId, key: object, body: bytes) -> bytes:
        """A body to be kept elsewhere under `key` (say, its row's): it opens nowhere else."""
        return self._sealing.seal(workspace, "body", str(key), body)

    def unseal(self, workspace: WorkspaceId, key: object, sealed: bytes) -> bytes:
        """A body that `seal` sealed for this workspace and key. Raises SealBroken."""
        return self._sealing.open(workspace, "body", str(key), sealed)
