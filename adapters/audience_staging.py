"""Rows of a list on their way through temporary tables, and the people that they come to."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from adapters.audience_csv import Listed
from adapters.audience_rows import Given, Row
from adapters.sealing import KEY_BYTES, Box
from domain.recipient import ConsentSource


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent the list states, to be recorded by a command; `proof` is a person's words, not yet sealed."""

    recipient_id: UUID
    source: ConsentSource
    given_at: datetime
    proof: str | None


@dataclass(slots=True)
class Staged:
    """A person of the list, and the line they begin on."""

    line: int
    recipient_id: UUID
    person: Listed

    def consent(self, now: datetime) -> Consent | None:
        """What the list states of their consent."""
        given = self.person.consent
        return Consent(self.recipient_id, given.source, given.at or now, given.proof) if given else None


class Aside:
    """Seals rows under a key that is never written down."""

    def __init__(self) -> None:
        self._box = Box(os.urandom(KEY_BYTES))

    def put(self, row: Row) -> bytes:
        consent = row.consent and [row.consent.source, row.consent.at, row.consent.proof]
        return self._box.seal(orjson.dumps([row.number, row.country, row.fields, consent, row.denied]), b"")

    def take(self, sealed: bytes) -> Row:
        number, country, fields, consent, denied = orjson.loads(self._box.open(sealed, b""))
        given = None
        if consent is not None:
            source, at, proof = consent
            given = Given(ConsentSource(source), datetime.fromisoformat(at) if at else None, proof)
        return Row(number, country, fields, given, denied)


def merge(
    rows: Sequence[tuple[int, UUID, bytes]], last: Staged | None, aside: Aside
) -> tuple[list[Staged], Staged | None]:
    """Rows as people; the last one may have more rows to come, and is kept back."""
    people: list[Staged] = []
    for line, recipient_id, sealed in rows:
        row = aside.take(sealed)
        if last is None or last.recipient_id != recipient_id:
            if last is not None:
                people.append(last)
            last = Staged(line, recipient_id, Listed(row.number, row.country))
        last.person.add(row)
    return people, last
