"""The host's clock and whether it jumped: looked at whenever it is asked, kept in the database over new starts."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg_pool import AsyncConnectionPool

from adapters.heartbeats import beat
from adapters.outages import OUTAGES
from domain.steady import Reading, Steady, observe

LOOK_EVERY = 1.0  # seconds
KEEP_EVERY = 30.0  # seconds
PATIENCE = 5.0  # seconds for a connection
BOOT = Path("/proc/sys/kernel/random/boot_id")

KNOWN = "SELECT boot, wall, passed, started, since, settled_at FROM host_clocks WHERE boot = %s"
# The machine was started since, and nothing tells which start was its last one: a jump of whichever machine counts, for
# an account that is held too long is no harm, and one that may send twice as much is.
BEFORE = """
SELECT boot, wall, passed, started, since, settled_at FROM host_clocks ORDER BY since DESC NULLS LAST LIMIT 1
"""
KEEP = """
INSERT INTO host_clocks (boot, wall, passed, started, since, settled_at) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (boot) DO UPDATE
SET wall = excluded.wall, passed = excluded.passed, started = excluded.started, since = excluded.since,
    settled_at = excluded.settled_at, kept_at = clock_timestamp()
"""
SWEEP = "DELETE FROM host_clocks WHERE kept_at < clock_timestamp() - interval '30 days'"  # no window is as long
NEWEST = """
SELECT convert_from(state, 'UTF8')::jsonb #>> '{envelope,time}' FROM stored_events ORDER BY notification_id DESC LIMIT 1
"""

log = logging.getLogger("drumline")


def clocks() -> Callable[[], Reading]:
    """What reads both clocks of this host; the second goes on while the machine is suspended."""
    boot = BOOT.read_text().strip()

    def read() -> Reading:
        passed = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
        return Reading(datetime.now(UTC), passed, boot)

    return read


class HostClock:
    """What is known of this host's clock."""

    def __init__(self, pool: AsyncConnectionPool, read: Callable[[], Reading] | None = None) -> None:
        self._pool = pool
        self._read = read or clocks()
        self._known: Steady | None = None

    def look(self) -> Steady:
        """As of now; a jump is told once."""
        return self._observed(None)

    def _observed(self, newest: datetime | None) -> Steady:
        before, self._known = self._known, observe(self._known, self._read(), newest)
        if before is not None and self._known.since != before.since:
            log.error("the clock jumped", extra={"settled": self._known.settled})
        return self._known

    async def load(self) -> None:
        """Learn what an earlier process knew, and whether the log has a later time than the clock."""
        async with self._pool.connection() as connection:
            await connection.execute(SWEEP)
            row = await (await connection.execute(KNOWN, [self._read().boot])).fetchone()
            row = row or await (await connection.execute(BEFORE)).fetchone()
            newest = await (await connection.execute(NEWEST)).fetchone()
        if row is not None:
            boot, wall, passed, *rest = row
            self._known = Steady(Reading(wall, passed, boot), *rest)
        self._observed(datetime.fromisoformat(newest[0]) if newest else None)

    async def run(self) -> None:
        """Look again and again, until cancelled, and keep what is known."""
        kept, kept_at = None, 0.0
        while True:
            beat("clock")
            known = self.look()
            if known.since != kept or time.monotonic() - kept_at > KEEP_EVERY:
                kept, kept_at = known.since, time.monotonic()
                with suppress(*OUTAGES):  # what it holds is only for a process that comes after this one
                    await self._keep(known)
            await asyncio.sleep(LOOK_EVERY)

    async def _keep(self, known: Steady) -> None:
        reading = known.reading
        row = [reading.boot, reading.wall, reading.passed, known.started, known.since, known.settled_at]
        async with self._pool.connection(timeout=PATIENCE) as connection:
            await connection.execute(KEEP, row)
