"""A direct message: a job of one person, without a campaign. It is reviewed unless the workspace's policy says not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import account as accounts
from domain import recipient as recipients
from domain import submission
from domain import template as templates
from domain import workspace as ws
from domain.content import Part
from domain.message import Command, Event, Facts, Ref, Refused, StreamId, WorkspaceId
from domain.review import JobApproved, JobScheduled
from domain.schedule import LocalStart, schedule
from domain.submission import Version
from domain.template import TemplateVersion


@dataclass(frozen=True, slots=True)
class SubmitMessage(Command):
    """Write to one person who agreed: 1 to 10 parts, or those of a template; at once, at `start_at` or at `start`."""

    job_id: UUID
    recipient_id: UUID
    accounts: tuple[UUID, ...]
    title: Ref
    parts: tuple[Part, ...] = ()
    template: TemplateVersion | None = None
    start_at: datetime | None = None
    start: LocalStart | None = None
    expires_at: datetime | None = None


def submit(command: SubmitMessage, facts: Facts) -> Sequence[Event]:
    """What is asked to be sent, frozen as it is now; approved by itself when the policy wants no review of it."""
    rules = ws.rules(facts)
    parts = templates.chosen(command.parts, command.template, facts)
    when = schedule(command.start_at, command.start, command.expires_at, facts.now)
    submission.check_accounts(command.accounts, facts)
    if facts.frozen is None or not facts.frozen.count:
        raise Refused("unknown_recipient", field="recipient_id")
    frozen = submission.people(facts, "recipient_id")
    person = facts.state(recipients.DECIDER.stream(command.recipient_id), recipients.DECIDER.initial)
    if not person.consented:
        raise Refused("opted_out" if person.opted_out else "no_consent", field="recipient_id")
    flags = submission.flagged(frozen, rules)
    reviewed = rules.review_messages or bool(flags)
    said = Version(None, command.title, parts, None)
    submitted = submission.as_submitted(said, frozen, command.accounts, when, facts, reviewed=reviewed)
    if reviewed:
        return [submitted, *flags]
    approved: list[Event] = [submitted, JobApproved(submitted.review_hash)]
    if when.start_at is not None and when.start_at > facts.now:
        approved.append(JobScheduled(when.start_at, when.start_local, when.zone))
    return approved


def reads(command: SubmitMessage, workspace: WorkspaceId) -> Sequence[StreamId]:
    """The streams that a direct message is decided on."""
    return (
        ws.stream(workspace),
        recipients.DECIDER.stream(command.recipient_id),
        *([templates.DECIDER.stream(command.template.template_id)] if command.template else []),
        *(accounts.DECIDER.stream(account_id) for account_id in command.accounts[: submission.MOST_ACCOUNTS]),
    )
