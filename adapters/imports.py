"""Imports that a worker carries out: their uploads, sealed piece by piece, how far each is, and what it left out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from adapters import metrics
from adapters.audience_columns import Column
from adapters.audience_csv import BadRow
from adapters.binary_arrays import Int4s, Texts
from adapters.import_uploads import ARRIVED, FORGET, MOST_WAITING, SWEEP_UPLOADS, Upload
from adapters.sealing import Sealing, bound
from domain.message import Actor, PrincipalId, Ref, Refused, Role, WorkspaceId

State = Literal["waiting", "reading", "writing", "done", "checked", "refused", "crashed"]
ENDED = frozenset({"done", "checked", "refused", "crashed"})
MOST_TRIES = 10
ABANDONED = timedelta(minutes=30)

COLUMNS = (
    "import_id, workspace, principal, roles, upload, same, title, dry_run, asked, size, state, tally, columns, rule, "
    "field, sentence, detail, tries, received_at, changed_at, ended_at"
)
PIECE_OF = "SELECT sealed FROM import_chunks WHERE upload = %s AND place = %s"
ADD = """
INSERT INTO imports (import_id, workspace, principal, roles, upload, same, title, dry_run, asked, size)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
ONE = f"SELECT {COLUMNS} FROM imports WHERE workspace = %s AND import_id = %s"  # noqa: S608  # of constants
# Workspaces take turns: first the one whose last import ended longest ago, or never.
CLAIM = f"""
UPDATE imports SET tries = tries + 1, changed_at = now()
WHERE import_id = (
    SELECT import_id FROM imports i WHERE ended_at IS NULL
    ORDER BY tries, (SELECT max(ended_at) FROM imports e WHERE e.workspace = i.workspace) NULLS FIRST, received_at
    LIMIT 1)
RETURNING {COLUMNS}
"""  # noqa: S608  # of constants
PROGRESS = """
UPDATE imports SET state = %s, tally = %s, columns = coalesce(%s, columns), changed_at = now()
WHERE import_id = %s AND ended_at IS NULL
"""
END = """
UPDATE imports SET state = %s, rule = %s, field = %s, sentence = %s, detail = %s, changed_at = now(), ended_at = now()
WHERE import_id = %s AND ended_at IS NULL
RETURNING extract(epoch FROM now() - received_at)::float8
"""
LEAVE_OUT = """
INSERT INTO import_bad_rows (import_id, line, reason, name) SELECT %s, * FROM unnest(%b::int[], %b::text[], %b::text[])
"""
BAD_ROWS = """
SELECT line, reason, name FROM import_bad_rows WHERE import_id = %s AND line > %s ORDER BY line LIMIT %s
"""
# Uploads that no import came of: whoever sent them left, or the process that took them died.
SWEEP = """
DELETE FROM import_chunks WHERE upload IN (
    SELECT upload FROM import_chunks c WHERE NOT EXISTS (SELECT FROM imports i WHERE i.upload = c.upload)
    GROUP BY upload HAVING max(received_at) < now() - %s)
"""


