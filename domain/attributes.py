"""Attributes: variables of people that a workspace declares, so that people can be filtered by them."""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum

MOST = 30  # of a workspace
LONGEST = 200  # characters of a text one can filter by
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,6})?")
YES, NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0"})
# Names that the filter language has for itself.
TAKEN = frozenset(
    (
        *("and", "or", "not", "in", "is", "known", "everybody", "day", "days", "ago"),
        *("country", "consent", "last_contact", "tag", "list", "name", "number"),
    )
)

Value = str | float | bool


class AttributeKind(StrEnum):
    """What the values of an attribute are."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"


def typed(kind: AttributeKind, text: str) -> Value | None:
    """A variable's words as a value to be compared; None when they are none of this kind. A text has no case."""
    text = text.strip().casefold()
    match kind:
        case AttributeKind.TEXT:
            return text if text and len(text) <= LONGEST and "\0" not in text else None
        case AttributeKind.NUMBER:
            return float(text) if NUMBER.fullmatch(text) else None
        case AttributeKind.DATE:
            return day(text)
        case AttributeKind.YES_NO:
            return text in YES if text in YES | NO else None


def day(text: str) -> str | None:
    """A date as 2026-11-21, if it is one."""
    try:
        return date.fromisoformat(text).isoformat() if len(text) == len("2026-11-21") else None
    except ValueError:
        return None


def values_of(kinds: Mapping[str, AttributeKind], fields: Mapping[str, str]) -> dict[str, Value]:
    """What one can filter a person by: those of their variables that are declared, and say something of that kind."""
    found = {name: typed(kind, fields[name]) for name, kind in kinds.items() if name in fields}
    return {name: value for name, value in found.items() if value is not None}
