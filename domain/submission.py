"""A submission: one campaign version with its frozen audience and accounts, as a reviewer will see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain import account as accounts
from domain import campaign as campaigns
from domain import workspace as ws
from domain.content import TextPart
from domain.message import Command, Digest, Event, Facts, PrincipalId, Ref, Refused, StreamId, WorkspaceId
from domain.moderation import review_hash

MOST_ACCOUNTS = 50
LONGEST_LEAD = timedelta(days=3_653)  # ten years: a start beyond is mistyped, or none that a database can hold


@dataclass(frozen=True, slots=True)
class SubmitJob(Command):
    """Freeze a campaign's version and audience, and ask for review; starts on approval, or at `start_at`."""

    job_id: UUID
    campaign_id: UUID
    accounts: tuple[UUID, ...]
    start_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobSubmitted(Event):
    """Everything a reviewer sees, frozen; `review_hash` covers it."""

    campaign_id: UUID
    campaign_version: int
    title: Ref
    parts: tuple[TextPart, ...]
    audience_id: UUID
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


def submit(command: SubmitJob, facts: Facts) -> Sequence[Event]:
    """What is asked to be reviewed: the campaign's version, its people, its words, frozen as they are now."""
    rules = ws.rules(facts)
    campaign = facts.state(campaigns.DECIDER.stream(command.campaign_id), campaigns.DECIDER.initial)
    if not campaign.version or campaign.title is None:
        raise Refused("unknown_campaign", field="campaign_id")
    if campaign.archived:
        raise Refused("archived", field="campaign_id")
    if campaign.audience_id is None:
        raise Refused("no_audience", field="campaign_id")
    check_start(command.start_at, facts.now)
    check_accounts(command.accounts, facts)
    if facts.frozen is None or not facts.frozen.count:
        raise Refused("empty_audience", field="campaign_id")
    for name, count in sorted(facts.frozen.missing.items()):
        raise Refused("variable_missing", field="campaign_id", variable=name, recipients=count)
    shown = review_hash(
        title=campaign.title,
        parts=campaign.parts,
        audience=facts.frozen.root,
        recipients=facts.frozen.count,
        accounts=command.accounts,
        start_at=command.start_at,
        pace=(rules.messages, rules.seconds),
    )
    return [
        JobSubmitted(
            campaign_id=command.campaign_id,
            campaign_version=campaign.version,
            title=campaign.title,
            parts=campaign.parts,
            audience_id=campaign.audience_id,
            audience=facts.frozen.root,
            recipients=facts.frozen.count,
            accounts=command.accounts,
            start_at=command.start_at,
            messages=rules.messages,
            seconds=rules.seconds,
            approvals=rules.approvals,
            own_approval=rules.own_approval,
            submitted_by=facts.actor.id,
            review_hash=shown,
        )
    ]


def check_start(start_at: datetime | None, now: datetime) -> None:
    """A start lies in the future, ten years off at most, and names its offset."""
    if start_at is None:
        return
    if start_at.tzinfo is None:
        raise Refused("no_time_zone", field="start_at")
    if start_at <= now:
        raise Refused("in_the_past", field="start_at")
    if start_at - now > LONGEST_LEAD:
        raise Refused("too_far_ahead", field="start_at", days=LONGEST_LEAD.days)


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
        if not account.linked:
            raise Refused("account_not_linked", field=f"accounts.{index}", status=account.status)


def reads(command: SubmitJob, workspace: WorkspaceId) -> Sequence[StreamId]:
    """The streams a submission is decided on."""
    return (
        ws.stream(workspace),
        campaigns.DECIDER.stream(command.campaign_id),
        *(accounts.DECIDER.stream(account_id) for account_id in command.accounts[:MOST_ACCOUNTS]),
    )
