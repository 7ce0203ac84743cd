"""Jobs: a submitted campaign on its way through review to its recipients."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from api.accept import Accepting
from api.auth import Asking
from api.deps import Given, Page, PageBounds, Reading, Texts, opened, page_of
from api.errors import not_found
from api.openapi import gives, pages, reads
from domain.job import Status
from projections import jobs
from projections.submission import Submission

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

COUNTS = {
    "pending": 31,
    "intended": 1,
    "sent": 1,
    "delivered": 2,
    "read": 3,
    "failed": 0,
    "partial": 0,
    "skipped": 2,
    "unknown": 0,
    "stopped": 0,
}
SUBMITTED: dict[str, Any] = {
    "id": "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21",
    "campaign_id": "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77",
    "campaign_version": 1,
    "title": "Spring opening",
    "parts": ["Hello {{name}}, we open on Saturday."],
    "audience_id": "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10",
    "recipients": 40,
    "accounts": ["0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22"],
    "start_at": None,
    "pace": {"messages": 1, "seconds": 30},
    "approvals_needed": 1,
    "own_approval": False,
    "approved_by": ["Qm7Lw02b"],
    "submitted_by": "Zk3Pq81x",
    "submitted_at": "2026-11-21T09:31:00Z",
    "review_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
EXAMPLE = SUBMITTED | {
    "status": "running",
    "counts": COUNTS,
    "rejected_by": None,
    "note": None,
    "approved_at": "2026-11-21T09:32:00Z",
    "started_at": "2026-11-21T09:32:00Z",
    "ended_at": None,
    "changed_at": "2026-11-21T09:40:00Z",
}
NEW = {
    "campaign_id": SUBMITTED["campaign_id"],
    "accounts": SUBMITTED["accounts"],
    "start_at": "2031-05-01T09:00:00+02:00",
}
REVIEWED = {"review_hash": SUBMITTED["review_hash"]}


class Pace(BaseModel):
    """How fast each account may send."""

    messages: int
    seconds: int


class Submitted(BaseModel):
    """What was submitted: everything that `review_hash` covers, and who has answered."""

    id: UUID
    campaign_id: UUID
    campaign_version: int
    title: str | None
    parts: list[str | None]
    audience_id: UUID
    recipients: int
    accounts: list[UUID]
    start_at: datetime | None
    pace: Pace
    approvals_needed: int
    own_approval: bool = Field(description="Whether the submitter's own approval counts.")
    approved_by: list[str]
    submitted_by: str
    submitted_at: datetime
    review_hash: str = Field(description="Approve or reject exactly this.")


class Counts(BaseModel):
    """How many recipients are in which state; each is in one, so they add up to `recipients`."""

    pending: int
    intended: int
    sent: int
    delivered: int
    read: int
    failed: int
    partial: int
    skipped: int
    unknown: int
    stopped: int


class Job(Submitted):
    """A job."""

    status: Status
    counts: Counts
    rejected_by: str | None
    note: str | None = Field(description="Why it was rejected, in the moderator's words.")
    approved_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    changed_at: datetime

    @classmethod
    def of(cls, job: jobs.Job, texts: Texts) -> Self:
        row = job.row
        return cls(
            **submitted(row, texts),
            status=Status(row.status),
            counts=Counts.model_validate(job.counts, from_attributes=True),
            rejected_by=row.rejected_by,
            note=texts.of(row.note),
            approved_at=row.approved_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            changed_at=row.changed_at,
        )


def submitted(row: Submission, texts: Texts) -> dict[str, Any]:
    """What was submitted, of a job or of an entry of the review queue."""
    return {
        "id": row.id,
        "campaign_id": row.campaign_id,
        "campaign_version": row.campaign_version,
        "title": texts.of(row.title),
        "parts": [texts.of(part) for part in row.parts],
        "audience_id": row.audience_id,
        "recipients": row.recipients,
        "accounts": row.accounts,
        "start_at": row.start_at,
        "pace": {"messages": row.messages, "seconds": row.seconds},
        "approvals_needed": row.approvals_needed,
        "own_approval": row.own_approval,
        "approved_by": row.approved_by,
        "submitted_by": row.submitted_by,
        "submitted_at": row.submitted_at,
        "review_hash": row.review_hash,
    }


@router.get("", **pages(EXAMPLE))
async def list_jobs(
    actor: Asking,
    read: Reading,
    bounds: PageBounds,
    services: Given,
    status: Annotated[Status | None, Query(description="Only jobs that stand so.")] = None,
) -> Page[Job]:
    """The workspace's jobs, the newest first."""
    found = await jobs.newest(read, actor.workspace, bounds.behind, bounds.limit, status)
    texts = await opened(services, actor.workspace, [ref for job in found for ref in job.texts])
    return page_of([Job.of(job, texts) for job in found], bounds, found[-1].row.born if found else None)


@router.get("/{job_id}", **reads(EXAMPLE, of_one=True))
async def get_job(job_id: UUID, actor: Asking, read: Reading, services: Given) -> Job:
    """One job, with its counts."""
    job = await jobs.one(read, actor.workspace, job_id)
    if job is None:
        raise not_found("job")
    return Job.of(job, await opened(services, actor.workspace, job.texts))


@router.post("", **gives("job.submit", made="job_id", example=NEW))
async def submit_job(accept: Accepting) -> Response:
    """Freeze a campaign's version and audience, and ask for review; starts on approval, or at `start_at`."""
    return await accept("job.submit", new="job_id")


@router.post(
    "/{job_id}/approve",
    **gives("job.approve", path="job_id", example=REVIEWED),
)
async def approve_job(job_id: UUID, accept: Accepting) -> Response:
    """Approve exactly what `review_hash` covers."""
    return await accept("job.approve", job_id=job_id)


@router.post(
    "/{job_id}/reject",
    **gives("job.reject", path="job_id", example=REVIEWED | {"note": "The opening hours are wrong."}),
)
async def reject_job(job_id: UUID, accept: Accepting) -> Response:
    """Turn a job down for good."""
    return await accept("job.reject", job_id=job_id)


@router.post("/{job_id}/start", **gives("job.start", path="job_id"))
async def start_job(job_id: UUID, accept: Accepting) -> Response:
    """Start an approved job now."""
    return await accept("job.start", job_id=job_id)


@router.post("/{job_id}/pause", **gives("job.pause", path="job_id"))
async def pause_job(job_id: UUID, accept: Accepting) -> Response:
    """Begin no further send until the job is resumed."""
    return await accept("job.pause", job_id=job_id)


@router.post("/{job_id}/resume", **gives("job.resume", path="job_id"))
async def resume_job(job_id: UUID, accept: Accepting) -> Response:
    """Go on with a paused job."""
    return await accept("job.resume", job_id=job_id)


@router.post("/{job_id}/stop", **gives("job.stop", path="job_id"))
async def stop_job(job_id: UUID, accept: Accepting) -> Response:
    """End a job for good; who has no message yet gets none."""
    return await accept("job.stop", job_id=job_id)
