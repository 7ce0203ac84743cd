"""Every message by its permanent name. Rename a class as you like; a stored name never changes."""

from dataclasses import dataclass
from typing import Any

from domain import account, audience, campaign, delivery, job, recipient, send, submission, workspace
from domain.message import Command, Decider, Event, Refused, Role

DECIDERS: dict[str, Decider[Any]] = {
    decider.aggregate: decider
    for decider in (
        workspace.DECIDER,
        account.DECIDER,
        audience.DECIDER,
        recipient.DECIDER,
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
        command("audience.import", audience.ImportAudience, AUTHOR, SERVICE, ADMIN),
        command("recipient.record-consent", recipient.RecordConsent, AUTHOR, SERVICE, ADMIN),
        command("recipient.opt-out", recipient.OptOut, AUTHOR, OPERATOR, SERVICE, ADMIN),
        command("campaign.create", campaign.CreateCampaign, AUTHOR, SERVICE, ADMIN),
        command("campaign.revise", campaign.ReviseCampaign, AUTHOR, SERVICE, ADMIN),
        command("campaign.archive", campaign.ArchiveCampaign, AUTHOR, SERVICE, ADMIN),
        command("job.submit", submission.SubmitJob, AUTHOR, SERVICE),
        command("job.approve", job.ApproveJob, MODERATOR),
        command("job.reject", job.RejectJob, MODERATOR),
        command("job.start", job.StartJob, OPERATOR, MODERATOR, ADMIN),
        command("job.pause", job.PauseJob, AUTHOR, OPERATOR, MODERATOR, ADMIN),
        command("job.resume", job.ResumeJob, OPERATOR, MODERATOR, ADMIN),
        command("job.stop", job.StopJob, AUTHOR, OPERATOR, MODERATOR, ADMIN),
    )
}

# What the system decides for itself: it goes in process to the event store and never has a subject.
DECISIONS: dict[type[Command], str] = {
    account.ReportLinked: "account",
    account.ReportReady: "account",
    account.ReportTrouble: "account",
    account.GrantAllowance: "account",
    job.CompleteJob: "job",
    send.IntendSend: "delivery",
    send.ConfirmSend: "delivery",
    send.RejectSend: "delivery",
    send.DoubtSend: "delivery",
    send.ReportReceipt: "delivery",
}

EVENTS: dict[str, type[Event]] = {
    "workspace.created": workspace.WorkspaceCreated,
    "workspace.moderation-policy-set": workspace.ModerationPolicySet,
    "workspace.sending-policy-set": workspace.SendingPolicySet,
    "account.registered": account.AccountRegistered,
    "account.linked": account.AccountLinked,
    "account.unlinked": account.AccountUnlinked,
    "account.ready": account.AccountReady,
    "account.degraded": account.AccountDegraded,
    "account.restricted": account.AccountRestricted,
    "account.paused": account.AccountPaused,
    "account.resumed": account.AccountResumed,
    "account.allowance-granted": account.AllowanceGranted,
    "audience.imported": audience.AudienceImported,
    "recipient.consent-recorded": recipient.ConsentRecorded,
    "recipient.opted-out": recipient.RecipientOptedOut,
    "campaign.created": campaign.CampaignCreated,
    "campaign.revised": campaign.CampaignRevised,
    "campaign.archived": campaign.CampaignArchived,
    "job.submitted": submission.JobSubmitted,
    "job.approval-given": job.JobApprovalGiven,
    "job.approved": job.JobApproved,
    "job.scheduled": job.JobScheduled,
    "job.rejected": job.JobRejected,
    "job.started": job.JobStarted,
    "job.paused": job.JobPaused,
    "job.resumed": job.JobResumed,
    "job.stopped": job.JobStopped,
    "job.completed": job.JobCompleted,
    "delivery.send-intended": send.SendIntended,
    "delivery.send-confirmed": send.SendConfirmed,
    "delivery.send-rejected": send.SendRejected,
    "delivery.send-unknown": send.SendUnknown,
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


def may(roles: frozenset[Role], name: str) -> None:
    """Refuse a command that none of these roles may give."""
    if not roles & COMMANDS[name].roles:
        raise Refused("role_required", field="actor", role=" or ".join(sorted(COMMANDS[name].roles - {Role.SYSTEM})))
