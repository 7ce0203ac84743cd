"""A delivery: one recipient of one job. Its stream begins when the recipient is acted on, and holds the send's proof.

A send is three steps: an intent is appended, then somebody acts, then the outcome is appended. An intent without an
outcome means that nobody knows: it becomes SendUnknown, and is never acted on again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from domain import account as accounts
from domain import job as jobs
from domain import recipient as recipients
from domain.message import Command, Decider, Event, Facts, Refused, StreamId, WaId, WorkspaceId
from domain.send import (
    ConfirmSend,
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    DoubtSend,
    IntendSend,
    Receipt,
    RejectSend,
    ReportReceipt,
    SendConfirmed,
    SendIntended,
    SendRejected,
    SendUnknown,
    SkipReason,
    wa_id,
)


class Status(StrEnum):
    """Where a delivery stands; `sent` means that every part was confirmed."""

    PENDING = "pending"
    INTENDED = "intended"
    BETWEEN = "between"  # a part was confirmed, the next one not yet intended
    SENT = "sent"
    FAILED = "failed"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


# Where the part in question has not left: not yet intended, or known not to have been sent.
NOT_SENT = (Status.BETWEEN, Status.FAILED, Status.PARTIAL)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What decisions about a delivery need."""

    status: Status = Status.PENDING
    job_id: UUID | None = None
    part: int = 0  # the part intended, or to be intended next
    parts: int = 0
    attempt: int = 0
    wa_id: WaId | None = None
    delivered: frozenset[int] = frozenset()
    read: frozenset[int] = frozenset()


def decide(delivery: Delivery, command: Command, facts: Facts) -> Sequence[Event]:
    if isinstance(command, IntendSend):
        return intend(delivery, command, facts)
    if delivery.job_id is None or delivery.wa_id is None:
        raise Refused("never_intended", field="delivery_id")
    job_id, attempt, sent_as = delivery.job_id, delivery.attempt, delivery.wa_id
    final = delivery.part + 1 == delivery.parts
    match command:
        case ConfirmSend(part=part):
            if is_past(delivery, part):
                return []
            open_part(delivery, part)
            return [SendConfirmed(job_id, part, attempt, sent_as, final)]
        case RejectSend(part=part, reason=reason):
            open_part(delivery, part)
            return [SendRejected(job_id, part, attempt, sent_as, reason)]
        case DoubtSend(part=part, reason=doubt):
            if is_past(delivery, part) or delivery.status is Status.UNKNOWN:
                return []
            open_part(delivery, part)
            return [SendUnknown(job_id, part, attempt, sent_as, doubt)]
        case ReportReceipt():
            return receipt(delivery, command, final)
    raise TypeError(type(command))


def intend(delivery: Delivery, command: IntendSend, facts: Facts) -> Sequence[Event]:
    """The last look before an act: is the job running, does the person still agree, may the account send?"""
    job = facts.state(jobs.DECIDER.stream(command.job_id), jobs.DECIDER.initial)
    person = facts.state(recipients.DECIDER.stream(command.recipient_id), recipients.DECIDER.initial)
    account = facts.state(accounts.DECIDER.stream(command.account_id), accounts.DECIDER.initial)
    if delivery.status not in (Status.PENDING, Status.BETWEEN) or command.part != delivery.part:
        raise Refused("already_acted_on", field="delivery_id", status=delivery.status)
    if job.status is not jobs.Status.RUNNING:
        raise Refused("job_not_running", field="job_id", status=job.status)
    if not person.consented:
        reason = SkipReason.OPTED_OUT if person.opted_out else SkipReason.NO_CONSENT
        return [
            DeliverySkipped(
                command.job_id, command.recipient_id, command.account_id, command.ordinal, command.part, reason
            )
        ]
    if not account.may_send or account.block is None:
        raise Refused("account_not_ready", field="account_id", status=account.status)
    if account.until is None or facts.now >= account.until:
        raise Refused("allowance_over", field="account_id")
    return [
        SendIntended(
            job_id=command.job_id,
            recipient_id=command.recipient_id,
            account_id=command.account_id,
            ordinal=command.ordinal,
            part=command.part,
            parts=len(job.parts),
            attempt=1,
            wa_id=wa_id(command.delivery_id, command.part),
            fence=command.fence,
            block=account.block,
        )
    ]


def is_past(delivery: Delivery, part: int) -> bool:
    """Whether this part was confirmed already."""
    return part < delivery.part or delivery.status is Status.SENT


def open_part(delivery: Delivery, part: int) -> None:
    """Refuse an outcome for a part that has no open intent."""
    if delivery.status not in (Status.INTENDED, Status.UNKNOWN) or part != delivery.part:
        raise Refused("no_open_intent", field="part", status=delivery.status)


def receipt(delivery: Delivery, command: ReportReceipt, final: bool) -> Sequence[Event]:
    """A receipt proves the send: it also confirms what was open or unknown."""
    assert delivery.job_id is not None
    assert delivery.wa_id is not None
    part, events = command.part, list[Event]()
    if part > delivery.part or (part == delivery.part and delivery.status in NOT_SENT):
        raise Refused("not_sent", field="part", status=delivery.status)
    if part == delivery.part and delivery.status in (Status.INTENDED, Status.UNKNOWN):
        events.append(SendConfirmed(delivery.job_id, part, delivery.attempt, delivery.wa_id, final))
    last = part + 1 == delivery.parts
    if command.receipt is not Receipt.SENT and part not in delivery.delivered:
        events.append(DeliveryDelivered(delivery.job_id, part, last))
    if command.receipt is Receipt.READ and part not in delivery.read:
        events.append(DeliveryRead(delivery.job_id, part, last))
    return events


def evolve(delivery: Delivery, event: Event) -> Delivery:
    match event:
        case SendIntended(job_id=job_id, part=part, parts=parts, attempt=attempt, wa_id=sent_as):
            return replace(
                delivery,
                status=Status.INTENDED,
                job_id=job_id,
                part=part,
                parts=parts,
                attempt=attempt,
                wa_id=sent_as,
            )
        case SendConfirmed(part=part, final=final):
            if final:
                return replace(delivery, status=Status.SENT)
            return replace(delivery, status=Status.BETWEEN, part=part + 1)
        case SendRejected(part=part):
            return replace(delivery, status=Status.PARTIAL if part else Status.FAILED)
        case SendUnknown():
            return replace(delivery, status=Status.UNKNOWN)
        case DeliverySkipped(job_id=job_id, part=part):
            return replace(delivery, status=Status.PARTIAL if part else Status.SKIPPED, job_id=job_id)
        case DeliveryDelivered(part=part):
            return replace(delivery, delivered=delivery.delivered | {part})
        case DeliveryRead(part=part):
            return replace(delivery, read=delivery.read | {part})
    return delivery


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    if not isinstance(command, IntendSend):
        return ()
    return (
        jobs.DECIDER.stream(command.job_id),
        recipients.DECIDER.stream(command.recipient_id),
        accounts.DECIDER.stream(command.account_id),
    )


DECIDER = Decider("delivery", Delivery(), decide, evolve, reads)
