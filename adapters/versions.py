"""Which version of a person a message is made with: the newest, or the one that a frozen audience names."""

from uuid import UUID

from psycopg import AsyncConnection

from domain.message import Digest, WorkspaceId

NEWEST = "SELECT version FROM people WHERE workspace = %s AND recipient_id = %s"
FROZEN = "SELECT vault_version FROM frozen_audience WHERE root = %s AND recipient_id = %s LIMIT 1"


async def newest(connection: AsyncConnection, workspace: WorkspaceId, recipient_id: UUID) -> int | None:
    """The newest version of a person of this workspace; None when nobody is there."""
    row = await (await connection.execute(NEWEST, [workspace, recipient_id])).fetchone()
    return row[0] if row else None


async def frozen(connection: AsyncConnection, root: Digest, recipient_id: UUID) -> int | None:
    """The version that was reviewed; None when the person is not in that audience."""
    row = await (await connection.execute(FROZEN, [root, recipient_id])).fetchone()
    return row[0] if row else None
