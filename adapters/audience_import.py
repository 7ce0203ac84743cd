"""Importing a list that is not large, in one transaction or not at all, with an account of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.audience_csv import BadRow, ImportRefused, Reading
from adapters.audience_staging import Consent
from adapters.audience_stream import StagedImport, Work
from adapters.imports import State, Tally
from adapters.runtime.pools import PARSING
from adapters.sealing import Sealing, bound
from adapters.vault import Vault
from domain.message import Digest, WorkspaceId

LARGEST = 5_000_000  # bytes of a list that is imported while somebody waits
PREVIOUS = "SELECT workspace, source, digest, imported_at FROM audience_imports WHERE audience_id = %s"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of an import; rows = bad + merged + recipients. The counts and the digest are ImportAudience's."""

    audience_id: UUID
    rows: int
    bad: int
    merged: int
    recipients: int
    digest: Digest
    consents: Sequence[Consent]
    bad_rows: Sequence[BadRow]


class AudienceImport:
    """Imports lists. The same list under the same id is imported once, and reported again as it was."""

    def __init__(
        self, pool: AsyncConnectionPool, vault: Vault, sealing: Sealing, clock: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._staged = StagedImport(pool, vault, sealing)
        self._sealing = sealing
        self._clock = clock

    async def run(
        self, workspace: WorkspaceId, audience_id: UUID, data: bytes, country: str | None = None
    ) -> ImportReport:
        """Import a CSV file; `country` (ISO 3166-1) is assumed for numbers that do not name theirs.

        Raises ImportRefused for a file that cannot be read, or an id that another list has.
        """
        if len(data) > LARGEST:
            sentence = f"The file is larger than {LARGEST:,} bytes; split it."
            raise ImportRefused("too_large", "file", sentence, maximum=LARGEST)
        same = self._sealing.mac(workspace, "import", bound(country or "") + data)
        while True:
            digest, now = await self._previous(workspace, audience_id, same) or (None, self._clock())
            reading = await PARSING.run(workspace, Reading, [data], country, now)
            told, tally = Told(), Tally()
            work = Work(
                workspace=workspace,
                audience_id=audience_id,
                same=same,
                now=now,
                tally=tally,
                told=told.how_far,
                left_out=told.left_out,
                consented=told.consented,
                at_once=True,
            )
            digest = await self._staged.run(work, reading, digest)
            if digest is not None:  # else somebody imported under this id since we looked
                return ImportReport(
                    audience_id=audience_id,
                    rows=tally.rows,
                    bad=tally.bad,
                    merged=tally.merged,
                    recipients=tally.recipients,
                    digest=digest,
                    consents=told.consents,
                    bad_rows=told.bad_rows,
                )

    async def _previous(self, workspace: WorkspaceId, audience_id: UUID, same: bytes) -> tuple[Digest, datetime] | None:
        """The digest and the time of this very import, if it was done before."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(PREVIOUS, [audience_id])).fetchone()
        if row is None:
            return None
        if (row[0], row[1]) != (workspace, same):
            raise ImportRefused("id_taken", "audience_id", "Another list was imported under this audience's id.")
        return Digest(row[2]), row[3]


class Told:
    """What an import tells as it goes."""

    def __init__(self) -> None:
        self.bad_rows: list[BadRow] = []
        self.consents: list[Consent] = []

    async def how_far(self, _state: State) -> None:
        """Nobody looks on."""

    async def left_out(self, _connection: AsyncConnection, rows: Sequence[BadRow]) -> None:
        self.bad_rows += rows

    async def consented(self, consents: Sequence[Consent]) -> None:
        self.consents += consents
