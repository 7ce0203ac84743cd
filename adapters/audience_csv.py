"""Reading a list of people from CSV: every row becomes a person, joins one, or is bad with a reason.

The first row names the columns. One holds the number (`number`, `phone`, `tel`, `mobile`, `whatsapp`); `name`
(`full_name`), `consent`, `consent_source`, `consent_at` and `consent_proof` are understood; every other column is a
variable. Nothing is invented: there is a `first_name` only where the list has one. An empty cell is no value.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from adapters.audience_rows import COUNTRIES, Given, Reason, Row, RowRefused, normalised, read_row
from domain.message import Refused

LARGEST = 5_000_000  # bytes
MOST_COLUMNS = 50
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # what a text may ask for
ALIASES = {**dict.fromkeys(("phone", "tel", "mobile", "whatsapp"), "number"), "full_name": "name"}


class ImportRefused(Refused):
    """A file that cannot be imported at all; the message is a sentence for its owner, without the file's contents."""

    def __init__(self, rule: str, field: str, sentence: str, **detail: int | str) -> None:
        super().__init__(rule, field=field, **detail)
        self.args = (sentence,)


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


@dataclass(slots=True)
class Parsed:
    """A whole list; rows = bad + merged + people."""

    rows: int = 0
    merged: int = 0
    bad: list[BadRow] = field(default_factory=list)
    people: list[Listed] = field(default_factory=list)


def parse(data: bytes, country: str | None, now: datetime) -> Parsed:
    """Read a list. `country` (ISO 3166-1) is assumed for numbers without +…; ImportRefused when nothing can be read."""
    if country is not None and country not in COUNTRIES:
        raise ImportRefused(
            "unknown_country", "country", "The country is not a two-letter code that has telephone numbers."
        )
    parsed, by_number = Parsed(), dict[str, Listed]()
    lines = read_rows(decode(data))
    columns = name_columns(next(lines)[1])
    for line, cells in lines:
        parsed.rows += 1
        try:
            row = read_row(columns, cells, country, now)
        except RowRefused as refused:
            parsed.bad.append(BadRow(line, refused.reason, refused.column))
            continue
        if row.number in by_number:
            parsed.merged += 1
        by_number.setdefault(row.number, Listed(row.number, row.country)).add(row)
    if not parsed.rows:
        raise ImportRefused("empty", "file", "The file names its columns and has no row below them.")
    parsed.people = list(by_number.values())
    return parsed


def decode(data: bytes) -> str:
    """The file as text."""
    if len(data) > LARGEST:
        raise ImportRefused(
            "too_large", "file", f"The file is larger than {LARGEST:,} bytes; split it.", maximum=LARGEST
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        sentence = f"The file is not UTF-8: line {line} has bytes that mean nothing in it. Save it as CSV UTF-8."
        raise ImportRefused("not_utf8", "file", sentence, line=line) from None
    if not text.strip():
        raise ImportRefused("empty", "file", "The file is empty.")
    return text


def read_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line it begins on; separated by what the first one uses more."""
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        sentence = f"The row that begins on line {line} is no CSV: look for a quotation mark that is not closed."
        raise ImportRefused("not_csv", "file", sentence, line=line) from None


def name_columns(header: Sequence[str]) -> list[str]:
    """The columns' names, normalised. A sentence names a column by its place: a first row may hold somebody's data."""
    if len(header) > MOST_COLUMNS:
        sentence = f"The file has {len(header)} columns; {MOST_COLUMNS} are the most."
        raise ImportRefused("too_many_columns", "columns", sentence, maximum=MOST_COLUMNS)
    names: list[str] = []
    for place, cell in enumerate(header, start=1):
        name = normalised(cell)
        name = ALIASES.get(name, name)
        if not NAME.fullmatch(name):
            sentence = (
                f"Column {place} needs a name in the first row: a letter a to z, then at most 39 letters, digits or _."
            )
            raise ImportRefused("bad_column", "columns", sentence, column=place)
        if name in names:
            sentence = f"Columns {names.index(name) + 1} and {place} have the same name or meaning; keep one of them."
            raise ImportRefused("repeated_column", "columns", sentence, column=place)
        names.append(name)
    if "number" not in names:
        sentence = "No column is called number (or phone, tel, mobile, whatsapp); the first row must name the columns."
        raise ImportRefused("missing_column", "number", sentence)
    return names
