"""A small world for tests of the domain: one workspace with its people, accounts, a campaign and a job."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain import account, allowance, audience, campaign, delivery, job, recipient, send, submission, workspace
from domain.content import TextPart
from domain.message import Actor, Digest, Event, Frozen, PrincipalId, Ref, Role, StreamId, WorkspaceId, derive
from domain.moderation import review_hash
from domain.schedule import LocalStart, Schedule

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
HERE = WorkspaceId("acme")


def actor(name: str, *roles: Role, of: WorkspaceId = HERE) -> Actor:
    return Actor(PrincipalId(name), of, frozenset(roles))


ADMIN = actor("admin", Role.ADMIN)
AUTHOR = actor("author", Role.AUTHOR)
EDITOR = actor("editor", Role.AUTHOR, Role.MODERATOR)  # writes and reviews, as the demo's author does
MODERATOR = actor("moderator", Role.MODERATOR)
SECOND_MODERATOR = actor("second-moderator", Role.MODERATOR)
OPERATOR = actor("operator", Role.OPERATOR)
SYSTEM = actor("system-core", Role.SYSTEM)


def an_id(name: str) -> UUID:
    return derive("test", name)


def a_ref(name: str) -> Ref:
    return Ref(an_id(name).hex * 2)


def a_digest(name: str) -> Digest:
    return Digest(an_id(name).hex * 2)


AUDIENCE, CAMPAIGN, JOB = an_id("audience"), an_id("campaign"), an_id("job")
NORTH, SOUTH = an_id("north"), an_id("south")  # accounts
ANA = an_id("ana")  # a recipient
DELIVERY = send.delivery_id(JOB, ANA)
TITLE, HELLO, BYE = a_ref("title"), TextPart(a_ref("hello")), TextPart(a_ref("bye"))
ROOT = a_digest("root")

RULES_STREAM = workspace.stream(HERE)
AUDIENCE_STREAM = audience.DECIDER.stream(AUDIENCE)
CAMPAIGN_STREAM = campaign.DECIDER.stream(CAMPAIGN)
JOB_STREAM = job.DECIDER.stream(JOB)
NORTH_STREAM, SOUTH_STREAM = account.DECIDER.stream(NORTH), account.DECIDER.stream(SOUTH)
ANA_STREAM = recipient.DECIDER.stream(ANA)
DELIVERY_STREAM = delivery.DECIDER.stream(DELIVERY)

CREATED = workspace.WorkspaceCreated()
IMPORTED = audience.AudienceImported(a_ref("list"), 3, 1, 1, a_digest("list"))
CAMPAIGN_CREATED = campaign.CampaignCreated(TITLE, (HELLO,), AUDIENCE)
READY: tuple[Event, ...] = (account.AccountRegistered(a_ref("label")), account.AccountLinked(), account.AccountReady())
CONSENTED = recipient.ConsentRecorded(recipient.ConsentSource.PAPER, NOW - DAY, None)
FROZEN = Frozen(ROOT, 3)


def granted(since: datetime = NOW, permits: int = 1, seconds: int = 30, block: int = 1) -> allowance.AllowanceGranted:
    until = since + timedelta(seconds=seconds)
    return allowance.AllowanceGranted(derive("allowance", NORTH, block), permits, since, until)


def submitted(
    *,
    by: Actor = AUTHOR,
    parts: tuple[TextPart, ...] = (HELLO,),
    accounts: tuple[UUID, ...] = (NORTH,),
    start_at: datetime | None = None,
    start: LocalStart | None = None,
    expires_at: datetime | None = None,
    approvals: int = 1,
    own_approval: bool = False,
    campaign_version: int = 1,
    pace: tuple[int, int] = (1, 30),
    frozen: Frozen = FROZEN,
) -> submission.JobSubmitted:
    """A submission of the campaign, as the decider makes it."""
    local, zone = (start.local, start.zone) if start else (None, None)
    when = Schedule(start_at, local, zone, expires_at or (start_at + DAY if start_at else NOW + 30 * DAY))
    return submission.JobSubmitted(
        campaign_id=CAMPAIGN,
        campaign_version=campaign_version,
        title=TITLE,
        parts=parts,
        audience_id=AUDIENCE,
        audience=frozen.root,
        recipients=frozen.count,
        accounts=accounts,
        start_at=start_at,
        start_local=local,
        zone=zone,
        expires_at=when.expires_at,
        messages=pace[0],
        seconds=pace[1],
        approvals=approvals,
        own_approval=own_approval,
        submitted_by=by.id,
        review_hash=review_hash(
            title=TITLE,
            parts=parts,
            audience=frozen.root,
            recipients=frozen.count,
            accounts=accounts,
            start_at=start_at,
            pace=pace,
            schedule=when,
        ),
    )


def revised(*, by: Actor = AUTHOR, **changed: Any) -> submission.JobRevised:
    """A revision to what `submitted` would have made of the same."""
    made = submitted(**changed)
    names = {field.name for field in fields(submission.JobRevised)} - {"revised_by"}
    return submission.JobRevised(**{name: getattr(made, name) for name in names}, revised_by=by.id)


def running(parts: tuple[TextPart, ...] = (HELLO,)) -> tuple[Event, ...]:
    """A job's history up to its start."""
    begun = submitted(parts=parts)
    shown = begun.review_hash
    return begun, job.JobApprovalGiven(MODERATOR.id, shown), job.JobApproved(shown), job.JobStarted()


def intended(part: int = 0, parts: int = 1, fence: int = 7) -> send.SendIntended:
    return send.SendIntended(
        job_id=JOB,
        recipient_id=ANA,
        account_id=NORTH,
        ordinal=1,
        part=part,
        parts=parts,
        attempt=1,
        wa_id=send.wa_id(DELIVERY, part),
        fence=fence,
        block=granted().block,
    )


def confirmed(part: int = 0, *, final: bool = True) -> send.SendConfirmed:
    return send.SendConfirmed(JOB, part, 1, send.wa_id(DELIVERY, part), final)


def stream(aggregate: str, identity: UUID) -> StreamId:
    return StreamId(f"{aggregate}-{identity}")
