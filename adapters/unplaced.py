"""What people wrote whose numbers WhatsApp has not told: sealed, until it does, or for a month."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.sealing import Sealing
from domain.message import WorkspaceId, derive
from domain.ports import Arrived, MessageArrived

PUT = """
INSERT INTO unplaced_messages (message_id, workspace, account_id, sealed) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
EXPIRE = "DELETE FROM unplaced_messages WHERE kept_at < clock_timestamp() - interval '30 days'"
OF = """
SELECT message_id, sealed FROM unplaced_messages WHERE workspace = %s AND account_id = %s ORDER BY kept_at LIMIT %s
"""
DROP = "DELETE FROM unplaced_messages WHERE workspace = %s AND message_id = %s"
USE = "unplaced"


class Unplaced:
    """Keeps such messages; each once, however often it is told."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], sealing: Sealing) -> None:
        self._pool = pool
        self._sealing = sealing

    async def keep(self, workspace: WorkspaceId, account: UUID, arrived: MessageArrived) -> bool:
        """Whether it is kept now that was not kept before."""
        message_id = self._id(account, arrived)
        sealed = self._sealing.seal(workspace, USE, str(message_id), json.dumps(asdict(arrived)).encode())
        async with self._pool.connection() as connection:
            return (await connection.execute(PUT, [message_id, workspace, account, sealed])).rowcount == 1

    async def of(self, workspace: WorkspaceId, account: UUID, limit: int = 500) -> Sequence[MessageArrived]:
        """What is kept for an account, the oldest first; what has been for too long is not any more."""
        async with self._pool.connection() as connection:
            await connection.execute(EXPIRE)
            rows = await (await connection.execute(OF, [workspace, account, limit])).fetchall()
        found = (json.loads(self._sealing.open(workspace, USE, str(message_id), sealed)) for message_id, sealed in rows)
        return [MessageArrived(**{**said, "kind": Arrived(said["kind"])}) for said in found]

    async def drop(self, workspace: WorkspaceId, account: UUID, arrived: MessageArrived) -> None:
        """It has found its place."""
        async with self._pool.connection() as connection:
            await connection.execute(DROP, [workspace, self._id(account, arrived)])

    def _id(self, account: UUID, arrived: MessageArrived) -> UUID:
        return derive("unplaced", account, arrived.wa_id)
