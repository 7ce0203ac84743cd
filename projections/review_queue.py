"""The review queue: jobs that await a moderator's answer, with everything the review hash covers."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import AsyncConnection, sql

from domain.job import JobApprovalGiven, JobApproved, JobRejected, JobStopped
from domain.message import Event, Recorded, WorkspaceId
from domain.submission import JobSubmitted
from projections.projection import Handler, Projection, begins, gone, known
from projections.submission import Submission, submission
from projections.table import Table


@dataclass(slots=True)
class Row(Submission):
    """A job awaiting review."""


@begins
def submitted(event: JobSubmitted, recorded: Recorded) -> Row:
    return Row(*submission(event, recorded))


@known
def approval_given(row: Row, event: JobApprovalGiven, _recorded: Recorded) -> None:
    row.approved_by.append(event.by)


TABLE = Table("read_review_queue", Row)
ON: Mapping[type[Event], Handler] = {
    JobSubmitted: submitted,
    JobApprovalGiven: approval_given,
    JobApproved: gone,
    JobRejected: gone,
    JobStopped: gone,
}
PROJECTION = Projection(TABLE, ON)

OLDEST = (TABLE.select + sql.SQL(" WHERE workspace = %s AND born > %s ORDER BY born LIMIT %s")).as_bytes()


async def oldest(connection: AsyncConnection, workspace: WorkspaceId, after: int | None, limit: int) -> list[Row]:
    """Jobs awaiting review, the longest waiting first, of those submitted after a log position."""
    cursor = await connection.execute(OLDEST, [workspace, after or 0, limit])
    return [Row(*found) for found in await cursor.fetchall()]
