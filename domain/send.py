"""The words of a send: its ids, the steps that are asked for, and what each step leaves in the log."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.message import Command, Digest, Event, Ref, WaId, derive


class SkipReason(StrEnum):
    """Why a recipient gets no message although the job runs."""

    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"
    ERASED = "erased"


class Rejection(StrEnum):
    """Why a send definitely did not happen."""

    NOT_ON_WHATSAPP = "not_on_whatsapp"
    REFUSED = "refused"
    TOO_LONG = "too_long"
    UNRENDERABLE = "unrenderable"
    MEDIA_GONE = "media_gone"
    NOT_READY = "not_ready"


class Doubt(StrEnum):
    """Why nobody can tell whether a send happened."""

    DEADLINE = "deadline"
    BROWSER_GONE = "browser_gone"
    RESTARTED = "restarted"
    DUPLICATE_ID = "duplicate_id"
    OTHER = "other"


class Receipt(StrEnum):
    """What a phone said of a message."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


class Resolution(StrEnum):
    """What an unknown send is taken for."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    GIVEN_UP = "given_up"


class Finding(StrEnum):
    """What a person found out about an unknown send."""

    SENT = "sent"
    NOT_SENT = "not_sent"


RETRIED = frozenset({Rejection.NOT_READY})  # of the session, not of the message: it may be tried again
MOST_TRIES = 5


def delivery_id(job_id: UUID, recipient_id: UUID) -> UUID:
    """A recipient has one delivery a job, whoever asks and how often."""
    return derive("delivery", job_id, recipient_id)


def wa_id(delivery: UUID, part: int) -> WaId:
    """The message id given to WhatsApp: fixed by the delivery and the part, so that no repeat can have another."""
    return WaId("3EB0" + hashlib.sha256(f"{delivery}|{part}".encode()).hexdigest()[:18].upper())


@dataclass(frozen=True, slots=True)
class IntendSend(Command):
    """Inside: the holder of the account's lease wants to send the next part now."""

    delivery_id: UUID
    job_id: UUID
    recipient_id: UUID
    account_id: UUID
    ordinal: int
    part: int
    fence: int
    audience: Digest | None = None  # whose row it was read from: a revised job has another


@dataclass(frozen=True, slots=True)
class ConfirmSend(Command):
    """Inside: WhatsApp's server acknowledged the message."""

    delivery_id: UUID
    part: int


@dataclass(frozen=True, slots=True)
class RejectSend(Command):
    """Inside: the send definitely did not happen."""

    delivery_id: UUID
    part: int
    reason: Rejection


@dataclass(frozen=True, slots=True)
class DoubtSend(Command):
    """Inside: nobody can tell whether the send happened."""

    delivery_id: UUID
    part: int
    reason: Doubt


@dataclass(frozen=True, slots=True)
class ReportReceipt(Command):
    """Inside: a receipt came for one of our messages, perhaps late."""

    delivery_id: UUID
    part: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class ResolveUnknown(Command):
    """Say what became of a send that nobody could tell: of this part, counted from 0, or else of the one in doubt."""

    delivery_id: UUID
    outcome: Finding
    part: int | None = None
    note: Ref | None = None


@dataclass(frozen=True, slots=True)
class GiveUpSend(Command):
    """Inside: an unknown send was waited for long enough."""

    delivery_id: UUID
    part: int


@dataclass(frozen=True, slots=True)
class SendIntended(Event):
    """From here on a message may be on its way. `fence` is the lease's, `block` the allowance it was spent from,
    `pause` how many seconds the part after it then has to wait."""

    job_id: UUID
    recipient_id: UUID
    account_id: UUID
    ordinal: int
    part: int
    parts: int
    attempt: int
    wa_id: WaId
    fence: int
    block: UUID
    pause: int = 0


@dataclass(frozen=True, slots=True)
class SendConfirmed(Event):
    """WhatsApp's server has the message; `final` when it was the last part, else the next one is for `not_before`."""

    job_id: UUID
    part: int
    attempt: int
    wa_id: WaId
    final: bool
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendRejected(Event):
    """The send did not happen. `final`: the delivery is over, failed, or partial when an earlier part had been sent;
    else the part may be intended again."""

    job_id: UUID
    part: int
    attempt: int
    wa_id: WaId
    reason: Rejection
    final: bool = True


@dataclass(frozen=True, slots=True)
class SendUnknown(Event):
    """Nobody can tell; a late receipt may still resolve it."""

    job_id: UUID
    part: int
    attempt: int
    wa_id: WaId
    reason: Doubt


@dataclass(frozen=True, slots=True)
class SendResolved(Event):
    """What an unknown send is taken for from now on. `final`: the delivery is over, as it stays when a late receipt
    shows that what was given up, or held for not sent, was sent."""

    job_id: UUID
    part: int
    attempt: int
    wa_id: WaId
    outcome: Resolution
    final: bool
    note: Ref | None = None


@dataclass(frozen=True, slots=True)
class DeliverySkipped(Event):
    """The recipient gets no (further) message; `part` is the first one not sent."""

    job_id: UUID
    recipient_id: UUID
    account_id: UUID
    ordinal: int
    part: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class DeliveryDelivered(Event):
    """A part reached the recipient's phone; `final` when it was the last part."""

    job_id: UUID
    part: int
    final: bool


@dataclass(frozen=True, slots=True)
class DeliveryRead(Event):
    """The recipient read a part; `final` when it was the last part."""

    job_id: UUID
    part: int
    final: bool


def terminal_step(event: Event) -> bool:
    """Whether an event takes its delivery into a terminal state, or leaves it in one.

    A delivery is terminal from the first such event on; only SendResolved may then still correct how it ended.
    """
    match event:
        case SendConfirmed(final=final) | SendRejected(final=final) | SendResolved(final=final):
            return final
        case DeliverySkipped():
            return True
    return False


def doubtful_step(event: Event) -> bool:
    """Whether an event leaves its delivery unknown: not terminal, for a receipt may still come."""
    return isinstance(event, SendUnknown)


def next_part(event: Event) -> int | None:
    """The part that may be intended next by this event, if it opens one: the next one, or the same again."""
    match event:
        case SendConfirmed(part=part, final=False) | SendResolved(part=part, final=False):
            return part + 1
        case SendRejected(part=part, final=False):
            return part
    return None
