"""Random histories that hold every event there is: scripts of each aggregate, cut off at each step, then shuffled."""

import random
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from domain import (
    account,
    allowance,
    audience,
    campaign,
    catalog,
    job,
    recipient,
    send,
    submission,
    template,
    workspace,
)
from domain.message import Digest, Envelope, Event, PrincipalId, Recorded, Ref, StreamId, WaId, WorkspaceId, derive
from domain.schedule import ZoneName

E = TypeVar("E", bound=Event)

START = datetime(2026, 11, 21, 9, tzinfo=UTC)
HINTS: Mapping[type[Event], Mapping[str, Any]] = {kind: typing.get_type_hints(kind) for kind in catalog.EVENTS.values()}
PARTS = 2  # of every delivery: enough for a first and a last one

ACCOUNT = (
    account.AccountRegistered,
    account.AccountLinked,
    account.AccountReady,
    allowance.AllowanceGranted,
    allowance.AllowanceClosed,
    allowance.AllowanceDeferred,
    allowance.AllowanceGranted,
    account.AccountPaused,
    account.AccountResumed,
    account.AccountDegraded,
    account.AccountReady,
    account.AccountRestricted,
    account.AccountUnlinked,
    account.AccountResumed,
    account.AccountReady,
    account.AccountLogOutAsked,
    account.AccountUnlinked,
    account.AccountLogOutAsked,
    account.AccountRestricted,
    account.AccountRemoved,
)
TEMPLATE = (template.TemplateCreated, template.TemplateRevised, template.TemplateArchived)
CAMPAIGN = (campaign.CampaignCreated, campaign.CampaignRevised, campaign.CampaignArchived)
WORKSPACE = (workspace.WorkspaceCreated, workspace.ModerationPolicySet, workspace.SendingPolicySet)
RECIPIENT = (
    recipient.MessageReceived,
    recipient.ConsentRecorded,
    recipient.MessageReceived,
    recipient.RecipientOptedOut,
    recipient.ConsentRecorded,
    recipient.RecipientErased,
)
JOBS = (
    (
        submission.JobSubmitted,
        job.JobFlagged,
        job.JobApprovalGiven,
        job.JobApprovalGiven,
        job.JobApproved,
        job.JobScheduled,
        job.JobStartDeferred,
        job.JobStarted,
        job.JobPaused,
        job.JobResumed,
        job.JobCompleted,
    ),
    (submission.JobSubmitted, job.JobApprovalGiven, job.JobApproved, job.JobStarted, job.JobStopped),
    (submission.JobSubmitted, job.JobRejected),
    (submission.JobSubmitted, job.JobChangesRequested, submission.JobRevised, job.JobFlagged, job.JobExpired),
    (
        submission.JobSubmitted,
        job.JobApprovalGiven,
        job.JobApproved,
        job.JobApprovalVoided,
        job.JobFlagged,
        job.JobApproved,
        job.JobScheduled,
        job.JobStartDeferred,
        job.JobApprovalVoided,
        submission.JobRevised,
    ),
    (submission.JobSubmitted, job.JobStopped),
)
DELIVERIES: Sequence[Sequence[tuple[type[Event], int]]] = (
    (
        (send.SendIntended, 0),
        (send.SendConfirmed, 0),
        (send.DeliveryDelivered, 0),
        (send.DeliveryRead, 0),
        (send.SendIntended, 1),
        (send.SendConfirmed, 1),
        (send.DeliveryDelivered, 1),
        (send.DeliveryRead, 1),
    ),
    ((send.SendIntended, 0), (send.SendUnknown, 0), (send.SendConfirmed, 0), (send.DeliverySkipped, 1)),
    ((send.SendIntended, 0), (send.SendRejected, 0)),
    (
        (send.SendIntended, 0),
        (send.SendConfirmed, 0),
        (send.SendIntended, 1),
        (send.SendRejected, 1),
        (send.DeliveryDelivered, 1),
    ),
    ((send.DeliverySkipped, 0),),
    ((send.SendIntended, 0), (send.SendUnknown, 0), (send.SendResolved, 0), (send.SendIntended, 1)),
    (
        (send.SendIntended, 0),
        (send.SendConfirmed, 0),
        (send.SendIntended, 1),
        (send.SendUnknown, 1),
        (send.SendResolved, 1),
        (send.SendResolved, 1),
    ),
)
ANY_DELIVERY = tuple(sorted({kind for script in DELIVERIES for kind, _ in script}, key=lambda kind: kind.__name__))


