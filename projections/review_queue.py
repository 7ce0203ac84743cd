"""The review queue: jobs that await a moderator's answer, with everything the review hash covers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection, sql

from domain.job import JobApprovalGiven, JobApproved, JobRejected, JobStopped, JobSubmitted
from domain.message import Digest, Event, PrincipalId, Recorded, Ref, WorkspaceId
from projections.projection import Handler, Projection, begins, gone, known
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """A job awaiting review; its id is the job's."""

    campaign_id: UUID
    campaign_version: int
    title: Ref
    parts: list[Ref]
    audience_id: UUID
    recipients: int
    accounts: list[str]
    start_at: datetime | None
    messages: int
    seconds: int
    approvals_needed: int
    own_approval: bool
    submitted_by: PrincipalId
    submitted_at: datetime
    review_hash: Digest
    approved_by: list[PrincipalId]


@begins
def submitted(event: JobSubmitted, recorded: Recorded) -> Row:
    return Row(
        *stamp_keyed(recorded),
        campaign_id=event.campaign_id,
        campaign_version=event.campaign_version,
        title=event.title,
        parts=[part.text for part in event.parts],
        audience_id=event.audience_id,
        recipients=event.recipients,
        accounts=[str(account) for account in event.accounts],
        start_at=event.start_at,
        messages=event.messages,
        seconds=event.seconds,
        approvals_needed=event.approvals,
        own_approval=event.own_approval,
        submitted_by=event.submitted_by,
        submitted_at=recorded.envelope.time,
        review_hash=event.review_hash,
        approved_by=[],
    )


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
