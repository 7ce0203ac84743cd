"""Who drives an account's session: one holder, told apart from every former one by a fence that only grows."""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

PROC = Path("/proc")
ADD = "INSERT INTO leases (account) VALUES (%s) ON CONFLICT DO NOTHING"
TTL = 15.0  # seconds from a holder's last renewal, by the database's clock, until the account may be taken from it
MARGIN = 3.0  # seconds before that end in which the holder itself is not sure any more
LOOK = """
SELECT owner, namespace, pid, started, browser_group, coalesce(expires_at <= clock_timestamp(), false) FROM leases
WHERE account = %s FOR NO KEY UPDATE
"""
TAKE = """
UPDATE leases SET fence = fence + 1, owner = %s, namespace = %s, pid = %s, started = %s, claimed_at = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => %s)
WHERE account = %s RETURNING fence
"""
# Rows are locked in the order in which appends lock them.
RENEW = """
WITH held AS MATERIALIZED (
    SELECT l.account FROM leases l JOIN unnest(%s::uuid[], %s::bigint[]) AS held (account, fence) USING (account, fence)
    ORDER BY l.account FOR NO KEY UPDATE OF l
)
UPDATE leases l SET expires_at = clock_timestamp() + make_interval(secs => %s)
FROM held WHERE l.account = held.account RETURNING l.account
"""
BROWSER = "UPDATE leases SET browser_group = %s WHERE account = %s AND fence = %s"
RELEASE = """
UPDATE leases SET owner = NULL, namespace = NULL, pid = NULL, started = NULL, browser_group = NULL, expires_at = NULL
WHERE account = %s AND fence = %s
"""
# Processes of one host count together, one after the other.
ONE_BY_ONE = "SELECT pg_advisory_xact_lock(hashtextextended('sessions|' || %s, 0))"
HELD_HERE = "SELECT count(*) FROM leases WHERE owner = %s AND account <> %s AND expires_at > clock_timestamp()"
DROP = "DELETE FROM leases WHERE account = %s AND fence = %s"
PERMITS = "SELECT account, permits FROM leases WHERE account = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, so that no other one with the same number is taken for it."""

    boot: str  # the host's boot id
    namespace: str  # of pids, and of the clock that `started` is told by; a container has its own
    pid: int
    started: str  # in clock ticks since the boot

    @classmethod
    def here(cls) -> Self:
        """This process."""
        pid = os.getpid()
        return cls(boot_id(), namespace(), pid, started(pid) or "")

    def neighbour(self, other: "Owner") -> bool:
        """Whether one can see of the other whether it runs: on one host, in one namespace."""
        return (self.boot, self.namespace) == (other.boot, other.namespace)

    def alive(self) -> bool:
        """Whether it may still run: to be asked by a neighbour. False is a proof."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is somebody else's, and perhaps hidden from us
        now = started(self.pid)
        return now == self.started or (now is None and not (PROC / str(self.pid)).exists())


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease taken: its fence, and the process group of the browser that a former holder may have left."""

    account: UUID
    fence: int
    former_browser: int | None


class NoRoom(Exception):
    """This host holds as many accounts as it may."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What a lease row says of its holder."""

    owner: str | None
    namespace: str | None
    pid: int | None
    started: str | None
    browser_group: int | None
    expired: bool

    def process(self) -> Owner | None:
        if self.owner is None or self.pid is None or self.started is None:
            return None
        return Owner(self.owner, self.namespace or "", self.pid, self.started)


