"""What was submitted: the part of a job that never changes, and the approvals given so far."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.message import Digest, PrincipalId, Recorded, Ref
from domain.submission import JobSubmitted
from projections.table import Keyed, stamp_keyed


@dataclass(slots=True)
class Submission(Keyed):
    """A row that shows what was submitted; its id is the job's. `parts` are references to the texts."""

    campaign_id: UUID
    campaign_version: int
    title: Ref
    parts: list[Ref]
    audience_id: UUID
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


def submission(event: JobSubmitted, recorded: Recorded) -> tuple[Any, ...]:
    """The fields of a Submission, in order."""
    return (
        *stamp_keyed(recorded),
        event.campaign_id,
        event.campaign_version,
        event.title,
        [part.text for part in event.parts],
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
    )
