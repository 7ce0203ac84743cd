"""A recipient: a person, known here only by an id, and whether they want to hear from the workspace."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from domain import workspace as ws
from domain.message import Command, Decider, Event, Facts, Ref, Refused, StreamId, WaId, WorkspaceId
from domain.ports import Arrived

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # a time before it is mistyped, or none that a database can hold


class ConsentSource(StrEnum):
    """Where a consent was given."""

    WEB_FORM = "web_form"
    PAPER = "paper"
    SPOKEN = "spoken"
    MESSAGE = "message"
    CONTRACT = "contract"
    IMPORT = "import"


class OptOutSource(StrEnum):
    """How an opt-out came to us."""

    REPORTED = "reported"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class RecordConsent(Command):
    """A person agreed to be written to: where, when, and (sealed) by what proof."""

    recipient_id: UUID
    source: ConsentSource
    given_at: datetime
    proof: Ref | None = None


@dataclass(frozen=True, slots=True)
class OptOut(Command):
    """A person does not want to be written to any more."""

    recipient_id: UUID


@dataclass(frozen=True, slots=True)
class EraseRecipient(Command):
    """Forget a person for good; only that nobody is to write to their number is still known."""

    recipient_id: UUID


@dataclass(frozen=True, slots=True)
class ReceiveMessage(Command):
    """Inside: this person wrote to one of our accounts; `opts_out`: that they want to hear no more."""

    recipient_id: UUID
    account_id: UUID
    message_id: UUID
    kind: Arrived
    sent_at: datetime
    answers: WaId | None
    opts_out: bool


@dataclass(frozen=True, slots=True)
class ConsentRecorded(Event):
    """There is a consent on record."""

    source: ConsentSource
    given_at: datetime
    proof: Ref | None


@dataclass(frozen=True, slots=True)
class RecipientOptedOut(Event):
    """The person opted out; a consent given before that counts no more."""

    at: datetime
    source: OptOutSource = OptOutSource.REPORTED


@dataclass(frozen=True, slots=True)
class MessageReceived(Event):
    """The person wrote to an account, or voted in a poll; `answers` is the message of ours that they mean.

    What they wrote lies in the vault under the message's id.
    """

    account_id: UUID
    message_id: UUID
    kind: Arrived
    sent_at: datetime
    answers: WaId | None


@dataclass(frozen=True, slots=True)
class RecipientErased(Event):
    """The person is to be forgotten: what the vault holds of them is destroyed, and they are never written to again."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whether this person may be written to."""

    consented: bool = False
    opted_out: bool = False
    opted_out_at: datetime | None = None
    erased: bool = False


def decide(recipient: Recipient, command: Command, facts: Facts) -> Sequence[Event]:
    ws.rules(facts)
    match command:
        case EraseRecipient():
            if recipient.erased:
                return []
            check_known(facts)
            return [RecipientErased(facts.now)]
        case RecordConsent():
            if recipient.erased:
                raise Refused("erased", field="recipient_id")
            if command.given_at.tzinfo is None:
                raise Refused("no_time_zone", field="given_at")
            if command.given_at > facts.now:
                raise Refused("in_the_future", field="given_at")
            if command.given_at < EARLIEST:
                raise Refused("too_long_ago", field="given_at")
            check_known(facts)
            # An old list imported again must not undo what the person said since: their opt-out stands until a
            # person records a newer consent.
            if recipient.opted_out and not outweighs(command, recipient):
                raise Refused("opted_out", field="recipient_id")
            if recipient.consented:
                return []
            return [ConsentRecorded(command.source, command.given_at, command.proof)]
        case ReceiveMessage():
            if recipient.erased:
                return []
            check_known(facts)
            return receive(recipient, command, facts)
        case OptOut():
            if recipient.opted_out or recipient.erased:
                return []
            check_known(facts)
            return [RecipientOptedOut(facts.now)]
    raise TypeError(type(command))


def receive(recipient: Recipient, command: ReceiveMessage, facts: Facts) -> Sequence[Event]:
    """What a message comes to. One that says that the person wants no more opts them out."""
    received = MessageReceived(command.account_id, command.message_id, command.kind, command.sent_at, command.answers)
    opted_out = RecipientOptedOut(facts.now, OptOutSource.MESSAGE)
    return [received, opted_out] if command.opts_out and not recipient.opted_out else [received]


def check_known(facts: Facts) -> None:
    """A mistyped id must not pass for an opt-out or an erasure, nor begin what is another workspace's to be told."""
    if not facts.held:
        raise Refused("unknown_recipient", field="recipient_id")


def outweighs(consent: RecordConsent, recipient: Recipient) -> bool:
    """Whether a consent counts after an opt-out: given later, and not merely claimed by a list that was imported."""
    if consent.source is ConsentSource.IMPORT or recipient.opted_out_at is None:
        return False
    return consent.given_at > recipient.opted_out_at


def evolve(recipient: Recipient, event: Event) -> Recipient:
    match event:
        case ConsentRecorded():
            return replace(recipient, consented=True, opted_out=False)
        case RecipientOptedOut(at):
            return replace(recipient, consented=False, opted_out=True, opted_out_at=at)
        case RecipientErased():
            return Recipient(erased=True)
    return recipient


def reads(command: Command, workspace: WorkspaceId) -> Sequence[StreamId]:
    return (ws.stream(workspace),)


DECIDER = Decider("recipient", Recipient(), decide, evolve, reads)
