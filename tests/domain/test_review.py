"""Approvals that are withdrawn, changes that are asked for, jobs that are flagged, and jobs that nobody answers."""

import pytest

from domain.job import (
    ApproveJob,
    ExpireJob,
    JobApprovalGiven,
    JobApprovalVoided,
    JobApproved,
    JobChangesRequested,
    JobExpired,
    JobFlagged,
    JobPaused,
    JobRejected,
    JobScheduled,
    JobStarted,
    PauseJob,
    RejectJob,
    RequestChanges,
    ResumeJob,
    StartDueJob,
    StartJob,
    Status,
    StopJob,
    Void,
    WithdrawApproval,
)
from domain.lifecycle import IN_REVIEW, WAITING
from domain.message import Command, Event, Frozen
from domain.moderation import Flag
from domain.submission import ReviseJob, SubmitJob
from domain.workspace import ModerationPolicySet
from tests.builders import (
    AUTHOR,
    CAMPAIGN,
    CAMPAIGN_CREATED,
    CAMPAIGN_STREAM,
    CREATED,
    DAY,
    EDITOR,
    JOB,
    JOB_STREAM,
    MODERATOR,
    NORTH,
    NORTH_STREAM,
    NOW,
    OPERATOR,
    READY,
    ROOT,
    RULES_STREAM,
    SECOND,
    SECOND_MODERATOR,
    SYSTEM,
    a_digest,
    a_ref,
    submitted,
)
from tests.domain.test_job import EACH
from tests.given import Given

SEEN = submitted().review_hash
GIVEN, APPROVED = JobApprovalGiven(MODERATOR.id, SEEN), JobApproved(SEEN)
CHANGE = RequestChanges(JOB, SEEN, a_ref("note"))
ASKED = JobChangesRequested(MODERATOR.id, SEEN, CHANGE.note)
FLAGGED = JobFlagged((Flag.LINK,), 2)


def a_job(*events: Event) -> Given:
    return Given().on(JOB_STREAM, *events)


# --- withdrawing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [(GIVEN, APPROVED), (GIVEN, APPROVED, JobScheduled(NOW + DAY))])
def test_an_approval_is_taken_back_before_the_start_and_the_job_awaits_review_again(history: tuple[Event, ...]) -> None:
    given = a_job(submitted(), *history)
    after = given.when(WithdrawApproval(JOB), by=MODERATOR).then(JobApprovalVoided((MODERATOR.id,), Void.WITHDRAWN))
    state = after.state(JOB_STREAM)
    assert (state.status, state.approvals, state.due) == (Status.SUBMITTED, frozenset(), 0)
    after.when(StartJob(JOB), by=OPERATOR).then_refused("not_approved", "job_id", status=Status.SUBMITTED)
    after.when(WithdrawApproval(JOB), by=MODERATOR).then_refused("nothing_to_withdraw", "actor")
    after.when(ApproveJob(JOB, SEEN), by=MODERATOR).then(GIVEN, APPROVED)  # he may think again


def test_a_withdrawn_approval_of_a_flagged_job_leaves_it_flagged() -> None:
    both = (submitted(), FLAGGED, GIVEN, JobApprovalGiven(SECOND_MODERATOR.id, SEEN), APPROVED)
    state = a_job(*both).when(WithdrawApproval(JOB), by=MODERATOR).after.state(JOB_STREAM)
    assert (state.status, state.approvals) == (Status.FLAGGED, {SECOND_MODERATOR.id})


def test_one_of_two_approvals_may_go_before_the_other_comes() -> None:
    after = a_job(submitted(approvals=2), GIVEN).when(WithdrawApproval(JOB), by=MODERATOR).after
    other = JobApprovalGiven(SECOND_MODERATOR.id, SEEN)
    after.when(ApproveJob(JOB, SEEN), by=SECOND_MODERATOR).then(other)


@pytest.mark.parametrize("given", EACH.values(), ids=EACH)
def test_who_has_given_none_takes_none_back(given: Given) -> None:
    given.when(WithdrawApproval(JOB), by=SECOND_MODERATOR).then_refused("nothing_to_withdraw", "actor")


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED, Status.STOPPED, Status.COMPLETED])
def test_after_the_start_it_is_too_late(status: Status) -> None:
    outcome = EACH[status].when(WithdrawApproval(JOB), by=MODERATOR)
    outcome.then_refused("already_started", "job_id", status=status)


