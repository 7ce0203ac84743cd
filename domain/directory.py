"""Whom a WhatsApp account knows: itself, its contacts, its groups. All of it is personal: `repr` shows none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on WhatsApp: an E.164 number (empty when it is hidden), a linked id (empty when unknown), a name."""

    number: str = field(repr=False)
    lid: str = field(repr=False)
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """A group that the account takes part in: WhatsApp's id of it, its name, how many take part."""

    id: str = field(repr=False)
    name: str = field(repr=False)
    members: int


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page of a list, and how long the whole list is."""

    total: int
    items: Sequence[T]
