"""Every message by its permanent name. Rename a class as you like; a stored name never changes."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from domain import (
    account,
    allowance,
    audience,
    campaign,
    delivery,
    direct,
    job,
    recipient,
    review,
    run,
    send,
    submission,
    template,
    workspace,
)
from domain.message import Command, Decider, Event, Refused, Role

DECIDERS: dict[str, Decider[Any]] = {
    decider.aggregate: decider
    for decider in (
        workspace.DECIDER,
        account.DECIDER,
        audience.DECIDER,
        recipient.DECIDER,
        template.DECIDER,
        campaign.DECIDER,
        job.DECIDER,
        delivery.DECIDER,
    )
}


@dataclass(frozen=True, slots=True)
class CommandType:
    """A command that has a subject: its permanent name `<aggregate>.<verb>`, class, and the roles that may give it."""

    name: str
    kind: type[Command]
    roles: frozenset[Role]

    @property
    def aggregate(self) -> str:
        return self.name.partition(".")[0]


def command(name: str, kind: type[Command], *roles: Role) -> CommandType:
    """A row of the table below; `system` may give every command."""
    return CommandType(name, kind, frozenset({*roles, Role.SYSTEM}))


ADMIN, AUTHOR, MODERATOR, OPERATOR, SERVICE = Role.ADMIN, Role.AUTHOR, Role.MODERATOR, Role.OPERATOR, Role.SERVICE

COMMANDS: dict[str, CommandType] = {
    row.name: row
    for row in (
        command("workspace.create", workspace.CreateWorkspace, ADMIN),
        command("workspace.set-moderation-policy", workspace.SetModerationPolicy, ADMIN),
        command("workspace.set-sending-policy", workspace.SetSendingPolicy, ADMIN),
        command("account.register", account.RegisterAccount, OPERATOR, ADMIN),
        command("account.pause", account.PauseAccount, OPERATOR, ADMIN),
        command("account.resume", account.ResumeAccount, OPERATOR, ADMIN),
        command("account.log-out", account.LogOutAccount, OPERATOR, ADMIN),
        command("account.remove", account.RemoveAccount, OPERATOR, ADMIN),
        command("audience.import", audience.ImportAudience, AUTHOR, SERVICE, ADMIN),
        command("audience.choose", audience.ChooseAudience, AUTHOR, SERVICE, ADMIN),
        command("recipient.record-consent", recipient.RecordConsent, AUTHOR, SERVICE, ADMIN),
        command("recipient.opt-out", recipient.OptOut, AUTHOR, OPERATOR, SERVICE, ADMIN),
        command("recipient.erase", recipient.EraseRecipient, SERVICE, ADMIN),
        command("template.create", template.CreateTemplate, AUTHOR, SERVICE, ADMIN),
        command("template.revise", template.ReviseTemplate, AUTHOR, SERVICE, ADMIN),
        command("template.archive", template.ArchiveTemplate, AUTHOR, SERVICE, ADMIN),
        command("campaign.create", campaign.CreateCampaign, AUTHOR, SERVICE, ADMIN),
        command("campaign.revise", campaign.ReviseCampaign, AUTHOR, SERVICE, ADMIN),
        command("campaign.archive", campaign.ArchiveCampaign, AUTHOR, SERVICE, ADMIN),
        command("job.submit", submission.SubmitJob, AUTHOR, SERVICE),
        command("job.submit-message", direct.SubmitMessage, AUTHOR, SERVICE),
        command("job.revise", submission.ReviseJob, AUTHOR, SERVICE),
        command("job.approve", review.ApproveJob, MODERATOR),
        command("job.withdraw", review.WithdrawApproval, MODERATOR),
        command("job.request-changes", review.RequestChanges, MODERATOR),
        command("job.reject", review.RejectJob, MODERATOR),
        command("job.start", run.StartJob, OPERATOR, MODERATOR, ADMIN),
        command("job.pause", run.PauseJob, AUTHOR, OPERATOR, MODERATOR, ADMIN),
        command("job.resume", run.ResumeJob, OPERATOR, MODERATOR, ADMIN),
        command("job.stop", run.StopJob, AUTHOR, OPERATOR, MODERATOR, ADMIN),
        command("delivery.resolve-unknown", send.ResolveUnknown, OPERATOR, ADMIN),
    )
}

# What the system decides for itself: it goes in process to the event store and never has a subject.
DECISIONS: dict[type[Command], str] = {
    account.ReportLinked: "account",
    account.ReportReady: "account",
    account.ReportTrouble: "account",
    recipient.ReceiveMessage: "recipient",
    allowance.GrantAllowance: "account",
    review.ExpireJob: "job",
    run.StartDueJob: "job",
    run.CompleteJob: "job",
    send.IntendSend: "delivery",
    send.ConfirmSend: "delivery",
    send.RejectSend: "delivery",
    send.DoubtSend: "delivery",
    send.GiveUpSend: "delivery",
    send.ReportReceipt: "delivery",
}

EVENTS: dict[str, type[Event]] = {
    "workspace.created": workspace.WorkspaceCreated,
    "workspace.moderation-policy-set": workspace.ModerationPolicySet,
    "workspace.sending-policy-set": workspace.SendingPolicySet,
    "account.registered": account.AccountRegistered,
    "account.linked": account.AccountLinked,
    "account.log-out-asked": account.AccountLogOutAsked,
    "account.unlinked": account.AccountUnlinked,
    "account.ready": account.AccountReady,
    "account.degraded": account.AccountDegraded,
    "account.restricted": account.AccountRestricted,
    "account.paused": account.AccountPaused,
    "account.resumed": account.AccountResumed,
    "account.removed": account.AccountRemoved,
    "account.allowance-granted": allowance.AllowanceGranted,
    "account.allowance-closed": allowance.AllowanceClosed,
    "account.allowance-deferred": allowance.AllowanceDeferred,
    "audience.imported": audience.AudienceImported,
    "audience.chosen": audience.AudienceChosen,
    "recipient.consent-recorded": recipient.ConsentRecorded,
    "recipient.opted-out": recipient.RecipientOptedOut,
    "recipient.message-received": recipient.MessageReceived,
    "recipient.erased": recipient.RecipientErased,
    "template.created": template.TemplateCreated,
    "template.revised": template.TemplateRevised,
    "template.archived": template.TemplateArchived,
    "campaign.created": campaign.CampaignCreated,
    "campaign.revised": campaign.CampaignRevised,
    "campaign.archived": campaign.CampaignArchived,
    "job.submitted": submission.JobSubmitted,
    "job.revised": submission.JobRevised,
    "job.flagged": review.JobFlagged,
    "job.approval-given": review.JobApprovalGiven,
    "job.approval-voided": review.JobApprovalVoided,
    "job.changes-requested": review.JobChangesRequested,
    "job.approved": review.JobApproved,
    "job.scheduled": review.JobScheduled,
    "job.rejected": review.JobRejected,
    "job.expired": review.JobExpired,
    "job.start-deferred": run.JobStartDeferred,
    "job.started": run.JobStarted,
    "job.paused": run.JobPaused,
    "job.resumed": run.JobResumed,
    "job.stopped": run.JobStopped,
    "job.completed": run.JobCompleted,
    "delivery.send-intended": send.SendIntended,
    "delivery.send-confirmed": send.SendConfirmed,
    "delivery.send-rejected": send.SendRejected,
    "delivery.send-unknown": send.SendUnknown,
    "delivery.send-resolved": send.SendResolved,
    "delivery.skipped": send.DeliverySkipped,
    "delivery.delivered": send.DeliveryDelivered,
    "delivery.read": send.DeliveryRead,
}

EVENT_NAMES: dict[type[Event], str] = {kind: name for name, kind in EVENTS.items()}
COMMAND_NAMES: dict[type[Command], str] = {row.kind: row.name for row in COMMANDS.values()}


def decider_of(command: Command) -> Decider[Any]:
    """The decider a command or inside decision belongs to."""
    name = COMMAND_NAMES.get(type(command))
    return DECIDERS[name.partition(".")[0] if name else DECISIONS[type(command)]]


def given_by(roles: Collection[Role]) -> list[str]:
    """The names of the commands that some of these roles may give."""
    return [name for name, row in COMMANDS.items() if not row.roles.isdisjoint(roles)]


def may(roles: frozenset[Role], name: str) -> None:
    """Refuse a command that none of these roles may give."""
    if not roles & COMMANDS[name].roles:
        raise Refused("role_required", field="actor", role=" or ".join(sorted(COMMANDS[name].roles - {Role.SYSTEM})))
