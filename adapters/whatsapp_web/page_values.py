"""What a page says, as values that can be kept: a page, and the phones behind it, can say anything."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_ID = 256
LONGEST_TEXT = 70_000  # characters: more than WhatsApp takes in a message
MOST_COUNTED = 2**53


class BadValue(ValueError):
    """A page said something of another kind than it says by its nature."""


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    """A text, cut to a length; what could not be written as UTF-8, and NUL, which PostgreSQL lacks, become U+FFFD."""
    if not isinstance(value, str):
        raise BadValue("no text")
    return value[:longest].replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def name(value: object) -> str:
    """An id: whole, or none."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or text(value) != value:
        raise BadValue("no id")
    return value


def optional(value: object) -> str:
    """An id, or an empty text."""
    return "" if value in ("", None) else name(value)


def number(value: object) -> float:
    """A number that can be reckoned with."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise BadValue("no number")
    return float(value)


def count(value: object) -> int:
    """How many there are."""
    return int(min(max(number(value), 0), MOST_COUNTED))


def items(value: object) -> Sequence[Any]:
    """A list, of any length: what stands in it was written by people, and each is looked at by itself."""
    if not isinstance(value, list):
        raise BadValue("no list")
    return value


def fields(value: object) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise BadValue("no object")
    return value