# --- requesting changes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), (FLAGGED,), (FLAGGED, JobApprovalGiven(SECOND_MODERATOR.id, SEEN))])
def test_a_job_in_review_is_sent_back_with_a_note(more: tuple[Event, ...]) -> None:
    after = a_job(submitted(), *more).when(CHANGE, by=MODERATOR).then(ASKED)
    assert after.state(JOB_STREAM).status is Status.CHANGES_REQUESTED
    after.when(CHANGE, by=MODERATOR).then_nothing()
    for command in (ApproveJob(JOB, SEEN), RejectJob(JOB, SEEN), CHANGE):
        refused = after.when(command, by=EDITOR)
        refused.then_refused("not_awaiting_review", "job_id", status=Status.CHANGES_REQUESTED)


@pytest.mark.parametrize("status", [status for status in EACH if status not in (*IN_REVIEW, Status.EXPIRED)])
def test_no_other_job_is(status: Status) -> None:
    outcome = EACH[status].when(CHANGE, by=SECOND_MODERATOR)
    outcome.then_refused("not_awaiting_review", "job_id", status=status)


def test_nor_what_was_not_shown_nor_ones_own() -> None:
    other = RequestChanges(JOB, a_digest("something else"), CHANGE.note)
    a_job(submitted()).when(other, by=MODERATOR).then_refused("not_what_was_reviewed", "review_hash")
    a_job(submitted(by=EDITOR)).when(CHANGE, by=EDITOR).then_refused("own_job", "actor")


# --- flags -----------------------------------------------------------------------------------------------------------

SUBMIT = SubmitJob(JOB, CAMPAIGN, (NORTH,))


@pytest.mark.parametrize(
    ("policy", "frozen", "reasons", "needed"),
    [
        (ModerationPolicySet(1, own_approval=False), Frozen(ROOT, 9_999, links=3), (), 0),
        (ModerationPolicySet(1, False, flag_above=3), Frozen(ROOT, 3), (), 0),
        (ModerationPolicySet(1, False, flag_above=3), Frozen(ROOT, 4), (Flag.MANY_RECIPIENTS,), 2),
        (ModerationPolicySet(1, False, flag_links=True), Frozen(ROOT, 4), (), 0),
        (ModerationPolicySet(1, False, flag_links=True), Frozen(ROOT, 4, links=1), (Flag.LINK,), 2),
        (ModerationPolicySet(1, False, 3, True, 4), Frozen(ROOT, 4, links=1), tuple(Flag), 4),
        (ModerationPolicySet(5, False, 3, False, 2), Frozen(ROOT, 4, links=1), (Flag.MANY_RECIPIENTS,), 5),
    ],
)
def test_the_policy_says_what_is_flagged_and_how_many_approve_it(
    policy: ModerationPolicySet, frozen: Frozen, reasons: tuple[Flag, ...], needed: int
) -> None:
    given = Given(frozen=frozen).on(RULES_STREAM, CREATED, policy).on(CAMPAIGN_STREAM, CAMPAIGN_CREATED)
    _, *flagged = given.on(NORTH_STREAM, *READY).when(SUBMIT).events
    assert flagged == ([JobFlagged(reasons, needed)] if reasons else [])


def test_a_flagged_job_is_approved_by_two_and_never_by_its_submitter() -> None:
    given = a_job(submitted(by=EDITOR, own_approval=True), FLAGGED)
    for own in (ApproveJob(JOB, SEEN), RejectJob(JOB, SEEN), CHANGE):
        given.when(own, by=EDITOR).then_refused("own_job", "actor")
    one = given.when(ApproveJob(JOB, SEEN), by=MODERATOR).then(GIVEN)
    assert one.state(JOB_STREAM).status is Status.FLAGGED
    one.when(ApproveJob(JOB, SEEN), by=SECOND_MODERATOR).then(JobApprovalGiven(SECOND_MODERATOR.id, SEEN), APPROVED)


def test_a_flagged_job_may_be_rejected_by_one() -> None:
    a_job(submitted(), FLAGGED).when(RejectJob(JOB, SEEN), by=MODERATOR).then(JobRejected(MODERATOR.id, SEEN, None))


# --- expiry ----------------------------------------------------------------------------------------------------------

LAST = NOW + 30 * DAY


@pytest.mark.parametrize("status", WAITING)
def test_a_job_that_did_not_start_in_time_expires(status: Status) -> None:
    given = EACH[status]
    given.when(ExpireJob(JOB, 1), by=SYSTEM, at=LAST - SECOND).then_refused("not_due", "version")
    after = given.when(ExpireJob(JOB, 1), by=SYSTEM, at=LAST).then(JobExpired())
    after.when(ExpireJob(JOB, 1), by=SYSTEM, at=LAST).then_nothing()
    assert after.state(JOB_STREAM).status is Status.EXPIRED


