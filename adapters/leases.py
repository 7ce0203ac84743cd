"""Who drives an account's session: one holder, told apart from every former one by a fence that only grows."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg_pool import AsyncConnectionPool

PROC = Path("/proc")
ADD = "INSERT INTO leases (account) VALUES (%s) ON CONFLICT DO NOTHING"
LOOK = "SELECT owner, pid, started, browser_group FROM leases WHERE account = %s FOR NO KEY UPDATE"
TAKE = """
UPDATE leases SET fence = fence + 1, owner = %s, pid = %s, started = %s, claimed_at = clock_timestamp()
WHERE account = %s RETURNING fence
"""
BROWSER = "UPDATE leases SET browser_group = %s WHERE account = %s AND fence = %s"
RELEASE = """
UPDATE leases SET owner = NULL, pid = NULL, started = NULL, browser_group = NULL WHERE account = %s AND fence = %s
"""
PERMITS = "SELECT account, permits FROM leases WHERE account = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, so that no later one with the same number is taken for it."""

    boot: str  # the host's boot id
    pid: int
    started: str  # in clock ticks since the boot

    @classmethod
    def here(cls) -> Self:
        """This process."""
        pid = os.getpid()
        return cls(boot_id(), pid, started(pid) or "")

    def alive(self) -> bool:
        """Whether it still runs on this host."""
        return self.boot == boot_id() and started(self.pid) == self.started


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease taken: its fence, and the process group of the browser that a former holder may have left."""

    account: UUID
    fence: int
    former_browser: int | None


@dataclass(frozen=True, slots=True)
class Holder:
    """What a lease row says of its holder."""

    owner: str | None
    pid: int | None
    started: str | None
    browser_group: int | None

    def process(self) -> Owner | None:
        if self.owner is None or self.pid is None or self.started is None:
            return None
        return Owner(self.owner, self.pid, self.started)


class Leases:
    """Claims and releases lease rows. Fence and permits are checked and spent where events are appended, not here."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], owner: Owner) -> None:
        self._pool = pool
        self._owner = owner

    async def claim(self, account: UUID) -> Claim | None:
        """Take the lease and put every former holder out; None while another living process holds it."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(ADD, [account])
            async with connection.cursor(row_factory=args_row(Holder)) as cursor:
                await cursor.execute(LOOK, [account])
                held = await cursor.fetchone()
            assert held is not None
            process = held.process()
            if process is not None and process != self._owner and process.alive():
                return None
            mine = self._owner
            taken = await connection.execute(TAKE, [mine.boot, mine.pid, mine.started, account])
            row = await taken.fetchone()
            assert row is not None
            return Claim(account, int(row[0]), held.browser_group)

    async def browser(self, claim: Claim, group: int) -> None:
        """Note the browser's process group, before it opens the profile; a lost lease is left alone."""
        async with self._pool.connection() as connection:
            await connection.execute(BROWSER, [group, claim.account, claim.fence])

    async def release(self, claim: Claim) -> None:
        """Give the lease back, the browser being gone; a lost one is left alone."""
        async with self._pool.connection() as connection:
            await connection.execute(RELEASE, [claim.account, claim.fence])

    async def permits(self, accounts: Collection[UUID]) -> dict[UUID, int]:
        """The permits left of each account's last allowance; an account without a row has none."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(PERMITS, [list(accounts)])
            return dict(await cursor.fetchall())


def boot_id() -> str:
    """The host's boot id: another after every start of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def started(pid: int) -> str | None:
    """When a process was started, in clock ticks since the boot; None when it runs no more."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(b")")[2].split()  # the command's name is in brackets and may contain anything
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()
