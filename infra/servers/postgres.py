"""PostgreSQL: whether it can be reached, is new enough, and lets drumline do its work."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from infra.child import ServerError
from infra.migrate import APPLIED, FOLDER, MigrationRefused, pending
from infra.servers.faults import CONNECT_SECONDS, Server, ServerAway

OLDEST = 15  # the oldest major version that the tests run on
SETTING = "DRUMLINE_DATABASE_URL"

SEEN = """
SELECT current_setting('server_version_num')::integer AS number,
       split_part(current_setting('server_version'), ' ', 1) AS version,
       current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() AS standby,
       current_user AS role,
       current_database() AS database,
       current_schema() AS schema,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates,
       to_regclass('schema_migrations') IS NOT NULL AS migrated,
       coalesce(has_table_privilege(to_regclass('schema_migrations'), 'SELECT'), true) AS reads,
       coalesce(has_table_privilege(to_regclass('stored_events'), 'INSERT'), true) AS writes,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections')::integer AS max_connections,
       current_setting('superuser_reserved_connections')::integer AS reserved,
       clock_timestamp() AS now
"""

# People whose stream another workspace began than the one that has them, which earlier versions let it do.
BEGUN_ELSEWHERE = """
SELECT r.id, r.workspace AS begun_by, p.workspace AS person_of, count(*) OVER () AS all
FROM read_recipients r JOIN people p ON p.recipient_id = r.id AND p.workspace <> r.workspace
ORDER BY r.id LIMIT %s
"""
LOOKED_THROUGH_IN = 10  # seconds

# What the client library and the server say of a connection that failed, and what it means. The library gives no codes
# for these, and a server of another language says them in its own words: then its words are shown.
STARTING = r"(the database system is (starting up|shutting down|not yet accepting)|in recovery mode)"
FULL = r"(too many (clients|connections)|remaining connection slots)"
MEANINGS: tuple[tuple[str, str], ...] = (
    (r"password authentication failed|no password supplied|empty password", "refuses the user's name or password"),
    (r"database \"[^\"]*\" does not exist", "has no database of this name"),
    (r"role \"[^\"]*\" (does not exist|is not permitted to log in)", "knows no such user"),
    (r"permission denied for database", "does not let this user into this database"),
    (r"no pg_hba\.conf entry.*no encryption", "wants TLS from this host: add sslmode=require to " + SETTING),
    (r"no pg_hba\.conf entry", "has no line for this user, database and host in its pg_hba.conf: add one"),
    (r"does not support SSL", "does not speak TLS: set it up there, or leave sslmode out of " + SETTING),
    (
        r"certificate|SSL error",
        "cannot be trusted (its TLS certificate): correct sslmode and sslrootcert in " + SETTING,
    ),
    (r"invalid response to SSL negotiation|expected authentication request", "is not PostgreSQL"),
    (r"Peer authentication failed|Ident authentication failed", "takes this user only under that name of the system"),
)


@dataclass(frozen=True, slots=True)
class Database:
    """What a PostgreSQL is, as it says itself."""

    version: str
    settings: Mapping[str, str]
    max_connections: int  # for ordinary users
    now: datetime
    lacks: tuple[str, ...]  # migrations not applied
    strange: str  # what is applied and this version does not know, or ""


def named(url: str, *, embedded: bool = False) -> Server:
    """The server of an address. Raises ServerError when it is none."""
    try:
        said = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its message quotes the address, and with it the password
        raise unreadable() from None
    host, port = said.get("hostaddr") or said.get("host") or "localhost", said.get("port") or 5432
    if not all(one.isdecimal() and 0 < int(one) < 65_536 for one in str(port).split(",")):
        raise unreadable()
    return Server("PostgreSQL", f"{host}:{port}", None if embedded else SETTING)


def unreadable() -> ServerError:
    return ServerError(f"{SETTING} is no address of PostgreSQL: write postgresql://user:password@host:5432/database.")


async def look(url: str, server: Server) -> Database:
    """Connect, and see what it is. Raises ServerError (ServerAway, when waiting may help) when it cannot be used."""
    try:
        return await seen(url, server)
    except psycopg.OperationalError as error:
        raise meaning(server, error) from None
    except psycopg.Error as error:
        raise server.correctable(f"cannot be asked what it is ({type(error).__name__})") from None


async def seen(url: str, server: Server) -> Database:
    whole = make_conninfo(url, connect_timeout=CONNECT_SECONDS, application_name="drumline-check")
    async with await psycopg.AsyncConnection.connect(whole, autocommit=True, row_factory=dict_row) as connection:
        found = await (await connection.execute(SEEN)).fetchone()
        assert found is not None
        refuse(server, found)
        rows = await (await connection.execute(APPLIED)).fetchall() if found["migrated"] else []
    applied = {row["number"]: (row["name"], row["checksum"]) for row in rows}
    try:
        lacks, strange = [migration.name for migration in pending(FOLDER, applied)], ""
    except MigrationRefused as refused:
        lacks, strange = [], str(refused)
    settings = {name: found[name] for name in ("fsync", "full_page_writes", "synchronous_commit")}
    room = found["max_connections"] - found["reserved"]
    return Database(found["version"], settings, room, found["now"], tuple(lacks), strange)


async def begun_elsewhere(url: str, most: int) -> list[dict[str, Any]] | None:
    """The first of the people whose stream another workspace began; None when that cannot be told in time."""
    whole = make_conninfo(url, connect_timeout=CONNECT_SECONDS, application_name="drumline-check")
    try:
        async with await psycopg.AsyncConnection.connect(whole, row_factory=dict_row) as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{LOOKED_THROUGH_IN}s'")
            return await (await connection.execute(BEGUN_ELSEWHERE, [most])).fetchall()
    except psycopg.Error:
        return None


def refuse(server: Server, found: Mapping[str, Any]) -> None:
    """Raise ServerError when drumline cannot work on it."""
    if found["number"] < OLDEST * 10_000:
        raise server.fault(f"is version {found['version']}, and drumline needs {OLDEST} or newer: upgrade it.")
    if found["encoding"] != "UTF8":
        wrong = f"keeps the database {found['database']} in {found['encoding']}"
        raise server.correctable(wrong, "make one with ENCODING 'UTF8' TEMPLATE template0")
    if found["standby"]:
        raise server.correctable("is a standby, which only reads", f"name the primary in {SETTING}")
    if not found["reads"] or not found["writes"] or not (found["migrated"] or found["creates"]):
        wrong = f"gives the user {found['role']} no right to drumline's tables in the database {found['database']}"
        raise server.correctable(wrong, f"make {found['role']} their owner and the database's")


def meaning(server: Server, error: psycopg.OperationalError) -> ServerError:
    """The sentence for a connection that failed."""
    text = str(error)
    if "invalid integer value" in text or "invalid port number" in text:
        return unreadable()
    if re.search(STARTING, text):
        return ServerAway(f"{server.title} is starting or ending: wait for it.")
    if re.search(FULL, text):
        return ServerAway(f"{server.title} has no connection left: raise its max_connections, or end other programs.")
    for sign, sentence in MEANINGS:
        if re.search(sign, text, re.DOTALL):
            return server.fault(f"{sentence}.") if ": " in sentence else server.correctable(sentence)
    if "FATAL:" in text:
        return server.correctable(f"refuses the connection ({text.rpartition('FATAL:')[2].strip()})")
    for sign, why in (
        ("Connection refused", "connection refused"),
        ("resolve host", "its name is not known"),
        ("translate host name", "its name is not known"),
        ("timeout", f"not within {CONNECT_SECONDS} s"),
        ("No such file or directory", "its socket is not there"),
        ("unreachable", "no way leads there"),
    ):
        if sign in text:
            return server.away(why)
    return server.away("the connection broke off")
