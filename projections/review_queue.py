"""The review queue: jobs that await a moderator's answer, with everything the review hash covers."""

from typing import Literal
from uuid import UUID

from domain.message import PrincipalId
from projections.jobs import TABLE, Row
from projections.listing import Filter, Listing, by_id, in_time

LIST = Listing(
    TABLE.name,
    Row,
    [
        by_id(),
        Filter(
            "status",
            Literal["submitted", "flagged"],
            "status",
            "Only jobs that stand so: `submitted` or `flagged`.",
            "flagged",
        ),
        Filter("campaign", UUID, "campaign_id", "Only jobs of this campaign.", "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"),
        Filter("submitted_by", PrincipalId, "submitted_by", "Only jobs that this key submitted.", "Zk3Pq81x"),
        *in_time("submitted_at", "submitted"),
    ],
    newest=False,
    only="status IN ('submitted', 'flagged')",  # IN_REVIEW, in the words of the index
)
