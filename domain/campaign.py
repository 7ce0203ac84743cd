"""A campaign: what to say and to whom, in versions. Editing it never touches a job that was submitted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain import audience as audiences
from domain import content
from domain import workspace as ws
from domain.content import Part
from domain.message import Command, Decider, Event, Facts, Ref, Refused, StreamId, WorkspaceId


@dataclass(frozen=True, slots=True)
class CreateCampaign(Command):
    """Begin a campaign: 1 to 10 parts; an audience may be named later, by a revision."""

    campaign_id: UUID
    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ReviseCampaign(Command):
    """Replace what a campaign says and to whom."""

    campaign_id: UUID
    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ArchiveCampaign(Command):
    """Submit no more jobs of this campaign."""

    campaign_id: UUID


@dataclass(frozen=True, slots=True)
class CampaignCreated(Event):
    """The campaign's first version."""

    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None


@dataclass(frozen=True, slots=True)
class CampaignRevised(Event):
    """The campaign's next version."""

    title: Ref
    parts: tuple[Part, ...]
    audience_id: UUID | None


@dataclass(frozen=True, slots=True)
class CampaignArchived(Event):
    """The campaign is closed to new jobs."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """The current version."""

    version: int = 0
    title: Ref | None = None
    parts: tuple[Part, ...] = ()
    audience_id: UUID | None = None
    archived: bool = False


def decide(campaign: Campaign, command: Command, facts: Facts) -> Sequence[Event]:
    ws.rules(facts)
    if isinstance(command, CreateCampaign):
        if campaign.version:
            raise Refused("id_taken", field="campaign_id")
        checked(command, facts)
        return [CampaignCreated(command.title, command.parts, command.audience_id)]
    if not campaign.version:
        raise Refused("unknown_campaign", field="campaign_id")
    match command:
        case ReviseCampaign(title=title, parts=parts, audience_id=audience_id):
            if campaign.archived:
                raise Refused("archived", field="campaign_id")
            checked(command, facts)
            if (title, parts, audience_id) == (campaign.title, campaign.parts, campaign.audience_id):
                return []
            return [CampaignRevised(title, parts, audience_id)]
        case ArchiveCampaign():
            return [] if campaign.archived else [CampaignArchived()]
    raise TypeError(type(command))


def checked(command: CreateCampaign | ReviseCampaign, facts: Facts) -> None:
    """Refuse a version that could never be submitted."""
    content.check(command.parts)
    if command.audience_id is not None:
        stream = audiences.DECIDER.stream(command.audience_id)
        if not facts.state(stream, audiences.DECIDER.initial).exists:
            raise Refused("unknown_audience", field="audience_id")


def evolve(campaign: Campaign, event: Event) -> Campaign:
    match event:
        case CampaignCreated(title, parts, audience_id) | CampaignRevised(title, parts, audience_id):
            return replace(campaign, version=campaign.version + 1, title=title, parts=parts, audience_id=audience_id)
        case CampaignArchived():
            return replace(campaign, archived=True)
    return campaign


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    audience_id = getattr(command, "audience_id", None)
    rules = ws.stream(workspace)
    return (rules,) if audience_id is None else (rules, audiences.DECIDER.stream(audience_id))


DECIDER = Decider("campaign", Campaign(), decide, evolve, reads)
