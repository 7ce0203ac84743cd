"""A delivery: one recipient of one job. Its stream begins when the recipient is acted on, and holds the send's proof.

A send is three steps: an intent is appended, then somebody acts, then the outcome is appended. An intent without an
outcome means that nobody knows: it becomes SendUnknown, and is never acted on again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain import account as accounts
from domain import job as jobs
from domain import recipient as recipients
from domain.allowance import ahead
from domain.message import Command, Decider, Event, Facts, Refused, StreamId, WaId, WorkspaceId
from domain.send import (
    MOST_TRIES,
    RETRIED,
    ConfirmSend,
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    DoubtSend,
    GiveUpSend,
    IntendSend,
    Receipt,
    RejectSend,
    ReportReceipt,
    Resolution,
    ResolveUnknown,
    SendConfirmed,
    SendIntended,
    SendRejected,
    SendResolved,
    SendUnknown,
    SkipReason,
    wa_id,
)


class Status(StrEnum):
    """Where a delivery stands; `sent` means that every part was confirmed."""

    PENDING = "pending"
    INTENDED = "intended"
    BETWEEN = "between"  # a part was confirmed, the next one not yet intended
    AGAIN = "again"  # a part is known not to have been sent, and may be intended again
    SENT = "sent"
    FAILED = "failed"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"


OPEN = (Status.PENDING, Status.BETWEEN, Status.AGAIN)  # the next part may be intended
# Where the part in question has not left: not yet intended, or known not to have been sent.
NOT_SENT = (Status.BETWEEN, Status.AGAIN, Status.FAILED, Status.PARTIAL, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What decisions about a delivery need."""

    status: Status = Status.PENDING
    job_id: UUID | None = None
    account_id: UUID | None = None  # whose the last intent was
    part: int = 0  # the part intended, or to be intended next
    parts: int = 0
    attempt: int = 0  # at that part
    pause: int = 0  # seconds between that part and the next
    not_before: datetime | None = None  # when the next part may be intended, if it has to wait
    wa_id: WaId | None = None
    resolved: Resolution | None = None  # what its last part, being unknown, was taken for
    delivered: frozenset[int] = frozenset()
    read: frozenset[int] = frozenset()

    def may_go_on(self, now: datetime) -> bool:
        """Whether its next part may be intended now."""
        return self.status in OPEN and (self.not_before is None or now >= self.not_before)


def decide(delivery: Delivery, command: Command, facts: Facts) -> Sequence[Event]:
    if isinstance(command, IntendSend):
        return intend(delivery, command, facts)
    if isinstance(command, ResolveUnknown):
        return resolve(delivery, command)
    if delivery.job_id is None or delivery.wa_id is None:
        raise Refused("never_intended", field="delivery_id")
    job_id, attempt, sent_as = delivery.job_id, delivery.attempt, delivery.wa_id
    final = delivery.part + 1 == delivery.parts
    match command:
        case ConfirmSend(part=part):
            if is_past(delivery, part):
                return []
            open_part(delivery, part)
            return [SendConfirmed(job_id, part, attempt, sent_as, final, next_time(delivery, facts))]
        case RejectSend(part=part, reason=reason):
            open_part(delivery, part)
            again = delivery.status is Status.INTENDED and reason in RETRIED and attempt < MOST_TRIES
            return [SendRejected(job_id, part, attempt, sent_as, reason, final=not again)]
        case DoubtSend(part=part, reason=doubt):
            if is_past(delivery, part) or delivery.status is Status.UNKNOWN:
                return []
            open_part(delivery, part)
            return [SendUnknown(job_id, part, attempt, sent_as, doubt)]
        case GiveUpSend(part=part):
            if delivery.status is not Status.UNKNOWN or part != delivery.part:
                return []  # it was resolved meanwhile
            return [SendResolved(job_id, part, attempt, sent_as, Resolution.GIVEN_UP, final=True)]
        case ReportReceipt():
            return receipt(delivery, command, facts)
    raise TypeError(type(command))


def intend(delivery: Delivery, command: IntendSend, facts: Facts) -> Sequence[Event]:
    """The last look before an act: is the job running, does the person still agree, may the account send?"""
    job = facts.state(jobs.DECIDER.stream(command.job_id), jobs.DECIDER.initial)
    person = facts.state(recipients.DECIDER.stream(command.recipient_id), recipients.DECIDER.initial)
    account = facts.state(accounts.DECIDER.stream(command.account_id), accounts.DECIDER.initial)
    if delivery.status not in OPEN or command.part != delivery.part:
        raise Refused("already_acted_on", field="delivery_id", status=delivery.status)
    if not delivery.may_go_on(facts.now):
        raise Refused("too_early", field="part")
    if job.status is not jobs.Status.RUNNING:
        raise Refused("job_not_running", field="job_id", status=job.status)
    if command.audience not in (None, job.audience):
        raise Refused("job_revised", field="job_id")
    if not person.consented:
        reason = SkipReason.OPTED_OUT if person.opted_out else SkipReason.NO_CONSENT
        if person.erased:
            reason = SkipReason.ERASED
        return [
            DeliverySkipped(
                command.job_id, command.recipient_id, command.account_id, command.ordinal, command.part, reason
            )
        ]
    if not account.may_send:
        raise Refused("account_not_ready", field="account_id", status=account.status)
    block, until = account.allowance.block, account.allowance.until
    if block is None or until is None or facts.now >= until or ahead(account.allowance, facts.now):
        raise Refused("allowance_over", field="account_id")
    return [
        SendIntended(
            job_id=command.job_id,
            recipient_id=command.recipient_id,
            account_id=command.account_id,
            ordinal=command.ordinal,
            part=command.part,
            parts=len(job.parts),
            attempt=delivery.attempt + 1,
            wa_id=wa_id(command.delivery_id, command.part),
            fence=command.fence,
            block=block,
            pause=job.parts[command.part + 1].delay if command.part + 1 < len(job.parts) else 0,
        )
    ]


