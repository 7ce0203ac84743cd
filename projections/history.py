"""What read models showed at a position of the log: folded from the events up to there by the same handlers."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from psycopg import AsyncConnection

from domain.message import Recorded, StreamId
from projections import deliveries, jobs, outcomes
from projections.jobs import COUNTED, Job
from projections.outcomes import Delivery, Part
from projections.projection import Projection, stepped
from projections.table import Shown

R = TypeVar("R", bound=Shown)

Histories = Callable[[Collection[StreamId]], Awaitable[Sequence[Recorded]]]
"""The events of streams up to the position that is asked for, each stream's in order."""

MOST_FOLDED = 5_000  # deliveries of one job: about one second of a processor
AT_ONCE = 1_000

# In one statement: what has not changed since stands as it did; of the others those begun by then are to be folded.
STATES = """
SELECT CASE WHEN position <= %(at)s THEN state END, count(*),
    (array_agg(id) FILTER (WHERE position > %(at)s))[1:%(most)s]
FROM read_deliveries WHERE job_id = %(job)s AND born <= %(at)s GROUP BY 1
"""


class TooMuchSince(Exception):
    """More deliveries of a job have changed since than are folded for one question."""


def row_at(projection: Projection[R], history: Iterable[Recorded]) -> R | None:
    """The row that a stream's history comes to."""
    row: R | None = None
    for recorded in history:
        if type(recorded.event) in projection.on:
            row = stepped(projection, row, recorded)
    return row


async def job_at(connection: AsyncConnection, histories: Histories, history: Sequence[Recorded], at: int) -> Job | None:
    """A job, with its counts. Raises TooMuchSince."""
    row = row_at(jobs.PROJECTION, history)
    if row is None:
        return None
    states = await states_at(connection, histories, row.id, at)
    return jobs.shown(row, [states[state] for state in COUNTED])


async def states_at(connection: AsyncConnection, histories: Histories, job_id: UUID, at: int) -> Counter[str]:
    """How many deliveries of a job were in which state."""
    states: Counter[str] = Counter()
    changed: list[UUID] = []
    values = {"job": job_id, "at": at, "most": MOST_FOLDED + 1}
    for state, number, ids in await (await connection.execute(STATES, values)).fetchall():
        if state is None:
            changed = ids
        else:
            states[state] = number
    if len(changed) > MOST_FOLDED:
        raise TooMuchSince
    for start in range(0, len(changed), AT_ONCE):
        rows = await rows_at(histories, changed[start : start + AT_ONCE])
        states.update(str(row.state) for row in rows.values())
    return states


async def rows_at(histories: Histories, ids: Iterable[UUID]) -> Mapping[UUID, deliveries.Row]:
    """The rows of deliveries, of those that were begun."""
    streams: dict[UUID, list[Recorded]] = defaultdict(list)
    for recorded in await histories([StreamId(f"delivery-{id_}") for id_ in ids]):
        streams[UUID(recorded.stream.partition("-")[2])].append(recorded)
    rows = {id_: row_at(deliveries.PROJECTION, history) for id_, history in streams.items()}
    return {id_: row for id_, row in rows.items() if row is not None}


async def delivery_at(histories: Histories, history: Sequence[Recorded]) -> Delivery | None:
    """A delivery, told by how its job stood."""
    row = row_at(deliveries.PROJECTION, history)
    if row is None:
        return None
    job = row_at(jobs.PROJECTION, await histories([StreamId(f"job-{row.job_id}")]))
    return outcomes.told(row, job.status if job else None)


async def deliveries_at(
    connection: AsyncConnection, histories: Histories, row: jobs.Row, at: int, after: int, limit: int
) -> Part:
    """A page of a job's recipients in order, its `row` as it was: what changed since is folded, at most a page."""
    job = jobs.shown(row, [0] * len(COUNTED))
    found, edge = await outcomes.of_job(connection, job, {}, after, limit)
    changed = {one.id for one in found if one.row is not None and one.row.position > at}
    rows = await rows_at(histories, changed) if changed else {}
    return [as_it_was(one, rows.get(one.id), job) if one.id in changed else one for one in found], edge


def as_it_was(one: Delivery, row: deliveries.Row | None, job: Job) -> Delivery:
    """A delivery with the row it had, if it had one."""
    return replace(one, row=row, outcome=outcomes.outcome_of(row, job.row.status))
