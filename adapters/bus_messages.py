"""What goes over the bus and how it is refused, as plain values."""

from dataclasses import dataclass, field
from uuid import UUID

from adapters.cloudevents import Address, Answer, Headers
from domain.message import WorkspaceId


class BatchRefused(Exception):
    """The server did not take a batch: nothing of it is stored. `code` is the server's own."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code = code


@dataclass(slots=True)
class Message:
    """Something to publish."""

    subject: str
    body: bytes
    headers: Headers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it lies in a stream."""

    sequence: int
    subject: str
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Told:
    """An outcome, whose it is, and where it goes."""

    answer: Answer
    sender: Address
    to: str = ""  # an inbox, besides the principal's own subject
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """That a message could not be handled, and why; `key` is its dead letter's, `msg_id` of this one time."""

    key: UUID
    msg_id: str
    reason: str
    workspace: WorkspaceId
    subject: str
    headers: Headers
