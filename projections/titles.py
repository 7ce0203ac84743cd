"""The titles of a list's newest rows: references to what lies sealed."""

from collections.abc import Mapping
from uuid import UUID

from psycopg import AsyncConnection

from domain.message import Ref, WorkspaceId

NEWEST = "SELECT id, {column} FROM {table} WHERE workspace = %s ORDER BY born DESC LIMIT %s"
TITLED: Mapping[str, bytes] = {
    name: NEWEST.format(table=f"read_{name}", column=column).encode()
    for name, column in (
        ("campaigns", "title"),
        ("templates", "title"),
        ("audiences", "title"),
        ("jobs", "title"),
        ("accounts", "label"),
    )
}


async def titles(connection: AsyncConnection, workspace: WorkspaceId, name: str, limit: int) -> list[tuple[UUID, Ref]]:
    """Ids and titles, the newest first."""
    return await (await connection.execute(TITLED[name], [workspace, limit])).fetchall()