@dataclass
class Histories:
    """Makes streams of events, and shuffles them into one log."""

    rng: random.Random
    streams: dict[StreamId, list[Event]] = field(default_factory=dict)
    jobs: list[UUID] = field(default_factory=list)

    def id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128), version=4)

    def every_step(self) -> "Histories":
        """Each script, and each beginning of it as a stream of its own: every event is the last one of some stream."""
        for length in range(1, len(WORKSPACE) + 1):
            self.add("workspace", f"w{length}", *(self.made(kind) for kind in WORKSPACE[:length]))
        self.add("audience", self.id(), self.made(audience.AudienceImported))
        self.add("audience", self.id(), self.made(audience.AudienceChosen))
        scripts = {"account": ACCOUNT, "template": TEMPLATE, "campaign": CAMPAIGN, "recipient": RECIPIENT}
        for aggregate, script in scripts.items():
            for length in range(1, len(script) + 1):
                self.add(aggregate, self.id(), *(self.made(kind) for kind in script[:length]))
        self.add("recipient", self.id(), self.made(recipient.RecipientOptedOut))
        for kinds in JOBS:
            for length in range(1, len(kinds) + 1):
                self.add("job", self.new_job(), *(self.made(kind) for kind in kinds[:length]))
        for steps in DELIVERIES:
            for length in range(1, len(steps) + 1):
                self.begin_delivery(steps[:length])
        return self

    def at_random(self, streams: int) -> "Histories":
        """Streams of events in any order, also in such as never happen: a projection does not judge."""
        for _ in range(streams):
            length = self.rng.randint(1, 8)
            match self.rng.choice(("account", "campaign", "recipient", "job", "delivery")):
                case "account":
                    self.add("account", self.id(), *self.any_of(ACCOUNT, length))
                case "campaign":
                    self.add("campaign", self.id(), *self.any_of(CAMPAIGN, length))
                case "recipient":
                    self.add("recipient", self.id(), *(self.made(self.rng.choice(RECIPIENT)) for _ in range(length)))
                case "job":
                    self.add("job", self.new_job(), *self.any_of(self.rng.choice(JOBS), length))
                case "delivery":
                    steps = [(self.rng.choice(ANY_DELIVERY), self.rng.randrange(PARTS)) for _ in range(length)]
                    first = self.rng.choice((send.SendIntended, send.DeliverySkipped))
                    self.begin_delivery([(first, 0), *steps])
        return self

    def any_of(self, script: Sequence[type[Event]], length: int) -> Iterator[Event]:
        """A script's first event, then any of the others."""
        yield self.made(script[0])
        for _ in range(length - 1):
            yield self.made(self.rng.choice(script[1:]))

    def new_job(self) -> UUID:
        self.jobs.append(self.id())
        return self.jobs[-1]

    def begin_delivery(self, steps: Sequence[tuple[type[Event], int]]) -> None:
        """A delivery of some job, by steps of (event, part)."""
        whom: dict[str, Any] = {
            "job_id": self.rng.choice(self.jobs),
            "recipient_id": self.id(),
            "account_id": self.id(),
        }
        whom["ordinal"] = self.rng.randrange(1, 1000)
        made = []
        for kind, part in steps:
            given = whom | {"part": part, "parts": PARTS, "final": part == PARTS - 1}
            made.append(self.made(kind, **{name: value for name, value in given.items() if has(kind, name)}))
        self.add("delivery", self.id(), *made)

    def add(self, aggregate: str, key: object, *events: Event) -> None:
        self.streams[StreamId(f"{aggregate}-{key}")] = list(events)

    def made(self, kind: type[E], **given: Any) -> E:
        """An event with random values where none are given."""
        return kind(**{name: given[name] if name in given else self.value(of) for name, of in HINTS[kind].items()})

    def value(self, hint: Any) -> Any:
        """A random value of a field's type."""
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            inner = [part for part in typing.get_args(hint) if part is not types.NoneType]
            nothing = types.NoneType in typing.get_args(hint) and self.rng.random() < 0.3
            return None if nothing else self.value(self.rng.choice(inner))
        if typing.get_origin(hint) is tuple:
            return tuple(self.value(typing.get_args(hint)[0]) for _ in range(self.rng.randint(1, 3)))
        if isinstance(hint, type) and issubclass(hint, Enum):
            return self.rng.choice(list(hint))
        if is_dataclass(hint):
            fields = typing.get_type_hints(hint)
            return typing.cast("Any", hint)(**{name: self.value(of) for name, of in fields.items()})
        return VALUES[hint](self.rng)

    def log(self, position: int = 0) -> list[Recorded]:
        """All streams as one log behind a position: each in its own order, shuffled, with gaps between positions."""
        turns = [stream for stream, events in self.streams.items() for _ in events]
        self.rng.shuffle(turns)
        rest = {stream: iter(enumerate(events, 1)) for stream, events in self.streams.items()}
        log = []
        for stream in turns:
            version, event = next(rest[stream])
            position += self.rng.choice((1, 1, 1, 2, 7))
            log.append(Recorded(position, stream, version, event, self.envelope(stream, position)))
        return log

    def envelope(self, stream: StreamId, position: int) -> Envelope:
        aggregate, _, key = stream.partition("-")
        owner = UUID(key) if aggregate != "workspace" else None
        if aggregate == "delivery":
            owner = next(getattr(event, "job_id", None) for event in self.streams[stream])
        space = f"w{owner.int % 3 + 1}" if owner else key
        time = START + timedelta(milliseconds=position * 10)
        cause = derive("cause", stream, position)
        return Envelope(cause, PrincipalId("Zk3Pq81x"), WorkspaceId(space), cause, cause, time, {})


def has(kind: type[Event], name: str) -> bool:
    return name in HINTS[kind]


def hexadecimal(rng: random.Random) -> str:
    return f"{rng.getrandbits(256):064x}"


VALUES: dict[Any, Any] = {
    UUID: lambda rng: UUID(int=rng.getrandbits(128), version=4),
    int: lambda rng: rng.randrange(1000),
    bool: lambda rng: rng.random() < 0.5,
    datetime: lambda rng: START + timedelta(seconds=rng.randrange(86_400)),
    Ref: hexadecimal,
    Digest: hexadecimal,
    PrincipalId: lambda rng: rng.choice(("Zk3Pq81x", "Qm7Lw02b", "aB3dE6gH")),
    WaId: lambda rng: f"3EB0{rng.getrandbits(72):018X}",
    ZoneName: lambda rng: rng.choice(("Europe/Berlin", "UTC")),
    float: lambda rng: rng.randrange(-900, 900) / 10,
}


def names(log: Sequence[Recorded]) -> set[str]:
    """Which events a log holds."""
    return {catalog.EVENT_NAMES[type(recorded.event)] for recorded in log}