def resolve(delivery: Delivery, command: ResolveUnknown) -> Sequence[Event]:
    """A person's word about an unknown send, or one given up. What they hold for not sent is not sent again."""
    if delivery.job_id is None:
        raise Refused("unknown_delivery", field="delivery_id")
    outcome, part = Resolution(command.outcome), delivery.part if command.part is None else command.part
    if outcome is Resolution.SENT and part < delivery.part:
        return []  # it already stands
    if part == delivery.part and delivery.resolved is outcome:
        return []  # that, too
    if delivery.wa_id is None or part != delivery.part or delivery.status not in (Status.UNKNOWN, Status.GIVEN_UP):
        raise Refused("not_unknown", field="delivery_id", status=delivery.status)
    over = delivery.status is Status.GIVEN_UP or outcome is Resolution.NOT_SENT
    final = over or part + 1 == delivery.parts
    return [SendResolved(delivery.job_id, part, delivery.attempt, delivery.wa_id, outcome, final, command.note)]


def is_past(delivery: Delivery, part: int) -> bool:
    """Whether this part was confirmed already."""
    return part < delivery.part or delivery.status is Status.SENT


def open_part(delivery: Delivery, part: int) -> None:
    """Refuse an outcome for a part that has no open intent."""
    if delivery.status not in (Status.INTENDED, Status.UNKNOWN) or part != delivery.part:
        raise Refused("no_open_intent", field="part", status=delivery.status)


def next_time(delivery: Delivery, facts: Facts) -> datetime | None:
    """Before when the part after the one that was confirmed now is not to be sent."""
    return facts.now + timedelta(seconds=delivery.pause) if delivery.pause else None


def receipt(delivery: Delivery, command: ReportReceipt, facts: Facts) -> Sequence[Event]:
    """A receipt proves the send: it also confirms what was open or unknown."""
    assert delivery.job_id is not None
    assert delivery.wa_id is not None
    part, events = command.part, list[Event]()
    final = delivery.part + 1 == delivery.parts
    corrects = part == delivery.part and delivery.resolved in (Resolution.NOT_SENT, Resolution.GIVEN_UP)
    unsent = part == delivery.part and delivery.status in NOT_SENT and delivery.resolved is not Resolution.SENT
    if part > delivery.part or (unsent and not corrects):
        raise Refused("not_sent", field="part", status=delivery.status)
    if part == delivery.part and delivery.status in (Status.INTENDED, Status.UNKNOWN):
        later = next_time(delivery, facts)
        events.append(SendConfirmed(delivery.job_id, part, delivery.attempt, delivery.wa_id, final, later))
    elif corrects:
        events.append(
            SendResolved(delivery.job_id, part, delivery.attempt, delivery.wa_id, Resolution.SENT, final=True)
        )
    last = part + 1 == delivery.parts
    if command.receipt is not Receipt.SENT and part not in delivery.delivered:
        events.append(DeliveryDelivered(delivery.job_id, part, last))
    if command.receipt is Receipt.READ and part not in delivery.read:
        events.append(DeliveryRead(delivery.job_id, part, last))
    return events


def evolve(delivery: Delivery, event: Event) -> Delivery:
    match event:
        case SendIntended():
            return replace(
                delivery,
                status=Status.INTENDED,
                job_id=event.job_id,
                account_id=event.account_id,
                part=event.part,
                parts=event.parts,
                attempt=event.attempt,
                wa_id=event.wa_id,
                pause=event.pause,
                not_before=None,
            )
        case SendConfirmed(part=part, final=final, not_before=not_before):
            return replace(sent(delivery, part, final), not_before=not_before)
        case SendRejected(part=part, final=final):
            return replace(delivery, status=not_sent(part) if final else Status.AGAIN)
        case SendUnknown():
            return replace(delivery, status=Status.UNKNOWN, resolved=None)
        case SendResolved(part=part, outcome=outcome, final=final):
            resolved = replace(delivery, resolved=outcome)
            match outcome:
                case Resolution.SENT:
                    return sent(resolved, part, final)
                case Resolution.NOT_SENT:
                    return replace(resolved, status=not_sent(part))
                case Resolution.GIVEN_UP:
                    return replace(resolved, status=Status.GIVEN_UP)
        case DeliverySkipped(job_id=job_id, part=part):
            return replace(delivery, status=Status.PARTIAL if part else Status.SKIPPED, job_id=job_id)
        case DeliveryDelivered(part=part):
            return replace(delivery, delivered=delivery.delivered | {part})
        case DeliveryRead(part=part):
            return replace(delivery, read=delivery.read | {part})
    return delivery


def sent(delivery: Delivery, part: int, final: bool) -> Delivery:
    """After a part was sent: the next one may be intended, unless the delivery is over."""
    if not final:
        return replace(delivery, status=Status.BETWEEN, part=part + 1, attempt=0, resolved=None)
    return replace(delivery, status=Status.SENT if part + 1 >= delivery.parts else Status.PARTIAL)


def not_sent(part: int) -> Status:
    """How a delivery ended whose part was not sent."""
    return Status.PARTIAL if part else Status.FAILED


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    if not isinstance(command, IntendSend):
        return ()
    return (
        jobs.DECIDER.stream(command.job_id),
        recipients.DECIDER.stream(command.recipient_id),
        accounts.DECIDER.stream(command.account_id),
    )


DECIDER = Decider("delivery", Delivery(), decide, evolve, reads)
