"""A direct message: a job of one person, reviewed or not, and never without their consent."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.direct import SubmitMessage
from domain.job import ApproveJob, JobApproved, JobFlagged, JobScheduled, Status, StopJob
from domain.message import Event, Frozen, Refused
from domain.recipient import RecipientOptedOut
from domain.submission import JobSubmitted, Pace, ReviseJob
from domain.template import DECIDER as TEMPLATES
from domain.template import TemplateCreated, TemplateVersion
from domain.workspace import ModerationPolicySet
from tests.builders import (
    ANA,
    ANA_STREAM,
    CONSENTED,
    CREATED,
    DAY,
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
    TITLE,
    an_id,
)
from tests.given import Given

SEND = SubmitMessage(JOB, ANA, (NORTH,), TITLE, (HELLO,))
ONE = Frozen(ROOT, 1)
KNOWN = Given(frozen=ONE).on(RULES_STREAM, CREATED).on(NORTH_STREAM, *READY)
AGREED = KNOWN.on(ANA_STREAM, CONSENTED)
TRUSTED = AGREED.on(RULES_STREAM, ModerationPolicySet(1, own_approval=False, review_messages=False))


def events(given: Given, command: SubmitMessage = SEND) -> tuple[Event, ...]:
    outcome = given.when(command)
    assert outcome.refusal is None
    return tuple(outcome.events)


def test_it_is_reviewed_like_any_other_job() -> None:
    (submitted,) = events(AGREED)
    assert isinstance(submitted, JobSubmitted)
    assert (submitted.campaign_id, submitted.campaign_version, submitted.audience_id) == (None, None, None)
    assert (submitted.recipients, submitted.audience, submitted.parts, submitted.approvals) == (1, ROOT, (HELLO,), 1)
    given = AGREED.on(JOB_STREAM, submitted)
    given.when(ApproveJob(JOB, submitted.review_hash)).then_refused("own_job", "actor")
    after = given.when(ApproveJob(JOB, submitted.review_hash), by=MODERATOR)
    assert after.refusal is None
    given.when(SEND).then_refused("id_taken", "job_id")


def test_without_review_it_is_approved_by_itself_and_starts_in_time() -> None:
    submitted, approved = events(TRUSTED)
    assert isinstance(submitted, JobSubmitted)
    assert (approved, submitted.approvals) == (JobApproved(submitted.review_hash), 0)
    later = events(TRUSTED, replace(SEND, start_at=NOW + DAY))
    assert later[-1] == JobScheduled(NOW + DAY, None, None)
    assert TRUSTED.on(JOB_STREAM, *later).state(JOB_STREAM).status is Status.SCHEDULED


def test_what_is_flagged_is_reviewed_whatever_the_policy() -> None:
    policy = ModerationPolicySet(1, own_approval=False, flag_links=True, review_messages=False)
    given = AGREED.on(RULES_STREAM, policy).vault(frozen=replace(ONE, links=1))
    submitted, flagged = events(given)
    assert isinstance(flagged, JobFlagged)
    assert isinstance(submitted, JobSubmitted)
    assert submitted.approvals == 1


@pytest.mark.parametrize(
    ("given", "command", "rule", "field"),
    [
        (KNOWN, SEND, "no_consent", "recipient_id"),
        (AGREED.on(ANA_STREAM, RecipientOptedOut(NOW)), SEND, "opted_out", "recipient_id"),
        (AGREED.vault(), SEND, "unknown_recipient", "recipient_id"),
        (AGREED.vault(frozen=replace(ONE, missing={"city": 1})), SEND, "variable_missing", "recipient_id"),
        (AGREED, replace(SEND, parts=()), "empty", "parts"),
        (AGREED, replace(SEND, parts=(replace(HELLO, delay=1),)), "out_of_range", "parts.0.delay"),
        (AGREED, replace(SEND, accounts=()), "empty", "accounts"),
        (AGREED, replace(SEND, accounts=(an_id("nobody"),)), "unknown_account", "accounts.0"),
        (AGREED, replace(SEND, start_at=NOW - SECOND), "in_the_past", "start_at"),
        (AGREED, replace(SEND, template=TemplateVersion(an_id("x"), 1)), "parts_and_template", "template"),
        (Given(frozen=ONE), SEND, "unknown_workspace", "workspace"),
    ],
)
def test_what_could_not_be_sent_is_refused_at_once(given: Given, command: SubmitMessage, rule: str, field: str) -> None:
    refusal = given.when(command).refusal
    assert isinstance(refusal, Refused)
    assert (refusal.rule, refusal.field) == (rule, field)


def test_a_template_says_it_too() -> None:
    template = an_id("template")
    given = AGREED.on(TEMPLATES.stream(template), TemplateCreated(TITLE, (HELLO,)))
    (submitted,) = events(given, replace(SEND, parts=(), template=TemplateVersion(template, 1)))
    assert isinstance(submitted, JobSubmitted)
    assert submitted.parts == (HELLO,)


def test_it_is_stopped_and_not_revised() -> None:
    given = AGREED.on(JOB_STREAM, *events(AGREED))
    for revision in (ReviseJob(JOB, pace=Pace(1, 60)), ReviseJob(JOB, start_at=NOW + timedelta(hours=1))):
        given.when(revision).then_refused("direct_message", "job_id")
    assert given.when(StopJob(JOB)).refusal is None
