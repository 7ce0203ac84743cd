"""The words of the sandbox's world: devices and how they greet, sent messages, ids."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Stanza = dict[str, Any]
Sink = Callable[[Stanza], None]
SENT, DELIVERED, READ = 1, 2, 3


class Refused(Exception):
    """The server or the phone says no; `reason` is an enum-like word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Hello:
    """How a browser comes online. `unacked` are its own messages whose receipts it may have missed."""

    device: str
    secret: str
    keys: str
    linked: bool = False
    unacked: tuple[str, ...] = ()


@dataclass(slots=True)
class Device:
    """A browser that was or wants to be linked. `keys` are the last three parts of its QR payload."""

    id: str
    secret: str
    keys: str
    phone: str | None = None
    since: float = field(default_factory=time.time)
    codes: list[tuple[str, float]] = field(default_factory=list)
    sink: Sink | None = None
    waiting: deque[Stanza] = field(default_factory=deque)

    def push(self, stanza: Stanza) -> None:
        if self.sink is not None:
            self.sink(stanza)
        else:
            self.waiting.append(stanza)


@dataclass(slots=True)
class Sent:
    """A message as the recipient's phone shows it; bodies are kept in memory only."""

    account: str
    chat: str
    wa_id: str
    body: str
    at: float
    ack: int = SENT


def lid_of(number: str) -> str:
    """The linked id that stands for a number: another number space, reversible, so that nothing need be stored."""
    return f"{10**15 - 1 - int(number.removeprefix('+')):015d}"


def number_of(lid: str) -> str:
    return f"+{10**15 - 1 - int(lid)}"
