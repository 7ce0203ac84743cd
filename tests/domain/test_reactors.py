"""What follows from an event by itself."""

from domain.job import JobApprovalGiven, JobApproved, JobScheduled, StartJob
from domain.reactors import doubtful_step, start_what_was_approved, terminal_step
from domain.send import (
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    Doubt,
    Rejection,
    SendRejected,
    SendUnknown,
    SkipReason,
    wa_id,
)
from tests.builders import ANA, DAY, DELIVERY, JOB, MODERATOR, NORTH, NOW, confirmed, intended, submitted

SEEN = submitted().review_hash
GIVEN, APPROVED = JobApprovalGiven(MODERATOR.id, SEEN), JobApproved(SEEN)
SENT_AS = wa_id(DELIVERY, 0)
UNKNOWN = SendUnknown(JOB, 0, 1, SENT_AS, Doubt.DEADLINE)


def test_an_approved_job_starts_unless_it_is_scheduled() -> None:
    assert list(start_what_was_approved(JOB, [GIVEN, APPROVED])) == [StartJob(JOB)]
    assert list(start_what_was_approved(JOB, [GIVEN, APPROVED, JobScheduled(NOW + DAY)])) == []
    assert list(start_what_was_approved(JOB, [GIVEN])) == []


def test_which_events_end_a_delivery() -> None:
    ending = [
        confirmed(),
        SendRejected(JOB, 0, 1, SENT_AS, Rejection.REFUSED),
        DeliverySkipped(JOB, ANA, NORTH, 1, 0, SkipReason.NO_CONSENT),
    ]
    others = [
        intended(),
        confirmed(final=False),
        UNKNOWN,
        DeliveryDelivered(JOB, 0, True),
        DeliveryRead(JOB, 0, True),
        APPROVED,
    ]
    assert [terminal_step(event) for event in ending] == [True] * 3
    assert [terminal_step(event) for event in others] == [False] * 6


def test_which_event_leaves_a_delivery_unknown() -> None:
    assert doubtful_step(UNKNOWN)
    assert not doubtful_step(confirmed())
