"""What people are chosen by: conditions on declared attributes and on what is known of everybody.

Whoever has no value fits no comparison, and so fits its `not`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.attributes import Value


class Sign(StrEnum):
    """How a value is compared."""

    IS = "="
    IS_NOT = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="


class Known(StrEnum):
    """What is known of everybody, declared or not."""

    COUNTRY = "country"
    CONSENT = "consent"
    LAST_CONTACT = "last_contact"
    TAG = "tag"
    LIST = "list"


class Consent(StrEnum):
    """How a person stands to being written to."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A declared attribute, compared with values of its kind, in any of which it may be."""

    name: str
    sign: Sign
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """Whether a person has a value for this at all."""

    name: str | Known


@dataclass(frozen=True, slots=True)
class Country:
    """The number's country is one of these (ISO 3166-1)."""

    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consenting:
    """The person's consent is one of these."""

    states: tuple[Consent, ...]


@dataclass(frozen=True, slots=True)
class Contacted:
    """Something was sent to them, the last time so."""

    sign: Sign
    at: datetime


@dataclass(frozen=True, slots=True)
class Tagged:
    """They bear one of these tags."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """They are in one of these audiences."""

    lists: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Every:
    """Every one of these holds; with none, it is everybody."""

    parts: tuple["Filter", ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """One of these holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    part: "Filter"


Condition = Attribute | Given | Country | Consenting | Contacted | Tagged | Listed
Filter = Condition | Every | Either | Not
EVERYBODY = Every()
