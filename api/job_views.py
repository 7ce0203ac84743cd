"""Jobs as they are shown."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from api import part_views
from api.deps import Texts
from domain.job import Deferral, Status, Void
from domain.moderation import Flag
from projections import jobs
from projections.submission import Submission

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
    "given_up": 0,
    "stopped": 0,
}
SUBMITTED: dict[str, Any] = {
    "id": "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21",
    "campaign_id": "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77",
    "campaign_version": 1,
    "title": "Spring opening",
    "parts": [part_views.TEXT],
    "audience_id": "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10",
    "recipients": 40,
    "accounts": ["0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22"],
    "start_at": None,
    "start": None,
    "expires_at": "2026-12-21T09:31:00Z",
    "pace": {"messages": 1, "seconds": 30},
    "approvals_needed": 1,
    "own_approval": False,
    "flags": [],
    "approved_by": ["Qm7Lw02b"],
    "submitted_by": "Zk3Pq81x",
    "submitted_at": "2026-11-21T09:31:00Z",
    "revisions": 0,
    "revised_by": None,
    "revised_at": None,
    "review_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
EXAMPLE = SUBMITTED | {
    "status": "running",
    "counts": COUNTS,
    "rejected_by": None,
    "note": None,
    "changes": None,
    "voided_approvals": [{"by": "Rt5Yv93c", "reason": "withdrawn", "at": "2026-11-21T09:31:30Z"}],
    "deferred": None,
    "approved_at": "2026-11-21T09:32:00Z",
    "started_at": "2026-11-21T09:32:00Z",
    "ended_at": None,
    "changed_at": "2026-11-21T09:40:00Z",
}


class Pace(BaseModel):
    """How fast each account may send."""

    messages: int
    seconds: int


class LocalStart(BaseModel):
    """A start on the clocks of a zone; `start_at` is the same as an instant."""

    local: datetime
    zone: str


class Voided(BaseModel):
    """An approval that counts no more."""

    by: str
    reason: Void
    at: datetime


class Changes(BaseModel):
    """A revision that a moderator asked for, in their words."""

    by: str
    note: str | None


class Deferred(BaseModel):
    """A start that was put off; it is tried again then, and when an account gets ready."""

    reason: Deferral
    until: datetime


class Submitted(BaseModel):
    """What was submitted or revised: everything that `review_hash` covers, and who has answered."""

    id: UUID
    campaign_id: UUID | None = Field(description="Null for a direct message; so are the version and the audience.")
    campaign_version: int | None
    title: str | None
    parts: list[part_views.Part]
    audience_id: UUID | None
    recipients: int
    accounts: list[UUID]
    start_at: datetime | None
    start: LocalStart | None = Field(description="As asked for, when a local time was.")
    expires_at: datetime | None = Field(description="When the job waits for its start no longer.")
    pace: Pace
    flags: list[Flag] = Field(description="What asks for a closer look.")
    approvals_needed: int
    own_approval: bool = Field(description="Whether the submitter's own approval counts.")
    approved_by: list[str]
    submitted_by: str
    submitted_at: datetime
    revisions: int
    revised_by: str | None
    revised_at: datetime | None
    review_hash: str = Field(description="Approve, reject or request changes of exactly this.")


class Job(Submitted):
    """A job."""

    status: Status
    counts: jobs.JobCounts
    rejected_by: str | None
    note: str | None = Field(description="Why it was rejected, in the moderator's words.")
    changes: Changes | None = Field(description="What a revision was asked for, until there is one.")
    voided_approvals: list[Voided]
    deferred: Deferred | None
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
            counts=job.counts,
            rejected_by=row.rejected_by,
            note=texts.of(row.note),
            changes=Changes(by=row.changes_by, note=texts.of(row.changes_note)) if row.changes_by else None,
            voided_approvals=[Voided.model_validate(voided) for voided in row.voided],
            deferred=Deferred(reason=Deferral(row.deferred), until=row.deferred_until)
            if row.deferred and row.deferred_until
            else None,
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
        "parts": part_views.shown(row.parts, texts),
        "audience_id": row.audience_id,
        "recipients": row.recipients,
        "accounts": row.accounts,
        "start_at": row.start_at,
        "start": {"local": row.start_local, "zone": row.zone} if row.start_local else None,
        "expires_at": row.expires_at,
        "flags": row.flags,
        "pace": {"messages": row.messages, "seconds": row.seconds},
        "approvals_needed": row.approvals_needed,
        "own_approval": row.own_approval,
        "approved_by": row.approved_by,
        "submitted_by": row.submitted_by,
        "submitted_at": row.submitted_at,
        "revisions": row.revisions,
        "revised_by": row.revised_by,
        "revised_at": row.revised_at,
        "review_hash": row.review_hash,
    }
