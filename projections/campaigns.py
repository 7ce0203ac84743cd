"""Campaigns: the current version of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.campaign import CampaignArchived, CampaignCreated, CampaignRevised
from domain.message import Event, PrincipalId, Recorded, Ref
from domain.template import TemplateVersion
from projections.listing import Filter, Listing, by_id, in_time
from projections.parts import Told, refs, told
from projections.projection import Handler, Projection, begins, known, sets
from projections.sums import Sums
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """A campaign."""

    title: Ref
    parts: list[Told]
    audience_id: UUID | None
    created_by: PrincipalId
    created_at: datetime
    version: int = 1
    archived: bool = False
    template_id: UUID | None = None
    template_version: int | None = None

    @property
    def texts(self) -> list[Ref]:
        """The references to its texts."""
        return [self.title, *refs(self.parts)]


@begins
def created(event: CampaignCreated, recorded: Recorded) -> Row:
    made = recorded.envelope
    row = Row(*stamp_keyed(recorded), event.title, told(event.parts), event.audience_id, made.actor, made.time)
    return made_from(row, event.template)


@known
def revised(row: Row, event: CampaignRevised, _recorded: Recorded) -> None:
    row.title, row.parts, row.audience_id = event.title, told(event.parts), event.audience_id
    row.version += 1
    made_from(row, event.template)


def made_from(row: Row, template: TemplateVersion | None) -> Row:
    """The row, with the template that its parts are from."""
    row.template_id, row.template_version = (template.template_id, template.version) if template else (None, None)
    return row


TABLE = Table("read_campaigns", Row)
ON: Mapping[type[Event], Handler] = {
    CampaignCreated: created,
    CampaignRevised: revised,
    CampaignArchived: sets(archived=True),
}
SUMS = Sums("read_campaigns_sums", lambda row: "archived" if row.archived else "open")
PROJECTION = Projection(TABLE, ON, tally=SUMS, kept=(SUMS.table,))

LIST = Listing(
    TABLE.name,
    Row,
    [
        by_id(),
        Filter("archived", bool, "archived", "Only those that are archived, or are not.", False),
        Filter(
            "audience", UUID, "audience_id", "Only those for this audience.", "7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10"
        ),
        Filter(
            "template", UUID, "template_id", "Only those from this template.", "2b7e1c64-0f3d-5c1a-9a52-6e1d3b0c8f44"
        ),
        Filter("created_by", PrincipalId, "created_by", "Only those that this key created.", "Zk3Pq81x"),
        *in_time("created_at", "created"),
    ],
)