@dataclass(slots=True)
class Tally:
    """How far an import is: rows = bad + merged + people of the list; `written` of these are in the vault."""

    read: int = 0  # bytes
    rows: int = 0
    bad: int = 0
    merged: int = 0
    recipients: int = 0
    written: int = 0
    added: int = 0
    changed: int = 0
    consents: int = 0  # that the list states
    refused_consents: int = 0  # of people who opted out since, or were erased
    erased: int = 0  # people of whom nothing is kept again

    def outcomes(self) -> dict[str, int]:
        """What became of the rows of a list that was imported."""
        known = {name: getattr(self, name) for name in ("bad", "merged", "added", "changed", "erased")}
        return known | {"unchanged": self.rows - sum(known.values())}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form says beside title and file."""

    country: str | None
    columns: Mapping[str, str]  # what the owner says that columns hold


@dataclass(frozen=True, slots=True)
class Import:
    """A row of the table."""

    import_id: UUID
    workspace: WorkspaceId
    principal: PrincipalId
    roles: Sequence[str]
    upload: UUID
    same: bytes
    title: Ref
    dry_run: bool
    asked: bytes
    size: int  # bytes
    state: State
    tally: Mapping[str, int]
    columns: bytes | None
    rule: str | None
    field: str | None
    sentence: str | None
    detail: Mapping[str, Any] | None
    tries: int
    received_at: datetime
    changed_at: datetime
    ended_at: datetime | None

    @property
    def counts(self) -> dict[str, int]:
        """How far it is; all zero before it began."""
        return {name: self.tally.get(name, 0) for name in Tally.__slots__}

    @property
    def actor(self) -> Actor:
        """Who gave it, with the roles of that time."""
        return Actor(self.principal, self.workspace, frozenset(Role(role) for role in self.roles))


class Imports:
    """The table of imports: given by the API, carried out by the worker."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], sealing: Sealing, most: int = MOST_WAITING
    ) -> None:
        self._pool = pool
        self._most = most
        self.sealing = sealing

    async def upload(self, workspace: WorkspaceId) -> Upload:
        """A place for a file on its way in. Raises Refused while too many of the workspace's come or wait."""
        made = Upload(self._pool, self.sealing, workspace)
        await made.begin(self._most)
        return made

    async def add(
        self, import_id: UUID, actor: Actor, upload: Upload, title: Ref, asked: Asked, *, dry_run: bool
    ) -> Import | None:
        """Let an uploaded list be imported; the same again is the same import. None: the id is another one's."""
        form = orjson.dumps({"country": asked.country, "columns": dict(asked.columns)}, option=orjson.OPT_SORT_KEYS)
        same = self.sealing.mac(actor.workspace, "import", bound(title, dry_run) + form + await upload.whole())
        sealed = self.sealing.seal(actor.workspace, "import", str(import_id), form)
        row = [import_id, actor.workspace, actor.id, sorted(actor.roles), upload.id, same, title, dry_run, sealed]
        async with self._pool.connection() as connection, connection.transaction():
            added = (await connection.execute(ADD, [*row, upload.size])).rowcount
            await connection.execute(ARRIVED, [upload.id])
        if not added:
            await upload.forget()
        found = await self.one(actor.workspace, import_id)
        return found if found is not None and found.same == same else None

    async def one(self, workspace: WorkspaceId, import_id: UUID) -> Import | None:
        """An import of this workspace."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(Import)) as cursor:
            await cursor.execute(ONE, [workspace, import_id])
            return await cursor.fetchone()

    def asked(self, one: Import) -> Asked:
        """What its form says."""
        form = orjson.loads(self.sealing.open(one.workspace, "import", str(one.import_id), one.asked))
        return Asked(form["country"], form["columns"])

    def columns(self, one: Import) -> list[Column]:
        """The file's columns, once they were read."""
        if one.columns is None:
            return []
        plain = self.sealing.open(one.workspace, "import-columns", str(one.import_id), one.columns)
        return [Column(**column) for column in orjson.loads(plain)]

    async def claim(self) -> Import | None:
        """The import to be carried out next: what was tried least, of the workspace that waits longest. Only a leader
        asks."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(Import)) as cursor:
            await cursor.execute(CLAIM)
            claimed = await cursor.fetchone()
        if claimed is not None and claimed.tries > MOST_TRIES:
            await self.end(claimed, "crashed")
            return await self.claim()
        return claimed

    async def piece(self, one: Import, place: int) -> bytes | None:
        """A piece of the file, or None behind its end."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(PIECE_OF, [one.upload, place], binary=True)).fetchone()
        if row is None:
            return None
        return self.sealing.open(one.workspace, "upload", f"{one.upload}|{place}", row[0])

    async def progress(self, one: Import, state: State, tally: Tally, columns: Sequence[Column] = ()) -> None:
        """Tell how far it is."""
        sealed = None
        if columns:
            plain = orjson.dumps(list(columns))
            sealed = self.sealing.seal(one.workspace, "import-columns", str(one.import_id), plain)
        async with self._pool.connection() as connection:
            await connection.execute(PROGRESS, [state, Jsonb(asdict(tally)), sealed, one.import_id])

    async def end(self, one: Import, state: State, refused: Refused | None = None, sentence: str | None = None) -> None:
        """It is over: nothing is kept of its file."""
        why = [refused.rule, refused.field, sentence, Jsonb(refused.detail)] if refused else [None] * 4
        async with self._pool.connection() as connection, connection.transaction():
            took = await (await connection.execute(END, [state, *why, one.import_id])).fetchone()
            await connection.execute(FORGET, [one.upload])
        if took is not None:  # else it had ended before
            metrics.import_ended(state, max(took[0], 0.0))

    async def leave_out(self, one: Import, connection: AsyncConnection, rows: Sequence[BadRow]) -> None:
        """Keep rows that are left out, in the transaction of whoever carries the import out."""
        if rows:
            lines, reasons, columns = zip(*((row.line, row.reason, row.column) for row in rows), strict=True)
            values = [Int4s.of(lines), Texts.of(reasons), Texts.of(columns)]
            await connection.execute(LEAVE_OUT, [one.import_id, *values])

    async def bad_rows(self, one: Import, after: int = 0, limit: int = 1_000) -> list[BadRow]:
        """Rows that were left out, by line, from behind one on."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=args_row(BadRow)) as cursor:
            await cursor.execute(BAD_ROWS, [one.import_id, after, limit])
            return await cursor.fetchall()

    async def all_bad_rows(self, one: Import) -> AsyncIterator[list[BadRow]]:
        """All of them, page by page."""
        after = 0
        while page := await self.bad_rows(one, after):
            yield page
            after = page[-1].line

    async def sweep(self) -> None:
        """Forget uploads that no import came of."""
        async with self._pool.connection() as connection:
            await connection.execute(SWEEP, [ABANDONED])
            await connection.execute(SWEEP_UPLOADS, [ABANDONED])
