"""The words of the sandbox's world: devices and how they greet, phones, messages, ids."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.sandbox.contents import Content

Stanza = dict[str, Any]
Sink = Callable[[Stanza], None]
TAKEN, SENT, DELIVERED, READ = 0, 1, 2, 3


class Refused(Exception):
    """The server or the phone says no; `reason` is an enum-like word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hello:
    """How a browser comes online. `unacked` are its own messages whose receipts it may have missed; `started`: this is
    its page's first greeting."""

    device: str
    secret: str
    keys: str
    linked: bool = False
    unacked: tuple[str, ...] = ()
    started: bool = True


@dataclass(slots=True)
class Device:
    """A browser that was or wants to be linked. `keys` are the last three parts of its QR payload, `got` is how much
    of its account's mail it has stored."""

    id: str
    secret: str
    keys: str
    phone: str | None = None
    since: float = field(default_factory=time.time)
    got: int = 0
    codes: list[tuple[str, float]] = field(default_factory=list)
    typed: tuple[str, str] | None = None  # the phone that is to link it, and the code to type there
    heard: int = 0  # the last change of the faults that its page knows of
    sink: Sink | None = None

    def push(self, stanza: Stanza) -> None:
        """Tell the browser, if it is online: what it missed it asks for when it comes back."""
        if self.sink is not None:
            self.sink(stanza)


@dataclass(slots=True)
class Phone:
    """A number's phone. `id` stands for it in addresses; `held`: a person reads on it, so that it reads nothing by
    itself; `version` grows with whatever is seen on it."""

    number: str
    id: str
    name: str = ""
    on: bool = True
    held: bool = False
    version: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """A group of numbers; `id` is the user part of WhatsApp's id."""

    id: str
    name: str
    participants: tuple[str, ...]


@dataclass(slots=True)
class Message:
    """A message between two phones, as both show it; `seq` orders them all."""

    seq: int
    sender: str
    recipient: str
    wa_id: str
    content: Content
    quoted: str | None
    at: float
    ack: int


def lid_of(number: str) -> str:
    """The linked id that stands for a number: another number space, reversible, so that nothing need be stored."""
    return f"{10**15 - 1 - int(number.removeprefix('+')):015d}"


def number_of(lid: str) -> str:
    return f"+{10**15 - 1 - int(lid)}"
