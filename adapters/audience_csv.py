"""Reading a list of people from CSV: every row becomes a person, joins one, or is bad with a reason.

The first row names the columns. One holds the number (`number`, `phone`, `tel`, `mobile`, `whatsapp`, …); `name`
(`full_name`), `consent`, `consent_source`, `consent_at` and `consent_proof` are understood; every other column is a
variable. Nothing is invented: there is a `first_name` only where the list has one. An empty cell is no value.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from adapters.audience_columns import Column, columns_of
from adapters.audience_rows import COUNTRIES, Given, Reason, Row, RowRefused, read_row
from adapters.audience_text import ImportRefused, read_rows

__all__ = ["BadRow", "ImportRefused", "Listed", "Reading", "check_country"]

SAMPLE = 100  # rows by which a column is guessed


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out: the line it begins on, why, and in which column."""

    line: int
    reason: Reason
    column: str | None


@dataclass(slots=True)
class Listed:
    """One person of the list: all good rows with this number, in the first one's place."""

    number: str
    country: str | None
    fields: dict[str, str] = field(default_factory=dict)
    consent: Given | None = None
    denied: bool = False  # some row says no; that outweighs every yes

    def add(self, row: Row) -> None:
        """What a row says more: of each column the last value counts, and of the consents the last one."""
        self.fields |= row.fields
        self.denied = self.denied or row.denied
        self.consent = None if self.denied else row.consent or self.consent


class Reading:
    """A list that is read as its bytes come: its columns at once, then its rows, each good or bad.

    `country` (ISO 3166-1) is assumed for numbers without +…; `owner` says what columns hold. Raises ImportRefused.
    """

    def __init__(
        self, pieces: Iterable[bytes], country: str | None, now: datetime, owner: Mapping[str, str] | None = None
    ) -> None:
        check_country(country)
        self._country = country
        self._now = now
        rows = read_rows(pieces)
        header = next((cells for _, cells in rows if any(cell.strip() for cell in cells)), None)
        if header is None:
            raise ImportRefused("empty", "file", "The file is empty.")
        sample = [(line, cells[: len(header) + 1]) for line, cells in islice(rows, SAMPLE)]  # a row may have a million
        self.columns: list[Column] = columns_of(header, owner, [cells for _, cells in sample], country)
        if not sample:
            raise ImportRefused("empty", "file", "The file names its columns and has no row below them.")
        self._rows = chain(sample, rows)

    def __iter__(self) -> Iterator[tuple[int, Row | BadRow]]:
        """Each row with the line it begins on."""
        names = [column.name for column in self.columns]
        for line, cells in self._rows:
            try:
                yield line, read_row(names, cells, self._country, self._now)
            except RowRefused as refused:
                yield line, BadRow(line, refused.reason, refused.column)


def check_country(country: str | None) -> None:
    """Raise ImportRefused for what is no country to assume."""
    if country is not None and country not in COUNTRIES:
        sentence = "The country is not a two-letter code that has telephone numbers."
        raise ImportRefused("unknown_country", "country", sentence)