class Leases:
    """Claims, renews and releases lease rows. Fence and permits are checked and spent where events are appended."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], owner: Owner, *, ttl: float = TTL) -> None:
        self._pool = pool
        self._owner = owner
        self._ttl = ttl
        self._sure: dict[UUID, tuple[int, float]] = {}  # account -> fence, until when by our own clock

    async def claim(self, account: UUID, *, most: int | None = None) -> Claim | None:
        """Take the lease and put every former holder out; None while another process holds it that lives and renews.

        Raises NoRoom when this host holds `most` others already.
        """
        asked = time.monotonic()
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(ADD, [account])
            async with connection.cursor(row_factory=args_row(Holder)) as cursor:
                await cursor.execute(LOOK, [account])
                held = await cursor.fetchone()
            assert held is not None
            process = held.process()
            if process is not None and not held.expired and self._at_work(process):
                return None
            mine = self._owner
            if most is not None:
                await connection.execute(ONE_BY_ONE, [mine.boot])
                row = await (await connection.execute(HELD_HERE, [mine.boot, account])).fetchone()
                if row is not None and row[0] >= most:
                    raise NoRoom
            process_here = [mine.boot, mine.namespace, mine.pid, mine.started]
            taken = await connection.execute(TAKE, [*process_here, self._ttl, account])
            row = await taken.fetchone()
            assert row is not None
            claim = Claim(account, int(row[0]), held.browser_group)
        self._note(claim, asked)
        return claim

    def _at_work(self, process: Owner) -> bool:
        """Whether another process may be driving the account; of one on another host or boot, or in another container,
        nobody knows."""
        return process != self._owner and not (process.neighbour(self._owner) and not process.alive())

    async def renew(self, claims: Collection[Claim]) -> set[UUID]:
        """Hold leases for longer; the accounts whose leases are still held."""
        asked = time.monotonic()
        async with self._pool.connection() as connection:
            values = [[claim.account for claim in claims], [claim.fence for claim in claims], self._ttl]
            kept = {account for (account,) in await (await connection.execute(RENEW, values)).fetchall()}
        for claim in claims:
            if claim.account in kept:
                self._note(claim, asked)
            else:
                self._forget(claim)
        return kept

    def sure(self, claim: Claim) -> bool:
        """Whether nobody can have taken the lease yet, by our own clock: to be asked right before an act."""
        fence, until = self._sure.get(claim.account, (0, 0.0))
        return fence == claim.fence and time.monotonic() < until

    def _note(self, claim: Claim, asked: float) -> None:
        self._sure[claim.account] = (claim.fence, asked + self._ttl - min(MARGIN, self._ttl / 4))

    def _forget(self, claim: Claim) -> None:
        if self._sure.get(claim.account, (0, 0.0))[0] == claim.fence:
            del self._sure[claim.account]

    async def browser(self, claim: Claim, group: int) -> None:
        """Note the browser's process group, before it opens the profile; a lost lease is left alone."""
        async with self._pool.connection() as connection:
            await connection.execute(BROWSER, [group, claim.account, claim.fence])

    async def release(self, claim: Claim) -> None:
        """Give the lease back, the browser being gone; a lost one is left alone."""
        self._forget(claim)
        async with self._pool.connection() as connection:
            await connection.execute(RELEASE, [claim.account, claim.fence])

    async def drop(self, claim: Claim) -> None:
        """Forget the lease of an account that was removed."""
        self._forget(claim)
        async with self._pool.connection() as connection:
            await connection.execute(DROP, [claim.account, claim.fence])

    async def permits(self, accounts: Collection[UUID]) -> dict[UUID, int]:
        """The permits left of each account's last allowance; an account without a row has none."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(PERMITS, [list(accounts)])
            return dict(await cursor.fetchall())


def boot_id() -> str:
    """The host's boot id: another after every start of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def namespace() -> str:
    """Where this process's pid and start time mean something. One that sees other processes than its own is alone."""
    own = PROC / "self"
    if str(own.readlink()) != str(os.getpid()):  # /proc is another namespace's
        return str(uuid4())
    kinds = [own / "ns" / kind for kind in ("pid", "time")]
    return " ".join(str(kind.readlink()) for kind in kinds if kind.exists())


def started(pid: int) -> str | None:
    """When a process was started, in clock ticks since the boot; None when it runs no more."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(b")")[2].split()  # the command's name is in brackets and may contain anything
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()
