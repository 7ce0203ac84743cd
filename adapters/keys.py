"""API keys: `drl_live_` + 8 characters of id + 32 random + 6 of checksum, all base62. Only proofs of them are stored.

A key is a principal: over HTTP by its whole text, on the bus as the NATS user named by its id.
"""

import hashlib
import hmac
import re
import secrets
import string
import time
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import bcrypt
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.command_limits import CommandLimits
from domain import catalog
from domain.message import Actor, PrincipalId, Role, WorkspaceId

PREFIX = "drl_live_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID, SECRET, CHECK = 8, 32, 6
SHAPE = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{ID}}})([0-9A-Za-z]{{{SECRET}}})([0-9A-Za-z]{{{CHECK}}})")
WORKSPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
BCRYPT_COST = 4  # the key has 190 bits of entropy: stretching would only slow each connection down
REMEMBERED = 10_000  # entries in either memory, so that it cannot grow without end
MARK = 8  # bytes
MAKING_LOCK = 0x6B657973  # "keys": one is made at a time, on what is there

INSERT = """
INSERT INTO api_keys (id, workspace, roles, label, proof, nats_hash) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
"""
BY_ID = "SELECT id, workspace, roles, proof FROM api_keys WHERE id = %s AND revoked_at IS NULL"
USED = """
UPDATE api_keys SET last_used_at = now()
WHERE id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""
REVOKE = "UPDATE api_keys SET revoked_at = now() WHERE id = %s AND workspace = %s AND revoked_at IS NULL"
OF_WORKSPACE = """
SELECT id, workspace, roles, label, created_at, last_used_at, revoked_at FROM api_keys
WHERE workspace = %s ORDER BY created_at, id
"""
LIVE_ROLES = "SELECT roles FROM api_keys WHERE revoked_at IS NULL"
NATS_USERS = "SELECT id, nats_hash, workspace, roles FROM api_keys WHERE revoked_at IS NULL ORDER BY id"


class BadKey(ValueError):
    """The roles or the workspace given for a new key do not exist, or there is no room for it; the message says so."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown this one time: `secret` is the whole of it."""

    id: PrincipalId
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What may be told of a key afterwards."""

    id: PrincipalId
    workspace: WorkspaceId
    roles: frozenset[Role]
    label: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NatsUser:
    """One user of the broker: its name, the bcrypt of its password (the whole key), its workspace and its roles."""

    id: PrincipalId
    password_hash: str = field(repr=False)
    workspace: WorkspaceId
    roles: frozenset[Role]

    @property
    def subjects(self) -> list[str]:
        """Where it may publish: the subjects of the commands that its roles may give; none for who only reads."""
        return [f"cmd.{self.workspace}.{self.id}.{name}" for name in catalog.given_by(self.roles)]


def base62(number: int, width: int) -> str:
    """A number in base 62, with leading zeros."""
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def checksum(body: str) -> str:
    """The last characters of a key: CRC-32 of everything before them. Finds typing errors, proves nothing."""
    return base62(zlib.crc32(body.encode()), CHECK)


def mint() -> NewKey:
    """A new random key."""
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(ID + SECRET))
    return NewKey(PrincipalId(body[len(PREFIX) : len(PREFIX) + ID]), body + checksum(body))


def id_of(secret: str) -> PrincipalId | None:
    """The id inside a well-formed key with a right checksum, else None; asks no database."""
    found = SHAPE.fullmatch(secret)
    if found is None or not hmac.compare_digest(checksum(secret[:-CHECK]), found[3]):
        return None
    return PrincipalId(found[1])


class Memory:
    """Actors as they were read, each for `ttl` seconds."""

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._known: dict[str | bytes, tuple[float, Actor]] = {}

    def get(self, key: str | bytes) -> Actor | None:
        until, actor = self._known.get(key, (0.0, None))
        return actor if time.monotonic() < until else None

    def put(self, key: str | bytes, actor: Actor) -> Actor:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (time.monotonic() + self._ttl, actor)
        return actor

    def clear(self) -> None:
        self._known.clear()


async def live_roles(connection: AsyncConnection) -> list[frozenset[Role]]:
    """The roles of each key that is not revoked."""
    return [frozenset(map(Role, row[0])) for row in await (await connection.execute(LIVE_ROLES)).fetchall()]


def actor_of(row: Sequence[Any]) -> Actor:
    """The actor in a row of BY_ID."""
    return Actor(PrincipalId(row[0]), WorkspaceId(row[1]), frozenset(map(Role, row[2])))


class Keys:
    """The keys of all workspaces. `pepper`: 32 secret bytes that are not in the database.

    What was read is remembered for `ttl` seconds, so a revoked key acts for at most that long. A key is made only if
    all that live keys can have waiting on the bus is within `limits`; without them nobody asks.
    """

    def __init__(
        self, pool: AsyncConnectionPool, pepper: bytes, *, ttl: float = 3.0, limits: CommandLimits | None = None
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._proofs = hmac.digest(pepper, b"drumline API keys", hashlib.sha256)
        self._ids = hmac.digest(pepper, b"drumline command ids", hashlib.sha256)
        self._marks = hmac.digest(pepper, b"drumline marks", hashlib.sha256)
        self._proven = Memory(ttl)
        self._actors = Memory(ttl)

    async def create(self, workspace: str, roles: Collection[Role], label: str = "") -> NewKey:
        """Make a key; raises BadKey. The secret is in the answer and nowhere else."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [MAKING_LOCK])
            return await self._insert(connection, workspace, roles, label)

    async def first(self, workspace: str, roles: Collection[Role], label: str = "") -> NewKey | None:
        """The first key of a workspace, or None when it has had one already."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [MAKING_LOCK])
            if await (await connection.execute(OF_WORKSPACE, [workspace])).fetchone():
                return None
            return await self._insert(connection, workspace, roles, label)

    async def verify(self, secret: str) -> Actor | None:
        """Whom a key belongs to; None for a malformed, unknown, wrong or revoked one."""
        key_id = id_of(secret)
        if key_id is None:
            return None
        proof = self._proof(secret)
        if known := self._proven.get(proof):
            return known
        async with self._pool.connection() as connection:
            row = await (await connection.execute(BY_ID, [key_id])).fetchone()
            # An unknown id is compared too, so that it takes no less time than a wrong secret.
            if not hmac.compare_digest(row[3] if row else bytes(32), proof) or row is None:
                return None
            await connection.execute(USED, [key_id])
        return self._proven.put(proof, actor_of(row))

    async def actor(self, principal: PrincipalId) -> Actor | None:
        """Who a principal is, by the id alone: for the bus, where the broker has checked the key."""
        if known := self._actors.get(principal):
            return known
        async with self._pool.connection() as connection:
            row = await (await connection.execute(BY_ID, [principal])).fetchone()
        return self._actors.put(principal, actor_of(row)) if row else None

    async def revoke(self, workspace: WorkspaceId, key_id: PrincipalId) -> bool:
        """End a key of a workspace; whether there was a live one."""
        async with self._pool.connection() as connection:
            ended = (await connection.execute(REVOKE, [key_id, workspace])).rowcount == 1
        self.forget()
        return ended

    async def list(self, workspace: WorkspaceId) -> Sequence[KeyRow]:
        """All keys of a workspace, oldest first, revoked ones too."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(OF_WORKSPACE, [workspace])).fetchall()
        return [KeyRow(key, space, frozenset(map(Role, roles)), *rest) for key, space, roles, *rest in rows]

    async def nats_users(self) -> Sequence[NatsUser]:
        """Everybody who may connect to the broker."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(NATS_USERS)).fetchall()
        return [NatsUser(key, proof, space, frozenset(map(Role, roles))) for key, proof, space, roles in rows]

    def command_id(self, actor: Actor, route: str, idempotency_key: str) -> UUID:
        """The id of the command that a request stands for: the same for the same key of this actor on this route."""
        parts = b"".join(
            len(part).to_bytes(4, "big") + part
            for part in map(str.encode, (actor.workspace, actor.id, route, idempotency_key))
        )
        return UUID(bytes=hmac.digest(self._ids, parts, hashlib.sha256)[:16], version=5)

    def mark(self, data: bytes) -> bytes:
        """MARK bytes that only this installation can make of these."""
        return hmac.digest(self._marks, data, hashlib.sha256)[:MARK]

    def forget(self) -> None:
        """Drop what is remembered: somebody heard that keys changed (NOTIFY drumline_keys)."""
        self._proven.clear()
        self._actors.clear()

    async def _insert(self, connection: AsyncConnection, workspace: str, roles: Collection[Role], label: str) -> NewKey:
        if not WORKSPACE.fullmatch(workspace):
            raise BadKey("A workspace is named by 1 to 40 of a-z, 0-9 and -, beginning with a letter or digit.")
        if not roles or Role.SYSTEM in roles:
            raise BadKey(f"A key has one or more of the roles {', '.join(sorted(set(Role) - {Role.SYSTEM}))}.")
        await self._require_room(connection, roles)
        while True:  # an id taken already is one in 62^8
            key = mint()
            hashed = bcrypt.hashpw(key.secret.encode(), bcrypt.gensalt(BCRYPT_COST)).decode()
            row = [key.id, workspace, sorted(roles), label, self._proof(key.secret), hashed]
            if (await connection.execute(INSERT, row)).rowcount:
                return key

    async def _require_room(self, connection: AsyncConnection, roles: Collection[Role]) -> None:
        """Raise BadKey if what all keys together can have waiting would not fit into COMMANDS any more."""
        if self._limits is None:
            return
        there = await live_roles(connection)
        if not self._limits.fits([*there, roles]):
            raise BadKey(
                f"With one more key of these roles the bus could be filled: {len(there)} keys may have"
                f" {self._limits.waiting} of each of their commands waiting. Revoke keys, give this one fewer roles,"
                " raise DRUMLINE_COMMANDS_BYTES or lower DRUMLINE_COMMAND_RATE."
            )

    def _proof(self, secret: str) -> bytes:
        return hmac.digest(self._proofs, secret.encode(), hashlib.sha256)
