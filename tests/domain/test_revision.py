"""A job that is revised, and what that does to its approvals, its schedule and its people."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from domain.campaign import CampaignArchived, CampaignRevised
from domain.job import (
    ApproveJob,
    JobApprovalGiven,
    JobApprovalVoided,
    JobApproved,
    JobChangesRequested,
    JobExpired,
    JobFlagged,
    JobPaused,
    JobResumed,
    JobScheduled,
    JobStarted,
    JobStopped,
    StartJob,
    Status,
    Void,
)
from domain.message import Event, Frozen
from domain.moderation import Flag
from domain.schedule import LocalStart, ZoneName
from domain.submission import CampaignVersion, JobRevised, Pace, ReviseJob
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
    MODERATOR,
    NORTH,
    NORTH_STREAM,
    NOW,
    READY,
    ROOT,
    RULES_STREAM,
    SECOND,
    SECOND_MODERATOR,
    SOUTH,
    SOUTH_STREAM,
    TITLE,
    a_digest,
    a_ref,
    an_id,
    revised,
    running,
    submitted,
)
from tests.domain.test_job import EACH
from tests.given import Given

SEEN = submitted().review_hash
MOVED = Frozen(a_digest("moved"), 3)  # the same people, on another account
WORLD = (
    Given(frozen=MOVED)
    .on(RULES_STREAM, CREATED)
    .on(CAMPAIGN_STREAM, CAMPAIGN_CREATED)
    .on(NORTH_STREAM, *READY)
    .on(SOUTH_STREAM, *READY)
)
GIVEN, APPROVED = JobApprovalGiven(MODERATOR.id, SEEN), JobApproved(SEEN)
WAITS: dict[Status, tuple[Event, ...]] = {
    Status.SUBMITTED: (submitted(),),
    Status.FLAGGED: (submitted(), JobFlagged((Flag.LINK,), 2)),
    Status.CHANGES_REQUESTED: (submitted(), JobChangesRequested(MODERATOR.id, SEEN, a_ref("note"))),
    Status.APPROVED: (submitted(), GIVEN, APPROVED),
    Status.SCHEDULED: (submitted(), GIVEN, APPROVED, JobScheduled(NOW + DAY)),
    Status.PAUSED: (*running(), JobPaused()),
}
MOVE = ReviseJob(JOB, (SOUTH,))


def a_job(*events: Event) -> Given:
    return WORLD.on(JOB_STREAM, *events)


def what_was_revised(status: Status) -> list[Event]:
    """The events of a revision: approvals given before are void."""
    approved = status in (Status.APPROVED, Status.SCHEDULED, Status.PAUSED)
    void = [JobApprovalVoided((MODERATOR.id,), Void.REVISED)] if approved else []
    return [*void, revised(accounts=(SOUTH,), frozen=MOVED)]


@pytest.mark.parametrize("status", WAITS)
def test_a_revision_is_reviewed_anew_and_voids_what_was_approved(status: Status) -> None:
    after = a_job(*WAITS[status]).when(MOVE).then(*what_was_revised(status))
    state = after.state(JOB_STREAM)
    assert (state.status, state.approvals, state.flags, state.due) == (Status.SUBMITTED, frozenset(), (), 0)
    old = after.when(ApproveJob(JOB, SEEN), by=MODERATOR)
    old.then_refused("not_what_was_reviewed", "review_hash")
    again = after.when(ApproveJob(JOB, state.review_hash), by=MODERATOR)
    again.then(JobApprovalGiven(MODERATOR.id, state.review_hash), JobApproved(state.review_hash))


@pytest.mark.parametrize("status", [status for status in WAITS if status is not Status.CHANGES_REQUESTED])
def test_the_same_revision_again_changes_nothing(status: Status) -> None:
    a_job(*WAITS[status]).when(MOVE).after.when(MOVE).then_nothing()


def test_a_requested_change_is_a_change() -> None:
    given = a_job(*WAITS[Status.CHANGES_REQUESTED]).vault(frozen=FROZEN)
    given.when(ReviseJob(JOB, (NORTH,))).then_refused("nothing_revised", "job_id")
    later = given.when(ReviseJob(JOB, (NORTH,)), at=NOW + DAY)  # what was not asked for does not change by itself
    later.then_refused("nothing_revised", "job_id")


def test_a_running_job_is_paused_first() -> None:
    a_job(*running()).when(MOVE).then_refused("pause_first", "job_id", status=Status.RUNNING)
    a_job(*running(), JobPaused(), JobResumed()).when(MOVE).then_refused("pause_first", "job_id", status="running")


@pytest.mark.parametrize("status", [Status.STOPPED, Status.COMPLETED, Status.REJECTED])
def test_a_job_that_is_over_is_not_revised(status: Status) -> None:
    given = a_job(*EACH[status].history[JOB_STREAM])
    given.when(MOVE).then_refused("already_over", "job_id", status=status)


def test_neither_is_one_that_expired_said_or_not() -> None:
    a_job(submitted(), JobExpired()).when(MOVE).then_refused("expired", "job_id")
    a_job(submitted()).when(MOVE, at=NOW + 30 * DAY).then_refused("expired", "job_id")


def test_a_paused_job_waits_for_its_new_approval_as_long_as_a_new_one() -> None:
    now = NOW + 40 * DAY
    _, made = a_job(*running(), JobPaused()).when(MOVE, at=now).events
    assert isinstance(made, JobRevised)
    assert made.expires_at == now + 30 * DAY


def test_a_job_without_a_start_waits_no_longer_for_being_revised() -> None:
    [made] = a_job(submitted()).when(MOVE, at=NOW + DAY).events
    assert made == revised(accounts=(SOUTH,), frozen=MOVED)


LOCAL = LocalStart(datetime(2026, 12, 1, 9), ZoneName("Europe/Berlin"))  # noqa: DTZ001  # a local time
AT = datetime.fromisoformat("2026-12-01T08:00Z")


def test_who_moves_only_the_accounts_leaves_the_schedule_and_the_pace() -> None:
    kept: dict[str, Any] = {"start_at": AT, "start": LOCAL, "expires_at": AT + 2 * DAY, "pace": (1, 60)}
    scheduled = (submitted(**kept), GIVEN, APPROVED, JobScheduled(AT, LOCAL.local, LOCAL.zone))
    moved = a_job(*scheduled).when(MOVE, at=NOW + DAY)
    after = moved.then(
        JobApprovalVoided((MODERATOR.id,), Void.REVISED), revised(accounts=(SOUTH,), frozen=MOVED, **kept)
    )
    shown = after.state(JOB_STREAM).review_hash
    approved = after.when(ApproveJob(JOB, shown), by=MODERATOR)
    assert approved.events[-1] == JobScheduled(AT, LOCAL.local, LOCAL.zone)
    slower = after.when(ReviseJob(JOB, pace=Pace(1, 90))).events[-1]  # the accounts stay, too
    assert slower == revised(accounts=(SOUTH,), frozen=MOVED, **kept | {"pace": (1, 90)})


def test_a_kept_schedule_may_expire_at_another_time_but_not_before_its_start() -> None:
    given = a_job(submitted(start_at=AT))
    [made] = given.when(replace(MOVE, expires_at=AT + SECOND)).events
    assert isinstance(made, JobRevised)
    assert (made.start_at, made.expires_at) == (AT, AT + SECOND)
    given.when(replace(MOVE, expires_at=AT)).then_refused("before_the_start", "expires_at")


def test_the_same_start_again_leaves_the_time_it_expires() -> None:
    given = a_job(submitted(start_at=AT, start=LOCAL, expires_at=AT + 2 * DAY)).vault(frozen=FROZEN)
    given.when(ReviseJob(JOB, start=LOCAL)).then_nothing()
    [made] = given.when(ReviseJob(JOB, start_at=AT)).events  # an instant, no local time any more
    assert isinstance(made, JobRevised)
    assert (made.start_local, made.expires_at) == (None, AT + DAY)


def test_a_schedule_is_given_up_only_by_saying_so() -> None:
    given = a_job(submitted(start_at=AT, start=LOCAL))
    [made] = given.when(replace(MOVE, at_once=True)).events
    assert isinstance(made, JobRevised)
    assert (made.start_at, made.start_local, made.zone, made.expires_at) == (None, None, None, NOW + 30 * DAY)
    given.when(replace(MOVE, at_once=True, start=LOCAL)).then_refused("both_given", "at_once")
    given.when(replace(MOVE, at_once=True, start_at=AT)).then_refused("both_given", "at_once")
    unscheduled = a_job(submitted()).when(replace(MOVE, at_once=True), at=NOW + DAY)
    unscheduled.then(revised(accounts=(SOUTH,), frozen=MOVED))


def test_once_it_has_run_its_schedule_is_used_up() -> None:
    begun = (submitted(start_at=NOW + DAY), GIVEN, APPROVED, JobScheduled(NOW + DAY), JobStarted(), JobPaused())
    *_, made = a_job(*begun).when(MOVE).events  # it was started before its time: it does not wait for it anew
    assert isinstance(made, JobRevised)
    assert (made.start_at, made.expires_at) == (None, NOW + 30 * DAY)


def test_the_schedule_is_replaced() -> None:
    scheduled = submitted(start_at=NOW + DAY)
    expected = revised(accounts=(SOUTH,), frozen=MOVED, start_at=AT, start=LOCAL)
    a_job(scheduled).when(replace(MOVE, start=LOCAL)).then(expected)
    a_job(scheduled).when(replace(MOVE, start_at=NOW)).then_refused("in_the_past", "start_at")


@pytest.mark.parametrize(
    ("pace", "rule"),
    [
        (Pace(20, 60), None),
        (Pace(1, 3), None),
        (Pace(1, 86_400), None),
        (Pace(21, 60), "faster_than_allowed"),
        (Pace(20, 59), "faster_than_allowed"),
        (Pace(1, 2), "faster_than_allowed"),
        (Pace(0, 60), "out_of_range"),
        (Pace(1, 0), "out_of_range"),
        (Pace(1, 86_401), "out_of_range"),
    ],
)
def test_the_pace_is_no_faster_than_the_workspaces(pace: Pace, rule: str | None) -> None:
    given = a_job(submitted()).on(RULES_STREAM, SendingPolicySet(20, 60))
    outcome = given.when(replace(MOVE, pace=pace))
    if rule is None:
        outcome.then(revised(accounts=(SOUTH,), frozen=MOVED, pace=(pace.messages, pace.seconds)))
    else:
        assert outcome.refusal is not None
        assert outcome.refusal.rule == rule
        assert outcome.refusal.field.startswith("pace")


@pytest.mark.parametrize("policy", [SendingPolicySet(20, 60), SendingPolicySet(1, 600)])
def test_without_a_pace_it_is_what_it_was(policy: SendingPolicySet) -> None:
    given = a_job(submitted()).on(RULES_STREAM, policy)
    given.when(MOVE).then(revised(accounts=(SOUTH,), frozen=MOVED))  # a slower policy acts anyway


def test_of_today_are_the_approvals_it_needs_and_what_it_is_flagged_for() -> None:
    given = a_job(submitted()).on(RULES_STREAM, ModerationPolicySet(3, own_approval=True, flag_above=2))
    expected = revised(accounts=(SOUTH,), frozen=MOVED, approvals=3, own_approval=True)
    given.when(MOVE).then(expected, JobFlagged((Flag.MANY_RECIPIENTS,), 3))


def test_it_keeps_its_words_and_people_unless_the_newest_are_asked_for() -> None:
    changed = CampaignRevised(TITLE, (HELLO, BYE), CAMPAIGN_CREATED.audience_id)
    given = a_job(submitted()).on(CAMPAIGN_STREAM, changed)
    given.when(MOVE).then(revised(accounts=(SOUTH,), frozen=MOVED))
    newest = replace(MOVE, campaign=CampaignVersion(CAMPAIGN, 2))
    given.when(newest).then(revised(accounts=(SOUTH,), frozen=MOVED, parts=(HELLO, BYE), campaign_version=2))


def test_the_words_are_those_of_its_own_campaign_as_it_is_now() -> None:
    given = a_job(submitted()).on(CAMPAIGN_STREAM, CampaignRevised(TITLE, (HELLO, BYE), CAMPAIGN_CREATED.audience_id))

    def asked(version: int, campaign: Any = CAMPAIGN) -> ReviseJob:
        return replace(MOVE, campaign=CampaignVersion(campaign, version))

    given.when(asked(1)).then_refused("not_the_newest", "campaign.version", newest=2)
    given.when(asked(3)).then_refused("not_the_newest", "campaign.version", newest=2)
    given.when(asked(2, an_id("another"))).then_refused("another_campaign", "campaign.campaign_id")
    archived = given.on(CAMPAIGN_STREAM, CampaignArchived())
    archived.when(asked(2)).then_refused("archived", "campaign.campaign_id")
    archived.when(MOVE).then(revised(accounts=(SOUTH,), frozen=MOVED))


def test_once_started_words_and_people_stay() -> None:
    given = a_job(*running(), JobPaused())
    newest = replace(MOVE, campaign=CampaignVersion(CAMPAIGN, 1))
    given.when(newest).then_refused("already_started", "campaign", status=Status.PAUSED)
    again = given.when(MOVE).after.when(newest)
    again.then_refused("already_started", "campaign", status=Status.SUBMITTED)


@pytest.mark.parametrize(
    ("command", "frozen", "rule", "field"),
    [
        (replace(MOVE, accounts=()), MOVED, "empty", "accounts"),
        (replace(MOVE, accounts=(SOUTH, SOUTH)), MOVED, "repeated", "accounts"),
        (replace(MOVE, accounts=(an_id("another"),)), MOVED, "unknown_account", "accounts.0"),
        (MOVE, None, "empty_audience", "job_id"),
        (MOVE, Frozen(ROOT, 3, {"city": 2}), "variable_missing", "job_id"),
        (replace(MOVE, campaign=CampaignVersion(CAMPAIGN, 1)), None, "empty_audience", "campaign.campaign_id"),
        (replace(MOVE, start_at=NOW + DAY, expires_at=NOW + SECOND), MOVED, "before_the_start", "expires_at"),
    ],
)
def test_what_would_not_be_submitted_is_no_revision(
    command: ReviseJob, frozen: Frozen | None, rule: str, field: str
) -> None:
    outcome = a_job(submitted()).vault(frozen=frozen).when(command)
    assert outcome.refusal is not None
    assert (outcome.refusal.rule, outcome.refusal.field) == (rule, field)


def test_who_revised_a_job_does_not_approve_it() -> None:
    after = a_job(submitted()).when(MOVE, by=EDITOR).after
    shown = after.state(JOB_STREAM).review_hash
    for by in (EDITOR, AUTHOR):
        after.when(ApproveJob(JOB, shown), by=by).then_refused("own_job", "actor")
    after.when(ApproveJob(JOB, shown), by=MODERATOR).then(JobApprovalGiven(MODERATOR.id, shown), JobApproved(shown))


def test_a_started_job_starts_again_once_it_is_approved_anew() -> None:
    after = a_job(*running(), JobPaused()).when(MOVE).after
    shown = after.state(JOB_STREAM).review_hash
    after.when(StartJob(JOB)).then_refused("not_approved", "job_id", status=Status.SUBMITTED)
    approved = after.when(ApproveJob(JOB, shown), by=MODERATOR).after
    state = approved.when(StartJob(JOB)).then(JobStarted()).state(JOB_STREAM)
    assert (state.status, state.accounts, state.audience) == (Status.RUNNING, (SOUTH,), MOVED.root)


def test_after_two_approvals_both_are_void() -> None:
    both = (submitted(approvals=3), GIVEN, JobApprovalGiven(SECOND_MODERATOR.id, SEEN))
    events = a_job(*both).when(MOVE).events
    assert events[0] == JobApprovalVoided((MODERATOR.id, SECOND_MODERATOR.id), Void.REVISED)


def test_a_stopped_job_stays_stopped_whatever_was_asked_of_it() -> None:
    given = a_job(*WAITS[Status.CHANGES_REQUESTED], JobStopped())
    given.when(MOVE).then_refused("already_over", "job_id", status=Status.STOPPED)
