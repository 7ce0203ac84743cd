"""The numbered SQL files of `infra/migrations`, each applied once, whole, and in order, while workers go on writing."""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x6D696772617465  # "migrate", one advisory lock a database
WAIT = 60.0  # seconds, for another process that migrates, and for each table
TURN = 1.0  # second that a table may be waited for at a time: whoever comes after us for it waits behind us
BETWEEN = 4.0  # seconds between two turns, in which they go on
LOOK_AGAIN = 0.3  # seconds, at who else migrates

OUTSIDE = b"-- outside a transaction\n"  # the first line of a file whose indexes are made while the table is written to
INDEX = re.compile(rb"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+)\s")
INVALID = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"

TABLE = b"""
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
APPLIED = "SELECT number, name, checksum FROM schema_migrations ORDER BY number"
RECORD = "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)"


class MigrationRefused(Exception):
    """The database and the migration files do not fit; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file: its number, its file name without the ending, and what it says."""

    number: int
    name: str
    sql: bytes

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files of a folder in order; raises MigrationRefused on a misnamed one or a number used twice."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        named = re.fullmatch(r"(\d{4})_[a-z0-9_]+", path.stem)
        if not named:
            raise MigrationRefused(f"{path.name} is not named like 0001_what_it_adds.sql.")
        migration = Migration(int(named[1]), path.stem, path.read_bytes())
        if twin := found.get(migration.number):
            raise MigrationRefused(f"{twin.name} and {migration.name} have the same number.")
        found[migration.number] = migration
    return list(found.values())


def pending(folder: Path, applied: dict[int, tuple[str, str]]) -> list[Migration]:
    """The files yet to apply; raises MigrationRefused when what was applied is not what the folder holds."""
    files = {migration.number: migration for migration in migrations(folder)}
    for number, (name, checksum) in applied.items():
        if number not in files:
            raise MigrationRefused(f"The database has {name}, which this version of drumline does not know.")
        if files[number].checksum != checksum:
            raise MigrationRefused(f"{name}.sql was changed after it had been applied.")
    rest = [migration for number, migration in files.items() if number not in applied]
    if rest and applied and rest[0].number < max(applied):
        raise MigrationRefused(
            f"{rest[0].name}.sql is older than {applied[max(applied)][0]}, which is applied already."
        )
    return rest


def migrate(url: str, folder: Path = FOLDER) -> list[str]:
    """Bring the database at `url` up to date and name what was applied; two at once wait for each other."""
    with psycopg.connect(url, autocommit=True) as connection:
        if not in_time(lambda: alone(connection), LOOK_AGAIN):
            raise MigrationRefused(f"Another process has been migrating this database for {WAIT:.0f} s.")
        connection.execute(TABLE)
        applied = {number: (name, checksum) for number, name, checksum in connection.execute(APPLIED)}
        rest = pending(folder, applied)
        for migration in rest:
            apply = apply_outside if migration.sql.startswith(OUTSIDE) else apply_whole
            apply(connection, migration)
        return [migration.name for migration in rest]  # closing the connection gives the lock back


def in_time(attempt: Callable[[], bool], pause: float) -> bool:
    """Whether an attempt comes true within WAIT."""
    deadline = time.monotonic() + WAIT
    while not attempt():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def alone(connection: psycopg.Connection) -> bool:
    """Whether nobody else migrates: asked, not waited for, for an index made meanwhile would wait for who waits."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
    return row is not None and row[0]


def apply_whole(connection: psycopg.Connection, migration: Migration) -> None:
    """Apply a file and record it in one transaction. Raises MigrationRefused when a table of it is never free."""

    def attempt() -> bool:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{TURN}s'")
                connection.execute(migration.sql)
                connection.execute(RECORD, [migration.number, migration.name, migration.checksum])
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    if not in_time(attempt, BETWEEN):
        why = "another transaction (a back-up?) has held a table of it"
        raise MigrationRefused(f"{migration.name} waits: {why} for {WAIT:.0f} s. Try again when it has ended.")


def apply_outside(connection: psycopg.Connection, migration: Migration) -> None:
    """Make a file's indexes one by one, then record it; it is begun anew after an interruption.

    An index waits for the transactions that are open, however long, and nobody waits for it.
    """
    lines = [line for line in migration.sql.splitlines() if not line.lstrip().startswith(b"--")]
    for statement in filter(None, (part.strip() for part in b"\n".join(lines).split(b";"))):
        if not (index := INDEX.match(statement)):
            raise MigrationRefused(f"{migration.name}.sql is outside a transaction, and does more than make indexes.")
        name = index[1].decode()
        if connection.execute(INVALID, [name]).fetchone() != (0,):  # of a run that was interrupted
            connection.execute(f"DROP INDEX CONCURRENTLY {name}")
        connection.execute(statement)
    connection.execute(RECORD, [migration.number, migration.name, migration.checksum])
