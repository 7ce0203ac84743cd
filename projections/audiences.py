"""Audiences: what each import came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.audience import AudienceImported
from domain.message import Event, Recorded, Ref
from projections.listing import Listing, by_id, in_time
from projections.projection import Handler, Projection, begins
from projections.sums import Sums
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """An imported list: people in it, bad rows, and rows merged into another by number."""

    title: Ref
    count: int
    rejected: int
    merged: int
    imported_at: datetime


@begins
def imported(event: AudienceImported, recorded: Recorded) -> Row:
    return Row(*stamp_keyed(recorded), event.title, event.count, event.rejected, event.merged, recorded.envelope.time)


TABLE = Table("read_audiences", Row)
ON: Mapping[type[Event], Handler] = {AudienceImported: imported}
SUMS = Sums("read_audiences_sums", lambda _row: "imported")
PROJECTION = Projection(TABLE, ON, tally=SUMS, kept=(SUMS.table,))

LIST = Listing(
    TABLE.name,
    Row,
    [by_id(), *in_time("imported_at", "imported")],
)
