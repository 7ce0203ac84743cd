"""A submission and its revisions: one campaign version with its frozen audience, as a reviewer will see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import account as accounts
from domain import campaign as campaigns
from domain import workspace as ws
from domain.campaign import Campaign
from domain.content import Part
from domain.message import Command, Digest, Event, Facts, Frozen, PrincipalId, Ref, Refused, StreamId, WorkspaceId
from domain.moderation import flags, review_hash
from domain.review import JobFlagged
from domain.schedule import LocalStart, Schedule, ZoneName, reschedule, schedule
from domain.workspace import Workspace

MOST_ACCOUNTS = 50


@dataclass(frozen=True, slots=True)
class SubmitJob(Command):
    """Freeze a campaign's version and audience, and ask for review; starts on approval, at `start_at` or at `start`."""

    job_id: UUID
    campaign_id: UUID
    accounts: tuple[UUID, ...]
    start_at: datetime | None = None
    start: LocalStart | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CampaignVersion:
    """The version of a campaign to be sent from now on: its newest one."""

    campaign_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Pace:
    """So many messages of an account in so many seconds."""

    messages: int
    seconds: int


@dataclass(frozen=True, slots=True)
class ReviseJob(Command):
    """Change a job's accounts, schedule, pace, or words and people; what is left out stays. It is reviewed anew."""

    job_id: UUID
    accounts: tuple[UUID, ...] | None = None
    start_at: datetime | None = None
    start: LocalStart | None = None
    expires_at: datetime | None = None
    pace: Pace | None = None
    campaign: CampaignVersion | None = None
    at_once: bool = False  # it has no start any more: it starts on approval


@dataclass(frozen=True, slots=True)
class JobSubmitted(Event):
    """Everything a reviewer sees, frozen; `review_hash` covers it. A direct message has no campaign and no audience."""

    campaign_id: UUID | None
    campaign_version: int | None
    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None
    audience: Digest
    recipients: int
    accounts: tuple[UUID, ...]
    start_at: datetime | None
    messages: int
    seconds: int
    approvals: int
    own_approval: bool
    submitted_by: PrincipalId
    review_hash: Digest
    start_local: datetime | None = None
    zone: ZoneName | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobRevised(Event):
    """Everything a reviewer sees from now on; what was approved before does not count."""

    campaign_version: int | None
    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None
    audience: Digest
    recipients: int
    accounts: tuple[UUID, ...]
    start_at: datetime | None
    start_local: datetime | None
    zone: ZoneName | None
    expires_at: datetime
    messages: int
    seconds: int
    approvals: int
    own_approval: bool
    revised_by: PrincipalId
    review_hash: Digest


@dataclass(frozen=True, slots=True)
class Version:
    """What a job says and to whom: of its campaign, at one version, or a direct message."""

    number: int | None
    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a job stays if a revision does not name it; a schedule that was used up does not."""

    version: Version
    accounts: tuple[UUID, ...]
    when: Schedule | None
    pace: Pace


def submit(command: SubmitJob, facts: Facts) -> Sequence[Event]:
    """What is asked to be reviewed: the campaign's version, its people, its words, frozen as they are now."""
    rules = ws.rules(facts)
    version = newest(command.campaign_id, facts, "campaign_id")
    when = schedule(command.start_at, command.start, command.expires_at, facts.now)
    check_accounts(command.accounts, facts)
    frozen = people(facts, "campaign_id")
    submitted = as_submitted(version, frozen, command.accounts, when, facts, campaign_id=command.campaign_id)
    return [submitted, *flagged(frozen, rules)]


def as_submitted(
    version: Version,
    frozen: Frozen,
    chosen: tuple[UUID, ...],
    when: Schedule,
    facts: Facts,
    *,
    campaign_id: UUID | None = None,
    reviewed: bool = True,
) -> JobSubmitted:
    """Everything a reviewer will see, under the workspace's rules as they are now."""
    rules = ws.rules(facts)
    return JobSubmitted(
        campaign_id=campaign_id,
        campaign_version=version.number,
        title=version.title,
        parts=version.parts,
        audience_id=version.audience_id,
        audience=frozen.root,
        recipients=frozen.count,
        accounts=chosen,
        start_at=when.start_at,
        start_local=when.start_local,
        zone=when.zone,
        expires_at=when.expires_at,
        messages=rules.messages,
        seconds=rules.seconds,
        approvals=rules.approvals if reviewed else 0,
        own_approval=rules.own_approval,
        submitted_by=facts.actor.id,
        review_hash=hash_of(version, frozen, chosen, when, Pace(rules.messages, rules.seconds)),
    )


