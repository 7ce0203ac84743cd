"""Audiences: what each import, or choice by a filter, came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.audience import AudienceChosen, AudienceImported
from domain.message import Event, Recorded, Ref
from projections.listing import Listing, by_id, in_time
from projections.projection import Handler, Projection, begins
from projections.sums import Sums
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """A list: people in it, bad rows, and rows merged into another by number."""

    title: Ref
    count: int
    rejected: int
    merged: int
    imported_at: datetime
    filter: Ref | None = None  # by which it was chosen


@begins
def chosen(event: AudienceChosen, recorded: Recorded) -> Row:
    return Row(*stamp_keyed(recorded), event.title, event.count, 0, 0, recorded.envelope.time, event.filter)


@begins
def imported(event: AudienceImported, recorded: Recorded) -> Row:
    return Row(*stamp_keyed(recorded), event.title, event.count, event.rejected, event.merged, recorded.envelope.time)


TABLE = Table("read_audiences", Row)
ON: Mapping[type[Event], Handler] = {AudienceImported: imported, AudienceChosen: chosen}
SUMS = Sums("read_audiences_sums", lambda row: "imported" if row.filter is None else "chosen")
PROJECTION = Projection(TABLE, ON, tally=SUMS, kept=(SUMS.table,))

LIST = Listing(
    TABLE.name,
    Row,
    [by_id(), *in_time("imported_at", "imported")],
)
