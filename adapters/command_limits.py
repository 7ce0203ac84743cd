"""How much a key may have waiting on the bus, and that all keys together never fill it.

The server counts by subject, and a key has one subject for each command of its roles. So what a key can have waiting
is (commands of its roles) * (waiting on a subject) * (size of a message), and the sum over all keys has to fit into
COMMANDS: then nobody's flood ever takes the room of others.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from domain import catalog
from domain.message import Role

MAX_BODY = 64 << 10  # bytes of a command
MAX_HEADERS = 4 << 10
MAX_MESSAGE = MAX_BODY + MAX_HEADERS  # what the server measures
MAX_STORED = MAX_MESSAGE + 256  # with its subject and the server's own record of it
UNTRIMMED_SECONDS = 1.0  # what was answered counts until it is trimmed, every half second
FEWEST_WAITING = 20


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """`rate`: commands a second that a key may give; `stream_bytes`: what COMMANDS may hold."""

    rate: int = 20
    stream_bytes: int = 4 << 30

    @property
    def waiting(self) -> int:
        """Messages that may wait on one subject: a second of the rate at least, or who keeps to it would be refused."""
        return max(FEWEST_WAITING, math.ceil(self.rate * UNTRIMMED_SECONDS))

    def bytes_of(self, roles: Collection[Role]) -> int:
        """The most that a key with these roles can have waiting."""
        return len(catalog.given_by(roles)) * self.waiting * MAX_STORED

    def fits(self, keys: Iterable[Collection[Role]]) -> bool:
        """Whether COMMANDS has room for all that these keys can have waiting."""
        return sum(map(self.bytes_of, keys)) <= self.stream_bytes
