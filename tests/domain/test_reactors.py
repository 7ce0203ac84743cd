"""What follows from an event by itself: the table of rules."""

from datetime import datetime, timedelta

import pytest

from domain import catalog
from domain.account import AccountReady, AccountResumed
from domain.job import (
    Deferral,
    ExpireJob,
    JobApprovalGiven,
    JobApproved,
    JobScheduled,
    JobStartDeferred,
    StartDueJob,
)
from domain.message import Command, Event
from domain.reactors import DECISIONS, REACTIONS, Due, Kind, Moment, Reaction
from domain.run import CompleteJob
from domain.schedule import LocalStart, ZoneName
from domain.send import Doubt, GiveUpSend, SendUnknown, wa_id
from tests.builders import DAY, DELIVERY, JOB, MINUTE, MODERATOR, NORTH, NOW, a_digest, revised, submitted

SEEN = a_digest("seen")
GIVEN, APPROVED = JobApprovalGiven(MODERATOR.id, SEEN), JobApproved(SEEN)
SCHEDULED = JobScheduled(NOW + DAY, datetime(2026, 11, 22, 13), ZoneName("Europe/Berlin"))  # noqa: DTZ001  # a local time
PATIENCE = timedelta(hours=3)


def dues(*events: Event) -> list[tuple[str, Kind, Due]]:
    """What one decision's events ask for by themselves."""
    moment = Moment(NOW, events, PATIENCE)
    asked = [
        (one.rule, one.kind, one.due(event, moment))
        for event in events
        for one in REACTIONS
        if type(event) in one.on and one.due
    ]
    return [(rule, kind, due) for rule, kind, due in asked if due is not None]


def test_an_approved_job_starts_at_once_unless_it_is_scheduled() -> None:
    assert dues(GIVEN, APPROVED) == [("start-when-approved", Kind.START, Due(NOW))]
    assert dues(GIVEN) == []


def test_a_scheduled_job_starts_at_its_time_which_keeps_its_zone() -> None:
    due = Due(NOW + DAY, SCHEDULED.start_local, SCHEDULED.zone)
    assert dues(GIVEN, APPROVED, SCHEDULED) == [("start-when-scheduled", Kind.START, due)]


def test_a_deferred_start_is_tried_again_then() -> None:
    deferred = JobStartDeferred(Deferral.NO_ACCOUNT_READY, NOW + MINUTE)
    assert dues(deferred) == [("start-again", Kind.START_AGAIN, Due(NOW + MINUTE))]


def test_what_is_submitted_or_revised_expires_in_time_but_jobs_of_old_do_not() -> None:
    begun = submitted(start_at=NOW + DAY, start=LocalStart(NOW, ZoneName("UTC")))
    assert dues(begun) == [("expire-in-time", Kind.EXPIRE, Due(NOW + 2 * DAY))]
    assert dues(revised()) == [("expire-in-time", Kind.EXPIRE, Due(NOW + 30 * DAY))]
    before_there_was_one = {field: getattr(begun, field) for field in begun.__slots__ if field != "expires_at"}
    assert dues(type(begun)(**before_there_was_one)) == []


def test_an_unknown_send_is_given_up_after_a_while_and_only_that_part() -> None:
    unknown = SendUnknown(JOB, 2, 1, wa_id(DELIVERY, 2), Doubt.DEADLINE)
    assert dues(unknown) == [("give-up-unknown", Kind.GIVE_UP, Due(NOW + PATIENCE, serves=2))]


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (Kind.START, StartDueJob(JOB, 4, (NORTH,))),
        (Kind.START_AGAIN, StartDueJob(JOB, 4, (NORTH,))),
        (Kind.EXPIRE, ExpireJob(JOB, 4)),
        (Kind.COMPLETE, CompleteJob(JOB, 4)),
        (Kind.GIVE_UP, GiveUpSend(JOB, 4)),
    ],
)
def test_each_kind_is_one_decision_about_its_subject(kind: Kind, command: Command) -> None:
    assert DECISIONS[kind](JOB, 4, [NORTH]) == command


def test_every_kind_has_a_rule_and_a_decision_of_the_catalog() -> None:
    assert {one.kind for one in REACTIONS} == set(Kind) == set(DECISIONS)
    assert {type(make(JOB, 1, [])) for make in DECISIONS.values()} <= set(catalog.DECISIONS)


@pytest.mark.parametrize("reaction", REACTIONS, ids=lambda reaction: reaction.rule)
def test_a_rule_has_a_name_of_its_own_and_events_of_the_catalog(reaction: Reaction) -> None:
    assert [one.rule for one in REACTIONS].count(reaction.rule) == 1
    assert set(reaction.on) <= set(catalog.EVENTS.values())


def test_what_the_tables_tell_is_readiness_and_that_all_is_over() -> None:
    by_tables = {one.rule: one.on for one in REACTIONS if one.due is None}
    assert by_tables["start-when-ready"] == (AccountReady, AccountResumed)
    assert by_tables.keys() == {"start-when-ready", "complete-when-over"}
