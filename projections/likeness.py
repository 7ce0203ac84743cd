"""A new table like a live one: the same columns, rules, keys, indexes and grants, of the same names in another schema.

`LIKE` copies all that hangs on columns, but neither storage options nor the names of indexes; those are read from the
catalog, so that whatever the migrations made is followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, sql

LIKE = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)")
OPTIONS = "SELECT unnest(reloptions) FROM pg_class WHERE oid = %s::regclass"
KEYS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'x')
"""
# "Pretty" leaves out the schema of what is found without.
INDEXES = """
SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index i WHERE indrelid = %s::regclass
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND conrelid = i.indrelid)
"""
GRANTS = """
SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner
"""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A table's copy in the making: the statements that make it, and those that finish it once it is filled."""

    table: str
    making: Sequence[sql.Composed]
    finishing: Sequence[bytes]

    async def make(self, connection: AsyncConnection) -> None:
        """Make the table, with the keys that filling it needs."""
        for statement in self.making:
            await connection.execute(statement)

    async def finish(self, connection: AsyncConnection) -> None:
        """Make the indexes, hand over the grants, let the planner know the table.

        Not in a transaction, and on a connection that looks for names in the new schema first.
        """
        for statement in self.finishing:
            await connection.execute(statement)
        await connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(self.table)))


async def likeness(connection: AsyncConnection, table: str, live: str, beside: str) -> Likeness:
    """How to make in schema `beside` what the table is in schema `live`, in which the connection looks for names."""
    there, here = sql.Identifier(live, table), sql.Identifier(beside, table)
    name = f"{live}.{table}"
    options = [option for (option,) in await found(connection, OPTIONS, name)]
    making = [LIKE.format(here, there)]
    if options:
        making.append(sql.SQL("ALTER TABLE {} SET ({})").format(here, sql.SQL(", ".join(options))))
    for key, definition in await found(connection, KEYS, name):
        making.append(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(here, sql.Identifier(key), sql.SQL(definition))
        )
    finishing = [str(definition).encode() for (definition,) in await found(connection, INDEXES, name)]
    for privilege, grantee in await found(connection, GRANTS, name):
        grant = sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(privilege), here, sql.SQL(grantee))
        finishing.append(grant.as_bytes())
    return Likeness(table, making, finishing)


async def found(connection: AsyncConnection, query: str, name: str) -> list[tuple[str, ...]]:
    return await (await connection.execute(query.encode(), [name])).fetchall()
