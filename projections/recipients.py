"""Recipients: whether each person may be written to, and since when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.message import Event, Recorded
from domain.recipient import (
    ConsentRecorded,
    ConsentSource,
    MessageReceived,
    OptOutSource,
    RecipientErased,
    RecipientOptedOut,
)
from projections.listing import Filter, Listing, Way, by_id
from projections.projection import Handler, Projection
from projections.sums import Sums
from projections.table import Keyed, Table, stamp_keyed


@dataclass(slots=True)
class Row(Keyed):
    """A person, by id alone; `source` and `given_at` are of the last consent, which counts while `consented`."""

    consented: bool
    source: ConsentSource | None = None
    given_at: datetime | None = None
    opted_out_at: datetime | None = None
    erased_at: datetime | None = None
    opted_out_source: OptOutSource | None = None
    heard_at: datetime | None = None


def consent_recorded(row: Row | None, event: ConsentRecorded, recorded: Recorded) -> Row:
    row = row or Row(*stamp_keyed(recorded), consented=True)
    row.consented, row.source, row.given_at = True, event.source, event.given_at
    return row


def opted_out(row: Row | None, event: RecipientOptedOut, recorded: Recorded) -> Row:
    row = row or Row(*stamp_keyed(recorded), consented=False)
    row.consented, row.opted_out_at, row.opted_out_source = False, event.at, event.source
    return row


def heard(row: Row | None, event: MessageReceived, recorded: Recorded) -> Row:
    row = row or Row(*stamp_keyed(recorded), consented=False)
    row.heard_at = event.sent_at
    return row


def erased(row: Row | None, event: RecipientErased, recorded: Recorded) -> Row:
    born = stamp_keyed(recorded) if row is None else (row.workspace, row.born, row.position, row.changed_at, row.id)
    return Row(*born, consented=False, erased_at=event.at)


def word(row: Row) -> str:
    """By which a person is counted."""
    if row.erased_at is not None:
        return "erased"
    if row.consented:
        return "consented"
    return "opted_out" if row.opted_out_at else "heard"


TABLE = Table("read_recipients", Row)
ON: Mapping[type[Event], Handler] = {
    ConsentRecorded: consent_recorded,
    RecipientOptedOut: opted_out,
    MessageReceived: heard,
    RecipientErased: erased,
}
SUMS = Sums("read_recipients_sums", word)
PROJECTION = Projection(TABLE, ON, tally=SUMS, kept=(SUMS.table,))

LIST = Listing(
    TABLE.name,
    Row,
    [
        by_id(),
        Filter(
            "consented",
            bool,
            "consented",
            "Only those who may be written to, or (`false`) opted out or were erased.",
            True,
        ),
        Filter("source", ConsentSource, "source", "Only those whose last consent came so.", "web_form"),
    ],
    [Way(("source",)), Way(("consented",))],
)