@pytest.mark.parametrize("status", [status for status in EACH if status not in WAITING])
def test_one_that_started_or_is_over_does_not(status: Status) -> None:
    EACH[status].when(ExpireJob(JOB, 1), by=SYSTEM, at=LAST).then_nothing()


def test_the_time_of_a_former_version_expires_nothing() -> None:
    EACH[Status.SUBMITTED].when(ExpireJob(JOB, 2), by=SYSTEM, at=LAST).then_nothing()


LATE: list[Command] = [
    ApproveJob(JOB, SEEN),
    RejectJob(JOB, SEEN),
    CHANGE,
    ReviseJob(JOB, (NORTH,)),
    StartJob(JOB),
    StopJob(JOB),
]


@pytest.mark.parametrize("command", LATE, ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("given", [EACH[Status.SUBMITTED], EACH[Status.EXPIRED]], ids=["not yet said", "said"])
def test_what_comes_later_is_refused_as_expired(command: Command, given: Given) -> None:
    by = AUTHOR if isinstance(command, ReviseJob) else SECOND_MODERATOR
    given.when(command, by=by, at=LAST).then_refused("expired", "job_id")


def test_a_withdrawal_comes_too_late_then() -> None:
    given = EACH[Status.APPROVED]
    given.when(WithdrawApproval(JOB), by=MODERATOR, at=LAST).then_refused("expired", "job_id")


def test_a_late_approval_before_the_expiry_starts_at_once() -> None:
    begun = submitted(start_at=NOW + SECOND)
    approve = ApproveJob(JOB, begun.review_hash)
    late = NOW + DAY
    given, approved = JobApprovalGiven(MODERATOR.id, begun.review_hash), JobApproved(begun.review_hash)
    after = a_job(begun).when(approve, by=MODERATOR, at=late).then(given, approved)
    ready = after.on(NORTH_STREAM, *READY)
    ready.when(StartDueJob(JOB, 3, (NORTH,)), by=SYSTEM, at=late).then(JobStarted())
    a_job(begun).when(approve, by=MODERATOR, at=late + SECOND).then_refused("expired", "job_id")


# --- at most 49 events -----------------------------------------------------------------------------------------------

BACK_AND_FORTH = (GIVEN, APPROVED, JobApprovalVoided((MODERATOR.id,), Void.WITHDRAWN))


def test_a_job_ends_within_49_events_however_often_somebody_thinks_again() -> None:
    given, steps = a_job(submitted(), GIVEN, APPROVED), 0
    while (last := given.when(WithdrawApproval(JOB), by=MODERATOR)).refusal is None:
        given = last.after.when(ApproveJob(JOB, SEEN), by=MODERATOR).after
        steps += 1
    last.then_refused("too_many_steps", "job_id", maximum=49)
    assert steps > 5
    given = given.on(NORTH_STREAM, *READY).when(StartJob(JOB), by=OPERATOR).after
    while (held := given.when(PauseJob(JOB), by=OPERATOR)).events:
        assert held.events == (JobPaused(),)
        resumed = held.after.when(ResumeJob(JOB), by=OPERATOR)
        given = resumed.after
        if resumed.refusal is not None:
            resumed.then_refused("too_many_steps", "job_id", maximum=49)
            break
    end = given.when(StopJob(JOB), by=OPERATOR).after
    assert 40 < len(end.history[JOB_STREAM]) <= 49
    assert end.state(JOB_STREAM).version == len(end.history[JOB_STREAM])


def test_too_many_revisions_and_approvals_are_refused_before_the_end_is_in_danger() -> None:
    long = a_job(submitted(), *BACK_AND_FORTH * 10)
    long.when(ApproveJob(JOB, SEEN), by=MODERATOR).then_refused("too_many_steps", "job_id", maximum=49)
    long.when(CHANGE, by=MODERATOR).then_refused("too_many_steps", "job_id", maximum=49)
    world = Given(frozen=Frozen(a_digest("moved"), 3)).on(RULES_STREAM, CREATED).on(NORTH_STREAM, *READY)
    world = world.on(JOB_STREAM, *long.history[JOB_STREAM])
    world.when(ReviseJob(JOB, (NORTH,))).then_refused("too_many_steps", "job_id", maximum=49)
    long.when(RejectJob(JOB, SEEN), by=MODERATOR).then(JobRejected(MODERATOR.id, SEEN, None))
