"""A job: submitted, reviewed by another, started, paused, stopped, completed."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from domain.account import AccountPaused, AccountRemoved, AccountUnlinked, Trouble
from domain.account import Status as AccountStatus
from domain.campaign import CampaignArchived, CampaignCreated, CampaignRevised
from domain.job import (
    ApproveJob,
    CompleteJob,
    ExpireJob,
    JobApprovalGiven,
    JobApproved,
    JobChangesRequested,
    JobCompleted,
    JobExpired,
    JobFlagged,
    JobPaused,
    JobRejected,
    JobResumed,
    JobScheduled,
    JobStarted,
    JobStopped,
    PauseJob,
    RejectJob,
    RequestChanges,
    ResumeJob,
    StartDueJob,
    StartJob,
    Status,
    StopJob,
    WithdrawApproval,
)
from domain.lifecycle import IN_REVIEW, WAITING
from domain.message import Actor, Command, Event, Frozen
from domain.moderation import Flag
from domain.schedule import LONGEST_LEAD
from domain.submission import JobSubmitted, ReviseJob, SubmitJob
from domain.workspace import ModerationPolicySet, SendingPolicySet
from tests.builders import (
    AUTHOR,
    BYE,
    CAMPAIGN,
    CAMPAIGN_CREATED,
    CAMPAIGN_STREAM,
    CREATED,
    DAY,
    EDITOR,
    FROZEN,
    HELLO,
    JOB,
    JOB_STREAM,
    MINUTE,
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
    SOUTH,
    SOUTH_STREAM,
    SYSTEM,
    TITLE,
    a_digest,
    a_ref,
    an_id,
    running,
    stream,
    submitted,
)
from tests.given import Given

SUBMIT = SubmitJob(JOB, CAMPAIGN, (NORTH,))
IN_SHAPE = (
    Given(frozen=FROZEN)
    .on(RULES_STREAM, CREATED)
    .on(CAMPAIGN_STREAM, CAMPAIGN_CREATED)
    .on(NORTH_STREAM, *READY)
    .on(SOUTH_STREAM, *READY[:2])
)
SEEN = submitted().review_hash
APPROVE, REJECT = ApproveJob(JOB, SEEN), RejectJob(JOB, SEEN, a_ref("note"))


def a_job(*events: Event) -> Given:
    return Given().on(JOB_STREAM, *events)


SUBMITTED = a_job(submitted())
FLAGGED = SUBMITTED.on(JOB_STREAM, JobFlagged((Flag.LINK,), 2))
CHANGES = SUBMITTED.on(JOB_STREAM, JobChangesRequested(MODERATOR.id, SEEN, a_ref("note")))
EXPIRED = SUBMITTED.on(JOB_STREAM, JobExpired())
APPROVED = a_job(*running()[:3])
SCHEDULED = APPROVED.on(JOB_STREAM, JobScheduled(NOW + DAY))
RUNNING = a_job(*running())
PAUSED = RUNNING.on(JOB_STREAM, JobPaused())
STOPPED = RUNNING.on(JOB_STREAM, JobStopped())
COMPLETED = RUNNING.on(JOB_STREAM, JobCompleted(3))
REJECTED = SUBMITTED.on(JOB_STREAM, JobRejected(MODERATOR.id, SEEN, None))
EACH = {
    Status.SUBMITTED: SUBMITTED,
    Status.FLAGGED: FLAGGED,
    Status.CHANGES_REQUESTED: CHANGES,
    Status.EXPIRED: EXPIRED,
    Status.APPROVED: APPROVED,
    Status.SCHEDULED: SCHEDULED,
    Status.RUNNING: RUNNING,
    Status.PAUSED: PAUSED,
    Status.STOPPED: STOPPED,
    Status.COMPLETED: COMPLETED,
    Status.REJECTED: REJECTED,
}


def test_each_status_is_what_its_history_leads_to() -> None:
    assert {status: given.state(JOB_STREAM).status for status, given in EACH.items()} == {
        status: status for status in EACH
    }
    assert EACH.keys() | {Status.UNKNOWN} == set(Status)


# --- submitting ------------------------------------------------------------------------------------------------------


def test_a_submission_freezes_everything_a_reviewer_sees() -> None:
    IN_SHAPE.when(SUBMIT).then(submitted())


def test_it_takes_the_campaigns_newest_version_and_the_rules_of_the_day() -> None:
    given = (
        IN_SHAPE.on(CAMPAIGN_STREAM, CampaignRevised(TITLE, (HELLO, BYE), CAMPAIGN_CREATED.audience_id))
        .on(RULES_STREAM, ModerationPolicySet(2, own_approval=True))
        .on(RULES_STREAM, SendingPolicySet(20, 60))
    )
    expected = submitted(parts=(HELLO, BYE), campaign_version=2, approvals=2, own_approval=True, pace=(20, 60))
    given.when(SUBMIT).then(expected)


def test_accounts_that_are_linked_will_do_ready_or_not() -> None:
    command = replace(SUBMIT, accounts=(SOUTH, NORTH))
    IN_SHAPE.when(command).then(submitted(accounts=(SOUTH, NORTH)))


def test_a_start_lies_ahead_and_names_its_offset() -> None:
    IN_SHAPE.when(replace(SUBMIT, start_at=NOW + SECOND)).then(submitted(start_at=NOW + SECOND))
    for past in (NOW, NOW - DAY):
        IN_SHAPE.when(replace(SUBMIT, start_at=past)).then_refused("in_the_past", "start_at")
    naive = (NOW + DAY).replace(tzinfo=None)
    IN_SHAPE.when(replace(SUBMIT, start_at=naive)).then_refused("no_time_zone", "start_at")


@pytest.mark.parametrize("offset", [-14, 0, 14])
def test_a_start_lies_ten_years_ahead_at_most(offset: int) -> None:
    last = NOW + LONGEST_LEAD
    IN_SHAPE.when(replace(SUBMIT, start_at=last)).then(submitted(start_at=last))
    for far in (last + SECOND, datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=offset)))):
        IN_SHAPE.when(replace(SUBMIT, start_at=far)).then_refused("too_far_ahead", "start_at", days=3_653)


def test_an_id_is_taken_once() -> None:
    IN_SHAPE.on(JOB_STREAM, submitted()).when(SUBMIT).then_refused("id_taken", "job_id")


def test_the_campaign_exists_is_open_and_has_an_audience() -> None:
    unknown = replace(SUBMIT, campaign_id=an_id("another campaign"))
    IN_SHAPE.when(unknown).then_refused("unknown_campaign", "campaign_id")
    IN_SHAPE.on(CAMPAIGN_STREAM, CampaignArchived()).when(SUBMIT).then_refused("archived", "campaign_id")
    nobody = Given(frozen=FROZEN).on(RULES_STREAM, CREATED).on(CAMPAIGN_STREAM, CampaignCreated(TITLE, (HELLO,), None))
    nobody.when(SUBMIT).then_refused("no_audience", "campaign_id")


@pytest.mark.parametrize("frozen", [None, Frozen(ROOT, 0)])
def test_somebody_is_in_the_audience(frozen: Frozen | None) -> None:
    IN_SHAPE.vault(frozen=frozen).when(SUBMIT).then_refused("empty_audience", "campaign_id")


def test_a_variable_that_recipients_lack_is_named_with_their_count() -> None:
    given = IN_SHAPE.vault(frozen=Frozen(ROOT, 3, {"shop": 3, "city": 2}))
    given.when(SUBMIT).then_refused("variable_missing", "campaign_id", variable="city", recipients=2)


@pytest.mark.parametrize(
    ("accounts", "rule", "field", "detail"),
    [
        ((), "empty", "accounts", {}),
        (tuple(an_id(str(number)) for number in range(51)), "too_many", "accounts", {"maximum": 50}),
        ((NORTH, SOUTH, NORTH), "repeated", "accounts", {}),
        ((NORTH, an_id("another account")), "unknown_account", "accounts.1", {}),
    ],
)
def test_accounts_are_one_to_fifty_different_known_ones(
    accounts: tuple[UUID, ...], rule: str, field: str, detail: dict[str, int]
) -> None:
    IN_SHAPE.when(replace(SUBMIT, accounts=accounts)).then_refused(rule, field, **detail)


def test_fifty_accounts_are_allowed() -> None:
    given, chosen = IN_SHAPE, tuple(an_id(str(number)) for number in range(50))
    for account_id in chosen:
        given = given.on(stream("account", account_id), *READY)
    given.when(replace(SUBMIT, accounts=chosen)).then(submitted(accounts=chosen))


@pytest.mark.parametrize(
    ("events", "status"),
    [
        (READY[:1], AccountStatus.REGISTERED),
        ((*READY, AccountUnlinked(Trouble.LOGGED_OUT)), AccountStatus.LOGGED_OUT),
    ],
)
def test_an_unlinked_account_cannot_be_chosen(events: tuple[Event, ...], status: AccountStatus) -> None:
    given = IN_SHAPE.on(stream("account", an_id("unlinked")), *events)
    command = replace(SUBMIT, accounts=(NORTH, an_id("unlinked")))
    given.when(command).then_refused("account_not_linked", "accounts.1", status=status)


def test_a_removed_account_cannot_be_chosen() -> None:
    given = IN_SHAPE.on(stream("account", an_id("removed")), *READY, AccountPaused(), AccountRemoved())
    command = replace(SUBMIT, accounts=(NORTH, an_id("removed")))
    given.when(command).then_refused("account_removed", "accounts.1")


def test_there_are_no_jobs_without_a_workspace() -> None:
    Given(frozen=FROZEN).when(SUBMIT).then_refused("unknown_workspace", "workspace")


# --- review ----------------------------------------------------------------------------------------------------------


def test_one_approval_by_another_approves() -> None:
    SUBMITTED.when(APPROVE, by=MODERATOR).then(JobApprovalGiven(MODERATOR.id, SEEN), JobApproved(SEEN))


def test_the_same_moderator_again_changes_nothing_whatever_happened_since() -> None:
    for given in (APPROVED, SCHEDULED, RUNNING, PAUSED, STOPPED, COMPLETED):
        given.when(APPROVE, by=MODERATOR).then_nothing()


def test_two_approvals_come_from_two_moderators() -> None:
    one = a_job(submitted(approvals=2)).when(APPROVE, by=MODERATOR).then(JobApprovalGiven(MODERATOR.id, SEEN))
    one.when(APPROVE, by=MODERATOR).then_nothing()
    both = one.when(APPROVE, by=SECOND_MODERATOR)
    both.then(JobApprovalGiven(SECOND_MODERATOR.id, SEEN), JobApproved(SEEN))


@pytest.mark.parametrize("command", [APPROVE, REJECT])
def test_the_submitter_does_not_answer_for_his_own_job(command: Command) -> None:
    a_job(submitted(by=EDITOR)).when(command, by=EDITOR).then_refused("own_job", "actor")


def test_unless_the_policy_lets_his_answer_count() -> None:
    given = a_job(submitted(by=EDITOR, own_approval=True))
    given.when(APPROVE, by=EDITOR).then(JobApprovalGiven(EDITOR.id, SEEN), JobApproved(SEEN))
    given.when(REJECT, by=EDITOR).then(JobRejected(EDITOR.id, SEEN, REJECT.note))


@pytest.mark.parametrize("given", EACH.values(), ids=EACH)
@pytest.mark.parametrize("command", [APPROVE, REJECT])
@pytest.mark.parametrize("by", [AUTHOR, MODERATOR, SECOND_MODERATOR])
def test_an_answer_to_anything_else_than_what_was_shown_is_refused(
    given: Given, command: ApproveJob | RejectJob, by: Actor
) -> None:
    other = replace(command, review_hash=a_digest("something else"))
    given.when(other, by=by).then_refused("not_what_was_reviewed", "review_hash")


@pytest.mark.parametrize("command", [APPROVE, REJECT])
@pytest.mark.parametrize("status", [one for one in EACH if one not in (*IN_REVIEW, Status.EXPIRED)])
def test_a_job_answered_by_others_takes_no_more_answers(command: Command, status: Status) -> None:
    outcome = EACH[status].when(command, by=SECOND_MODERATOR)
    outcome.then_refused("not_awaiting_review", "job_id", status=status)


@pytest.mark.parametrize(
    ("start_at", "approved_at", "scheduled"),
    [(NOW + DAY, NOW, True), (NOW + MINUTE, NOW + MINUTE, False), (NOW + MINUTE, NOW + DAY, False)],
)
def test_a_start_that_still_lies_ahead_is_scheduled(start_at: datetime, approved_at: datetime, scheduled: bool) -> None:
    begun = submitted(start_at=start_at)
    outcome = a_job(begun).when(ApproveJob(JOB, begun.review_hash), by=MODERATOR, at=approved_at)
    assert outcome.events[-1] == (JobScheduled(start_at) if scheduled else JobApproved(begun.review_hash))
    assert len(outcome.events) == 2 + scheduled


def test_a_rejection_repeated_by_the_same_moderator_changes_nothing() -> None:
    after = SUBMITTED.when(REJECT, by=MODERATOR).then(JobRejected(MODERATOR.id, SEEN, REJECT.note))
    after.when(REJECT, by=MODERATOR).then_nothing()


def test_a_rejection_is_for_good_and_keeps_its_note() -> None:
    after = SUBMITTED.when(REJECT, by=MODERATOR).then(JobRejected(MODERATOR.id, SEEN, REJECT.note))
    for command in (APPROVE, StartJob(JOB), PauseJob(JOB), ResumeJob(JOB), StopJob(JOB), CompleteJob(JOB, 3)):
        assert after.when(command, by=MODERATOR).refusal is not None


# --- running ---------------------------------------------------------------------------------------------------------

STEPS: list[tuple[Command, tuple[Status, ...], tuple[Status, ...], Event, str]] = [
    (StartJob(JOB), (Status.APPROVED, Status.SCHEDULED), (Status.RUNNING,), JobStarted(), "not_approved"),
    (PauseJob(JOB), (Status.RUNNING,), (Status.PAUSED,), JobPaused(), "not_running"),
    (ResumeJob(JOB), (Status.PAUSED,), (Status.RUNNING,), JobResumed(), "not_paused"),
    (
        StopJob(JOB),
        (*WAITING, Status.RUNNING, Status.PAUSED),
        (Status.STOPPED,),
        JobStopped(),
        "already_over",
    ),
    (CompleteJob(JOB, 3), (Status.RUNNING, Status.PAUSED), (Status.COMPLETED,), JobCompleted(3), "not_running"),
]


@pytest.mark.parametrize("status", EACH)
@pytest.mark.parametrize(
    ("command", "allowed", "already", "event", "rule"), STEPS, ids=lambda value: type(value).__name__
)
def test_what_each_status_allows(
    status: Status,
    command: Command,
    allowed: tuple[Status, ...],
    already: tuple[Status, ...],
    event: Event,
    rule: str,
) -> None:
    outcome = EACH[status].when(command, by=OPERATOR)
    if status in allowed:
        outcome.then(event).when(command, by=OPERATOR).then_nothing()
    elif status in already:
        outcome.then_nothing()
    elif status is Status.EXPIRED:
        outcome.then_refused("expired", "job_id")
    else:
        outcome.then_refused(rule, "job_id", status=status)


@pytest.mark.parametrize("terminal", [0, 2, 4])
def test_a_job_completes_only_when_each_recipient_is_terminal(terminal: int) -> None:
    outcome = RUNNING.when(CompleteJob(JOB, terminal), by=SYSTEM)
    outcome.then_refused("not_all_terminal", "terminal", recipients=3)


@pytest.mark.parametrize(
    "command",
    [
        APPROVE,
        REJECT,
        RequestChanges(JOB, SEEN, a_ref("note")),
        WithdrawApproval(JOB),
        ReviseJob(JOB, (NORTH,)),
        StartJob(JOB),
        PauseJob(JOB),
        ResumeJob(JOB),
        StopJob(JOB),
        CompleteJob(JOB, 0),
        ExpireJob(JOB, 1),
        StartDueJob(JOB, 1, (NORTH,)),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_happens_to_a_job_that_nobody_submitted(command: Command) -> None:
    Given().when(command, by=MODERATOR).then_refused("unknown_job", "job_id")


def test_a_jobs_own_policy_is_the_one_it_was_submitted_under() -> None:
    begun: JobSubmitted = submitted(approvals=2)
    given = a_job(begun).on(RULES_STREAM, CREATED)
    given.when(ApproveJob(JOB, begun.review_hash), by=MODERATOR).then(JobApprovalGiven(MODERATOR.id, SEEN))
