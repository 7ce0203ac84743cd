"""What was submitted, or revised since: everything that is reviewed, and the approvals given so far."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.message import Digest, PrincipalId, Recorded, Ref
from domain.moderation import Flag
from domain.schedule import ZoneName
from domain.submission import JobRevised, JobSubmitted
from projections.parts import Told, refs, told
from projections.table import Keyed, stamp_keyed


@dataclass(slots=True)
class Submission(Keyed):
    """A row that shows what was submitted; its id is the job's."""

    campaign_id: UUID | None
    campaign_version: int | None
    title: Ref
    parts: list[Told]
    audience_id: UUID | None
    audience: Digest
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
    start_local: str | None = None  # as asked for, on the clocks of `zone`
    zone: ZoneName | None = None
    expires_at: datetime | None = None
    flags: list[Flag] = field(default_factory=list)
    revisions: int = 0
    revised_by: PrincipalId | None = None
    revised_at: datetime | None = None

    @property
    def texts(self) -> list[Ref]:
        """The references to the texts that are reviewed."""
        return [self.title, *refs(self.parts)]


def submission(event: JobSubmitted, recorded: Recorded) -> tuple[Any, ...]:
    """The fields of a Submission, in order."""
    return (
        *stamp_keyed(recorded),
        event.campaign_id,
        event.campaign_version,
        event.title,
        told(event.parts),
        event.audience_id,
        event.audience,
        event.recipients,
        [str(account) for account in event.accounts],
        event.start_at,
        event.messages,
        event.seconds,
        event.approvals,
        event.own_approval,
        event.submitted_by,
        recorded.envelope.time,
        event.review_hash,
        [],
        local(event),
        event.zone,
        event.expires_at,
    )


def revise(row: Submission, event: JobRevised, recorded: Recorded) -> None:
    """What is to be reviewed from now on."""
    row.campaign_version, row.title, row.parts = event.campaign_version, event.title, told(event.parts)
    row.audience_id, row.audience, row.recipients = event.audience_id, event.audience, event.recipients
    row.accounts = [str(account) for account in event.accounts]
    row.start_at, row.start_local, row.zone, row.expires_at = event.start_at, local(event), event.zone, event.expires_at
    row.messages, row.seconds = event.messages, event.seconds
    row.approvals_needed, row.own_approval, row.approved_by = event.approvals, event.own_approval, []
    row.review_hash, row.flags = event.review_hash, []
    row.revisions, row.revised_by, row.revised_at = row.revisions + 1, event.revised_by, recorded.envelope.time


def local(event: JobSubmitted | JobRevised) -> str | None:
    """The local time of the start, without a zone."""
    return event.start_local.isoformat() if event.start_local else None
