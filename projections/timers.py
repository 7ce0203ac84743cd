"""What is asked of the timers: decisions that are due, now or later, the next one first."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.message import WorkspaceId
from domain.reactors import Kind
from projections.listing import Compare, Filter, Listing, by_id


@dataclass(frozen=True, slots=True)
class Row:
    """A decision about a job or a delivery; `local_time` is what was asked for, on the clocks of `zone`."""

    id: UUID
    workspace: WorkspaceId
    kind: Kind
    subject: UUID
    due_at: datetime
    local_time: str | None
    zone: str | None


LIST = Listing(
    "timers",
    Row,
    [
        by_id(),
        Filter("kind", Kind, "kind", "Only timers of this kind.", "start"),
        Filter(
            "subject", UUID, "subject", "Only those about this job or delivery.", "d0a3b7f4-2f2f-5a0c-9a43-6f0c6f3b8e21"
        ),
        Filter("since", datetime, "due_at", "Only those due then or later.", "2026-11-21T00:00:00Z", Compare.SINCE),
        Filter("until", datetime, "due_at", "Only those due before.", "2026-11-22T00:00:00Z", Compare.UNTIL),
    ],
    order=("due_at", "id"),
    newest=False,
)
