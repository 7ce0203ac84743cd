"""The words of a send: its ids, the steps that are asked for, and what each step leaves in the log."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from domain.message import Command, Event, WaId, derive


class SkipReason(StrEnum):
    """Why a recipient gets no message although the job runs."""

    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"


class Rejection(StrEnum):
    """Why a send definitely did not happen."""

    NOT_ON_WHATSAPP = "not_on_whatsapp"
    REFUSED = "refused"
    TOO_LONG = "too_long"
    UNRENDERABLE = "unrenderable"
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
class SendIntended(Event):
    """From here on a message may be on its way. `fence` is the lease's, `block` the allowance it was spent from."""

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


@dataclass(frozen=True, slots=True)
class SendConfirmed(Event):
    """WhatsApp's server has the message; `final` when it was the last part."""

    job_id: UUID
    part: int
    attempt: int
    wa_id: WaId
    final: bool


@dataclass(frozen=True, slots=True)
class SendRejected(Event):
    """The send did not happen; the delivery is over: failed, or partial when an earlier part had been sent."""

    job_id: UUID
    part: int
    attempt: int
    wa_id: WaId
    reason: Rejection


@dataclass(frozen=True, slots=True)
class SendUnknown(Event):
    """Nobody can tell; a late receipt may still resolve it."""

    job_id: UUID
    part: int
    attempt: int
    wa_id: WaId
    reason: Doubt


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
