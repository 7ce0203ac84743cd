"""Templates: the current version of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.message import Event, PrincipalId, Recorded, Ref
from domain.template import TemplateArchived, TemplateCreated, TemplateRevised
from projections.listing import Filter, Listing, by_id, in_time
from projections.parts import Told, refs, told
from projections.projection import Handler, Projection, begins, known, sets
from projections.sums import Sums
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """A template."""

    title: Ref
    parts: list[Told]
    created_by: PrincipalId
    created_at: datetime
    version: int = 1
    archived: bool = False

    @property
    def texts(self) -> list[Ref]:
        """The references to its texts."""
        return [self.title, *refs(self.parts)]


@begins
def created(event: TemplateCreated, recorded: Recorded) -> Row:
    made = recorded.envelope
    return Row(*stamp_keyed(recorded), event.title, told(event.parts), made.actor, made.time)


@known
def revised(row: Row, event: TemplateRevised, _recorded: Recorded) -> None:
    row.title, row.parts = event.title, told(event.parts)
    row.version += 1


TABLE = Table("read_templates", Row)
ON: Mapping[type[Event], Handler] = {
    TemplateCreated: created,
    TemplateRevised: revised,
    TemplateArchived: sets(archived=True),
}
SUMS = Sums("read_templates_sums", lambda row: "archived" if row.archived else "open")
PROJECTION = Projection(TABLE, ON, tally=SUMS, kept=(SUMS.table,))

LIST = Listing(
    TABLE.name,
    Row,
    [
        by_id(),
        Filter("archived", bool, "archived", "Only those that are archived, or are not.", False),
        Filter("created_by", PrincipalId, "created_by", "Only those that this key created.", "Zk3Pq81x"),
        *in_time("created_at", "created"),
    ],
)
