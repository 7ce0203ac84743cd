"""Of many people at once: who has a consent on record."""

from collections.abc import Collection
from uuid import UUID

from psycopg import AsyncConnection

from domain.message import WorkspaceId

STANDING = "SELECT id FROM read_recipients WHERE workspace = %s AND id = ANY(%s) AND consented"


async def standing(connection: AsyncConnection, workspace: WorkspaceId, people: Collection[UUID]) -> set[UUID]:
    """Those of these people whose consent counts now."""
    rows = await (await connection.execute(STANDING, [workspace, list(people)])).fetchall()
    return {row[0] for row in rows}
