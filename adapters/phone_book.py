"""The phone book: one person at a time, found, added, changed; and all that is held of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.errors import QueryCanceled
from psycopg_pool import AsyncConnectionPool

from adapters.audience_rows import CONTROL
from adapters.filter_sql import Condition
from adapters.runtime.turns import Turns
from adapters.sealing import Sealing
from adapters.vault import LOCK, NAME, NUMBER, Entry, Person, Vault, words_of
from domain.filters import Filter
from domain.message import Refused, WorkspaceId

PATIENCE = "SET LOCAL statement_timeout = '3s'"
SEARCHES = 3  # at once in a process: the others' questions need connections, too
COLUMNS = sql.SQL("p.recipient_id, p.version, p.country, p.tags, p.added")
ONE = sql.SQL("SELECT {} FROM people p WHERE p.workspace = %s AND p.recipient_id = %s").format(COLUMNS)
FIND = sql.SQL("""
SELECT {columns} FROM people p
WHERE p.workspace = %(workspace)s AND (%(behind)s::bigint IS NULL OR p.added < %(behind)s) AND {words} AND {fits}
ORDER BY p.added DESC LIMIT %(limit)s
""")
ANY_WORDS = sql.SQL("true")
THESE_WORDS = sql.SQL("(p.words <> '{}' AND p.words @> %(words)s::int[])")
BY_NUMBER = sql.SQL("(p.number_hmac = %(number)s)")
TAG = "UPDATE people SET tags = %s WHERE workspace = %s AND recipient_id = %s"
VERSIONS = "SELECT version FROM person_versions WHERE recipient_id = %s ORDER BY version"
LISTS = """
SELECT DISTINCT audience_id FROM audience_members m JOIN audience_imports i USING (audience_id)
WHERE i.workspace = %s AND m.recipient_id = %s
"""
TEXTS = "SELECT ref, sealed FROM contents WHERE workspace = %s AND recipient_id = %s ORDER BY ref"
ATTRIBUTES = "SELECT attributes FROM people WHERE workspace = %s AND recipient_id = %s"


@dataclass(frozen=True, slots=True)
class Listed:
    """A person in the phone book; `added` is their place in it."""

    recipient_id: UUID
    version: int
    country: str | None
    tags: Sequence[str]
    added: int
    person: Person


@dataclass(frozen=True, slots=True)
class Held:
    """All that the vault holds of a person."""

    now: Listed
    attributes: Mapping[str, object]
    versions: Sequence[tuple[int, Person]]
    lists: Sequence[UUID]
    texts: Sequence[str]


class PhoneBook:
    """People of a workspace, one by one."""

    def __init__(self, pool: AsyncConnectionPool, vault: Vault, sealing: Sealing) -> None:
        self._pool = pool
        self._vault = vault
        self._sealing = sealing
        self._searching = Turns(SEARCHES, SEARCHES - 1)

    async def add(self, workspace: WorkspaceId, entry: Entry, tags: Sequence[str]) -> UUID:
        """Somebody new; in the same words again it is the same person.

        Raises Refused when the number is of somebody else, or of somebody who was erased.
        """
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(LOCK, [workspace])
            if (taken := await self._vault.whose(connection, workspace, entry.number)) is not None:
                rows = await (await connection.execute(ONE, [workspace, taken])).fetchall()
                [known] = await self._opened(connection, rows)
                if (known.person.variables, known.tags) == (entry.fields, sorted(set(tags))):
                    return taken
                raise Refused("number_taken", field="number")
            [kept] = await self._vault.store(connection, workspace, [entry])
            if kept.suppressed:
                raise Refused("erased", field="number")
            await connection.execute(TAG, [sorted(set(tags)), workspace, kept.recipient_id])
        return kept.recipient_id

    async def change(
        self, workspace: WorkspaceId, recipient_id: UUID, fields: Mapping[str, str], tags: Sequence[str]
    ) -> bool:
        """Other words about somebody, in a new version; what an audience was frozen with stays. False: nobody there."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(LOCK, [workspace])
            row = await (await connection.execute(ONE, [workspace, recipient_id])).fetchone()
            if row is None:
                return False
            number = (await self._vault.opened(connection, [(recipient_id, row[1])]))[recipient_id, row[1]].number
            await self._vault.store(connection, workspace, [Entry(number, row[2], fields)])
            await connection.execute(TAG, [sorted(set(tags)), workspace, recipient_id])
        return True

    async def one(self, workspace: WorkspaceId, recipient_id: UUID) -> Listed | None:
        """A person of this workspace."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(ONE, [workspace, recipient_id])).fetchall()
            found = await self._opened(connection, rows)
        return found[0] if found else None

    async def find(
        self,
        workspace: WorkspaceId,
        fits: Filter,
        *,
        name: str = "",
        number: str | None = None,
        behind: int | None = None,
        limit: int = 50,
    ) -> tuple[list[Listed], int | None]:
        """Those who fit, the newest first, and the place to go on from. `name`: whole words of it, without case and
        accents; `number`: in E.164. Raises Refused when it would take too long."""
        wanted = set(words_of(name))
        condition, words = Condition(), ANY_WORDS
        values: dict[str, Any] = {"workspace": workspace, "behind": behind, "limit": limit + 1}
        if number is not None:
            words = BY_NUMBER
            values["number"] = self._sealing.number_hmac(workspace, number)
        elif wanted:
            words = THESE_WORDS
            values["words"] = [self._sealing.word_hmac(workspace, word) for word in wanted]
        statement = FIND.format(columns=COLUMNS, words=words, fits=condition.of(fits))
        async with self._searching.of(workspace), self._pool.connection() as connection:
            try:
                async with connection.transaction():
                    await connection.execute(PATIENCE)
                    rows = await (await connection.execute(statement, {**values, **condition.values})).fetchall()
            except QueryCanceled:
                raise Refused("filter_too_slow", field="filter") from None
            found = await self._opened(connection, rows[:limit])
        # 32 bits of a word may be another's.
        true = [one for one in found if wanted <= set(words_of(one.person.name))]
        return true, rows[limit - 1][4] if len(rows) > limit else None

    async def held(self, connection: AsyncConnection, workspace: WorkspaceId, recipient_id: UUID) -> Held | None:
        """All that is held of a person, but for what they wrote."""
        async with connection.transaction():
            whom = [workspace, recipient_id]
            now = await self._opened(connection, await (await connection.execute(ONE, whom)).fetchall())
            if not now:
                return None
            numbers = await (await connection.execute(VERSIONS, [recipient_id])).fetchall()
            opened = await self._vault.opened(connection, [(recipient_id, row[0]) for row in numbers])
            lists = await (await connection.execute(LISTS, whom)).fetchall()
            texts = await (await connection.execute(TEXTS, whom)).fetchall()
            attributes = await (await connection.execute(ATTRIBUTES, whom)).fetchone()
        return Held(
            now[0],
            attributes[0] if attributes else {},
            [(version, person) for (_, version), person in sorted(opened.items())],
            sorted(row[0] for row in lists),
            [self._sealing.open(workspace, "content", ref, sealed).decode() for ref, sealed in texts],
        )

    async def _opened(
        self, connection: AsyncConnection, rows: Sequence[tuple[UUID, int, str, list[str], int]]
    ) -> list[Listed]:
        people = await self._vault.opened(connection, [(row[0], row[1]) for row in rows])
        return [Listed(*row, people[row[0], row[1]]) for row in rows if (row[0], row[1]) in people]


def entry(number: str, country: str | None, name: str, variables: Mapping[str, str]) -> Entry:
    """What is said of a person; an empty value says nothing.

    Raises Refused for a variable called as a field is, and for control characters.
    """
    for taken in (NAME, NUMBER):
        if taken in variables:
            raise Refused("reserved", field=f"variables.{taken}")
    fields = {NAME: name, **variables}
    for key, value in fields.items():
        if CONTROL.search(value):
            raise Refused("value_unreadable", field=key if key == NAME else f"variables.{key}")
    return Entry(number, country, {key: value.strip() for key, value in fields.items() if value.strip()})
