"""What goes over the bus and how it is refused, as plain values; and what the server's own subjects tell."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from nats.aio.msg import Msg
from nats.js.errors import APIError, ServiceUnavailableError

from adapters.cloudevents import Address, Answer, Headers
from domain.message import WorkspaceId

STORE_REFUSED = 10077  # the server's code: the stream is full, or the publisher's subject in it is
SUBJECT_FULL = "maximum messages per subject exceeded"  # its words, for nothing else tells the two apart
TOO_LARGE = 10054  # and that a message is larger than the stream takes


class CommandsFull(ServiceUnavailableError):
    """COMMANDS has no room for this command now: its giver has too many waiting. Nothing is stored; room will come."""


class CommandTooLarge(Exception):
    """COMMANDS takes no command of this size."""


def refusal(error: APIError) -> Exception:
    """What it means that COMMANDS did not take a command; of what is nobody's own doing, the server's error."""
    if error.err_code == STORE_REFUSED and error.description == SUBJECT_FULL:
        return CommandsFull(error.code, error.description, error.err_code)
    return CommandTooLarge() if error.err_code == TOO_LARGE else error


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


def sequence_of(reply: Msg) -> int:
    """The sequence in the server's acknowledgement. Raises BatchRefused."""
    answer: dict[str, Any] = orjson.loads(reply.data)
    if error := answer.get("error"):
        raise BatchRefused(int(error.get("err_code", 0)), str(error.get("description", "")))
    return int(answer["seq"])


class Delivery(NamedTuple):
    """What the server tells of a message by its reply subject: how often it has been delivered, this time included; its
    sequence in the stream; when it was stored, in nanoseconds of the server's clock; how many more there were."""

    times: int
    sequence: int
    stored: int
    behind: int


def delivery(reply: str) -> Delivery:
    """What a reply subject says. Raises ValueError where it is none of a queue's."""
    tokens = reply.split(".")
    count, sequence, _, stored, behind = tokens[4:9] if len(tokens) == 9 else tokens[6:11]
    return Delivery(int(count), int(sequence), int(stored), int(behind))


def stored_as(message: Msg) -> str:
    """What tells this message in its stream from any other, also in a stream made anew."""
    found = delivery(message.reply)
    return f"{found.sequence}-{found.stored}"
