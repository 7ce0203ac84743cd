"""Lists on their way in: counted from before their first byte, sealed piece by piece."""

import hashlib
from datetime import timedelta
from uuid import uuid4

from psycopg_pool import AsyncConnectionPool

from adapters import metrics
from adapters.sealing import Sealing
from domain.message import Refused, WorkspaceId

PIECE = 1 << 20  # bytes of the file in one row
MOST_WAITING = 20  # of a workspace; each may lie here with 500 MB
FRESH = timedelta(minutes=10)  # since an upload's last piece came: longer than the slowest takes for one

BEGIN = "INSERT INTO import_uploads (upload, workspace) VALUES (%s, %s)"
ADD_PIECE = """
WITH seen AS (UPDATE import_uploads SET seen_at = now() WHERE upload = %(upload)s)
INSERT INTO import_chunks (upload, place, sealed) VALUES (%(upload)s, %(place)s, %(sealed)b)
"""
ARRIVED = "DELETE FROM import_uploads WHERE upload = %s"
FORGET = "DELETE FROM import_chunks WHERE upload = %s"
# Whoever counts holds the lock until they have added theirs: so many begun at once are counted one by one.
COUNTING = "SELECT pg_advisory_xact_lock(hashtextextended('drumline imports of ' || %s, 0))"
WAITING = """
SELECT (SELECT count(*) FROM imports WHERE workspace = %(workspace)s AND ended_at IS NULL)
     + (SELECT count(*) FROM import_uploads WHERE workspace = %(workspace)s AND seen_at > now() - %(fresh)s)
"""
SWEEP_UPLOADS = "DELETE FROM import_uploads WHERE seen_at < now() - %s"


class Upload:
    """A file on its way in: what is written to it is sealed and kept in pieces, never on a disk in plain words."""

    def __init__(self, pool: AsyncConnectionPool, sealing: Sealing, workspace: WorkspaceId) -> None:
        self._pool = pool
        self._sealing = sealing
        self._workspace = workspace
        self._held = bytearray()
        self._places = 0
        self._sha = hashlib.sha256()
        self.id = uuid4()
        self.size = 0

    async def begin(self, most: int) -> None:
        """Take a place among so many of the workspace that come or wait. Raises Refused."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(COUNTING, [self._workspace])
            cursor = await connection.execute(WAITING, {"workspace": self._workspace, "fresh": FRESH})
            row = await cursor.fetchone()
            if row is not None and row[0] >= most:
                metrics.OVER_QUOTA.labels("imports", "workspace").inc()
                raise Refused("imports_waiting", field="file", maximum=most)
            await connection.execute(BEGIN, [self.id, self._workspace])

    async def write(self, data: bytes) -> None:
        self._held += data
        self._sha.update(data)
        self.size += len(data)
        while len(self._held) >= PIECE:
            await self._keep(bytes(self._held[:PIECE]))
            del self._held[:PIECE]

    async def whole(self) -> bytes:
        """Keep the rest; a hash of the file, for none but who has the pepper."""
        if self._held:
            await self._keep(bytes(self._held))
            self._held.clear()
        return self._sealing.mac(self._workspace, "import", self._sha.digest())

    async def forget(self) -> None:
        """Keep nothing of it."""
        async with self._pool.connection() as connection:
            await connection.execute(FORGET, [self.id])
            await connection.execute(ARRIVED, [self.id])

    async def _keep(self, piece: bytes) -> None:
        sealed = self._sealing.seal(self._workspace, "upload", f"{self.id}|{self._places}", piece)
        async with self._pool.connection() as connection:
            await connection.execute(ADD_PIECE, {"upload": self.id, "place": self._places, "sealed": sealed})
        self._places += 1
