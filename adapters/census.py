"""How many there are of what an operator watches: one question to the database, one to the bus."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.bus import Bus
from adapters.streams import SENDS

COUNTS = """
SELECT
    coalesce((SELECT jsonb_object_agg(state, n) FROM (
        SELECT coalesce(s.state, 'none') AS state, count(*) AS n
        FROM session_accounts a LEFT JOIN session_states s USING (account_id) GROUP BY 1) one), '{}'),
    coalesce((SELECT jsonb_object_agg(status, n) FROM (
        SELECT status, count(*) AS n FROM job_progress GROUP BY 1) one), '{}'),
    (SELECT coalesce(sum(unknown), 0)::bigint FROM job_progress WHERE status = 'running'),
    (SELECT coalesce(sum(permits), 0)::bigint FROM leases),
    (SELECT count(*) FROM leases l WHERE permits = 0 AND EXISTS (
        SELECT FROM job_progress j WHERE j.status = 'running' AND l.account = ANY(j.accounts))),
    (SELECT count(*) FROM timers),
    (SELECT count(*) FROM timers WHERE due_at <= now()),
    (SELECT count(*) FROM commands WHERE state = 'pending'),
    (SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8 FROM commands WHERE state = 'pending'),
    (SELECT count(*) FROM dead_letters WHERE state = 'dead'),
    (SELECT count(*) FROM imports WHERE ended_at IS NULL),
    (SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8 FROM imports WHERE ended_at IS NULL),
    (SELECT count(*) FROM stated_consents WHERE due_at < 'infinity'),
    (SELECT count(*) FROM stated_consents WHERE due_at = 'infinity')
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the database counts."""

    accounts: Mapping[str, int]  # by their session's state; "none": there was never a session
    jobs: Mapping[str, int]  # by status
    unknown: int  # deliveries of running jobs of which nobody can tell
    permits: int
    without_permits: int
    timers: int
    timers_due: int
    pending: int
    oldest_pending: float  # seconds
    dead: int  # letters that nobody has replayed or dropped
    imports: int  # that have not ended
    oldest_import: float  # seconds
    consents: int  # that lists state, in pieces, and that are to be recorded
    consents_given_up: int


class Census:
    """Counts, each time it is asked."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], bus: Bus) -> None:
        self._pool = pool
        self._bus = bus

    async def counts(self) -> Counts:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(COUNTS)).fetchone()
            assert row is not None
            return Counts(*row)

    async def sends(self) -> int:
        """Messages in SENDS."""
        return (await self._bus.js.stream_info(SENDS)).state.messages
