"""Process managers: which event leads to which decision. Counting deliveries is the worker's; the rules are here."""

from collections.abc import Sequence
from uuid import UUID

from domain.job import JobApproved, JobScheduled, StartJob
from domain.message import Command, Event
from domain.send import DeliverySkipped, SendConfirmed, SendRejected, SendUnknown


def start_what_was_approved(stream_id: UUID, events: Sequence[Event]) -> Sequence[Command]:
    """Of the events of one decision: an approval without a schedule starts the job."""
    approved = any(isinstance(event, JobApproved) for event in events)
    scheduled = any(isinstance(event, JobScheduled) for event in events)
    return [StartJob(stream_id)] if approved and not scheduled else []


def terminal_step(event: Event) -> bool:
    """Whether an event takes its delivery into a terminal state. A delivery takes exactly one such event."""
    match event:
        case SendConfirmed(final=final):
            return final
        case SendRejected() | DeliverySkipped():
            return True
    return False


def doubtful_step(event: Event) -> bool:
    """Whether an event leaves its delivery unknown: not terminal, for a receipt may still come."""
    return isinstance(event, SendUnknown)