def revise(command: ReviseJob, kept: Kept, facts: Facts) -> Sequence[Event]:
    """The same for a revision: what it does not name stays."""
    rules = ws.rules(facts)
    version, field = kept.version, "job_id"
    if command.campaign is not None:
        field = "campaign.campaign_id"
        version = newest(command.campaign.campaign_id, facts, field)
        if command.campaign.version != version.number:
            raise Refused("not_the_newest", field="campaign.version", newest=version.number or 0)
    when = reschedule(command.start_at, command.start, command.at_once, command.expires_at, kept.when, facts.now)
    pace = kept.pace if command.pace is None else pace_within(command.pace, rules)
    chosen = kept.accounts
    if command.accounts is not None:
        chosen = command.accounts
        check_accounts(chosen, facts)
    frozen = people(facts, field)
    revised = JobRevised(
        campaign_version=version.number,
        title=version.title,
        parts=version.parts,
        audience_id=version.audience_id,
        audience=frozen.root,
        recipients=frozen.count,
        accounts=chosen,
        start_at=when.start_at,
        start_local=when.start_local,
        zone=when.zone,
        expires_at=when.expires_at,
        messages=pace.messages,
        seconds=pace.seconds,
        approvals=rules.approvals,
        own_approval=rules.own_approval,
        revised_by=facts.actor.id,
        review_hash=hash_of(version, frozen, chosen, when, pace),
    )
    return [revised, *flagged(frozen, rules)]


def newest(campaign_id: UUID, facts: Facts, field: str) -> Version:
    """A campaign as it is now, if it can be sent."""
    campaign: Campaign = facts.state(campaigns.DECIDER.stream(campaign_id), campaigns.DECIDER.initial)
    if not campaign.version or campaign.title is None:
        raise Refused("unknown_campaign", field=field)
    if campaign.archived:
        raise Refused("archived", field=field)
    if campaign.audience_id is None:
        raise Refused("no_audience", field=field)
    return Version(campaign.version, campaign.title, campaign.parts, campaign.audience_id)


def people(facts: Facts, field: str) -> Frozen:
    """The frozen audience: somebody is in it, and nobody lacks a variable."""
    if facts.frozen is None or not facts.frozen.count:
        raise Refused("empty_audience", field=field)
    for name, count in sorted(facts.frozen.missing.items()):
        raise Refused("variable_missing", field=field, variable=name, recipients=count)
    return facts.frozen


def pace_within(wanted: Pace, rules: Workspace) -> Pace:
    """The pace asked for, if it is no faster than the workspace's."""
    ws.within(wanted.messages, 1, 1_000, "pace.messages")
    ws.within(wanted.seconds, 1, 86_400, "pace.seconds")
    if wanted.messages * rules.seconds > rules.messages * wanted.seconds:
        raise Refused("faster_than_allowed", field="pace", messages=rules.messages, seconds=rules.seconds)
    return wanted


def flagged(frozen: Frozen, rules: Workspace) -> Sequence[Event]:
    """What asks for a closer look, and by how many."""
    reasons = flags(frozen.count, frozen.links, rules)
    return [JobFlagged(reasons, max(rules.approvals, rules.flagged_approvals))] if reasons else []


def hash_of(version: Version, frozen: Frozen, chosen: Sequence[UUID], when: Schedule, pace: Pace) -> Digest:
    """The hash of all that a reviewer sees."""
    return review_hash(
        title=version.title,
        parts=version.parts,
        audience=frozen.root,
        recipients=frozen.count,
        accounts=chosen,
        start_at=when.start_at,
        pace=(pace.messages, pace.seconds),
        schedule=when,
    )


def check_accounts(chosen: Sequence[UUID], facts: Facts) -> None:
    """A job names 1 to 50 different accounts of its workspace, each linked."""
    if not chosen:
        raise Refused("empty", field="accounts")
    if len(chosen) > MOST_ACCOUNTS:
        raise Refused("too_many", field="accounts", maximum=MOST_ACCOUNTS)
    if len(set(chosen)) != len(chosen):
        raise Refused("repeated", field="accounts")
    for index, account_id in enumerate(chosen):
        account = facts.state(accounts.DECIDER.stream(account_id), accounts.DECIDER.initial)
        if account.status is accounts.Status.UNKNOWN:
            raise Refused("unknown_account", field=f"accounts.{index}")
        if account.status is accounts.Status.REMOVED:
            raise Refused("account_removed", field=f"accounts.{index}")
        if not account.linked:
            raise Refused("account_not_linked", field=f"accounts.{index}", status=account.status)


def reads(command: SubmitJob | ReviseJob, workspace: WorkspaceId) -> Sequence[StreamId]:
    """The streams a submission or a revision is decided on."""
    chosen: SubmitJob | CampaignVersion | None = command if isinstance(command, SubmitJob) else command.campaign
    return (
        ws.stream(workspace),
        *([campaigns.DECIDER.stream(chosen.campaign_id)] if chosen else []),
        *(accounts.DECIDER.stream(account_id) for account_id in (command.accounts or ())[:MOST_ACCOUNTS]),
    )
