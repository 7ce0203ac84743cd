"""A whole list as an import reads and merges it, without a database."""

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from adapters.audience_csv import BadRow, Listed, Reading
from adapters.audience_staging import Aside, merge


@dataclass(slots=True)
class Parsed:
    """A list; rows = bad + merged + people."""

    rows: int
    merged: int
    bad: list[BadRow]
    people: list[Listed]


def parse(data: bytes, country: str | None, now: datetime) -> Parsed:
    """Read a list: its rows as PostgreSQL would put them in order, its people as they are merged."""
    rows, bad, aside = list(Reading([data], country, now)), list[BadRow](), Aside()
    staged, first = list[tuple[int, UUID, bytes]](), dict[UUID, int]()
    for line, row in rows:
        if isinstance(row, BadRow):
            bad.append(row)
        else:
            person = uuid5(NAMESPACE_URL, row.number)
            first.setdefault(person, line)
            staged.append((line, person, aside.put(row)))
    people, last = merge(sorted(staged, key=lambda one: (first[one[1]], one[0])), None, aside)
    found = [one.person for one in (*people, *([last] if last else []))]
    return Parsed(len(rows), len(staged) - len(found), bad, found)
