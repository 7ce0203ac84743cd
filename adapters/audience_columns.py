"""What the columns of a list hold: as its owner says, as they are called, or as they look."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.audience_rows import CONSENT, GIVEN_AT, PROOF, SOURCE, RowRefused, normalised, read_number
from adapters.audience_text import ImportRefused

MOST_COLUMNS = 50
LONGEST_NAME = 200  # characters of a column's name in a file; what it holds has a shorter one
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # what a text may ask for
A_NAME = "a letter a to z, then at most 39 letters, digits or _"
NUMBER = "number"
CALLED_NUMBER = """
phone tel mobile whatsapp phone_number mobile_number mobile_phone telephone cell cell_phone msisdn whatsapp_number
telefon telefonnummer handy handynummer mobilnummer rufnummer mobiltelefon telefono numero_de_telefono movil celular
cellulare telefone telemovel telefoon telefoonnummer
"""
ALIASES = {**dict.fromkeys(CALLED_NUMBER.split(), NUMBER), "full_name": "name"}
UNDERSTOOD = ("name", CONSENT, SOURCE, GIVEN_AT, PROOF)
LOOKS_DIALLED = re.compile(r"\+?[\d ()./-]{7,25}")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its place from 1, what the first row calls it, what it holds (None: left out), and who says so."""

    place: int
    header: str
    name: str | None
    by: str  # owner | name | look


def columns_of(
    header: Sequence[str],
    owner: Mapping[str, str] | None = None,
    sample: Sequence[Sequence[str]] = (),
    country: str | None = None,
) -> list[Column]:
    """The columns under this first row. `owner` maps a column's name, or its place, to what it holds; "" leaves it out.

    A sentence names a column by its place: a first row may hold somebody's data. Raises ImportRefused.
    """
    if len(header) > MOST_COLUMNS:
        sentence = f"The file has {len(header)} columns; {MOST_COLUMNS} are the most."
        raise ImportRefused("too_many_columns", "columns", sentence, maximum=MOST_COLUMNS)
    if any(LOOKS_DIALLED.fullmatch(cell.strip()) for cell in header):
        sentence = "The first row holds a telephone number: put a row above it that names the columns."
        raise ImportRefused("missing_column", NUMBER, sentence)
    for place, cell in enumerate(header, start=1):
        if len(cell) > LONGEST_NAME:  # before it is normalized, which takes the square of the time for accents
            sentence = f"The name of column {place} in the first row has more than {LONGEST_NAME} characters."
            raise ImportRefused("bad_column", "columns", sentence, column=place)
    said = said_of(header, owner or {})
    columns: list[Column] = []
    for place, cell in enumerate(header, start=1):
        name = said.get(place)
        if name is None:
            name = normalised(cell)
            columns.append(Column(place, cell, ALIASES.get(name, name), "name"))
        else:
            columns.append(Column(place, cell, name or None, "owner"))
    if all(column.name != NUMBER for column in columns):
        columns = guessed(columns, sample, country)
    for column in columns:
        if column.name is not None and not NAME.fullmatch(column.name):
            sentence = f"Column {column.place} needs a name in the first row: {A_NAME}."
            raise ImportRefused("bad_column", "columns", sentence, column=column.place)
    refuse_repeated(columns)
    if all(column.name != NUMBER for column in columns):
        sentence = "No column is called number (or phone, tel, mobile, whatsapp); the first row must name the columns."
        raise ImportRefused("missing_column", NUMBER, sentence)
    return columns


def said_of(header: Sequence[str], owner: Mapping[str, str]) -> dict[int, str]:
    """What the owner says of columns, by their places. Raises ImportRefused."""
    names = {named(cell): place for place, cell in reversed(list(enumerate(header, start=1)))}
    places = {str(place): place for place in range(1, len(header) + 1)}
    found: dict[int, str] = {}
    for nth, (column, holds) in enumerate(owner.items(), start=1):
        place = names.get(named(column)) or places.get(column.strip())
        if place is None:
            sentence = f"The file has no column that the mapping's entry {nth} names."
            raise ImportRefused("unknown_column", "columns", sentence, entry=nth)
        name = normalised(holds)
        if holds.strip() and not NAME.fullmatch(name):
            sentence = (
                f"Entry {nth} of the mapping needs a name: a letter a to z, then at most 39 letters, digits or _."
            )
            raise ImportRefused("bad_column", "columns", sentence, entry=nth)
        found[place] = ALIASES.get(name, name)
    return found


def named(cell: str) -> str:
    """A column's name as it is compared: without regard to case, forms of letters, and blanks around it."""
    return unicodedata.normalize("NFKC", cell).strip().casefold()


def guessed(columns: list[Column], sample: Sequence[Sequence[str]], country: str | None) -> list[Column]:
    """The columns, with the only one that looks like telephone numbers taken for that."""
    free = [column for column in columns if column.by != "owner" and column.name not in UNDERSTOOD]
    dialled = [column for column in free if looks_dialled(column, sample, country)]
    if len(dialled) != 1:
        return columns
    guess = Column(dialled[0].place, dialled[0].header, NUMBER, "look")
    return [guess if column is dialled[0] else column for column in columns]


def looks_dialled(column: Column, sample: Sequence[Sequence[str]], country: str | None) -> bool:
    """Whether more than half of a column's cells are numbers that can be dialled."""
    cells = [row[column.place - 1].strip() for row in sample if len(row) >= column.place]
    return sum(can_be_dialled(cell, country) for cell in cells) * 2 > len(cells)


def can_be_dialled(cell: str, country: str | None) -> bool:
    try:
        read_number(cell, country)
    except RowRefused:
        return False
    return True


def refuse_repeated(columns: Sequence[Column]) -> None:
    """Raise ImportRefused when two columns hold the same."""
    seen: dict[str, int] = {}
    for column in columns:
        if column.name is None:
            continue
        if column.name in seen:
            sentence = (
                f"Columns {seen[column.name]} and {column.place} have the same name or meaning; keep one of them."
            )
            raise ImportRefused("repeated_column", "columns", sentence, column=column.place)
        seen[column.name] = column.place
