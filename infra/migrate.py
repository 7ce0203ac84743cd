"""The numbered SQL files of `infra/migrations`, each applied once, whole, and in order."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import psycopg

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x6D696772617465  # "migrate", one advisory lock a database
WAIT = "60s"

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
        connection.execute(f"SET lock_timeout = '{WAIT}'")
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        except psycopg.errors.LockNotAvailable as error:
            raise MigrationRefused(f"Another process has been migrating this database for {WAIT}.") from error
        connection.execute(TABLE)
        applied = {number: (name, checksum) for number, name, checksum in connection.execute(APPLIED)}
        rest = pending(folder, applied)
        for migration in rest:
            with connection.transaction():
                connection.execute(migration.sql)
                connection.execute(RECORD, [migration.number, migration.name, migration.checksum])
        return [migration.name for migration in rest]  # closing the connection gives the lock back
