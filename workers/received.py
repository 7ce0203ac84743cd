"""A command as it came from the bus: what can be told before anything is looked up."""

from dataclasses import dataclass
from uuid import UUID

from nats.aio.msg import Msg

from adapters import cloudevents, wire
from adapters.bus import Told
from adapters.cloudevents import Address, Answer
from adapters.inbox import CommandRow, Pending
from domain.essential import ESSENTIAL
from domain.message import Actor, Refused
from workers.requests import NO_STREAM, Outcome, Request, Turned, command_key


class Unreadable(Exception):
    """Nobody can be told of this message: its subject names no principal, or its headers no command id."""


@dataclass(slots=True)
class Received:
    """A readable command on its way to its outcome."""

    message: Msg
    address: Address
    command_id: UUID
    digest: bytes
    key: UUID
    sender: Address  # whose command this is: the workspace is the principal's own, whichever the subject names
    traceparent: str = ""
    reply_to: str = ""
    actor: Actor | None = None
    request: Request | None = None  # to be decided
    turned: Turned | None = None  # to be recorded as refused
    outcome: Outcome | None = None

    @classmethod
    def read(cls, message: Msg) -> "Received":
        """Raises Unreadable."""
        address = Address.read(message.subject)
        if address is None:
            raise Unreadable("no_principal")
        headers = message.headers or {}
        command_id = cloudevents.command_id(headers)
        if command_id is None:
            raise Unreadable("no_command_id")
        trace, to = cloudevents.traceparent(headers), cloudevents.reply_to(address, headers)
        digest = wire.digest(address.name, message.data)
        key = command_key(address.workspace, address.principal, command_id)
        return cls(message, address, command_id, digest, key, address, trace, to)

    def belongs_to(self, actor: Actor | None) -> None:
        """It was given by this actor (None: by a principal that nobody knows)."""
        if actor is not None and actor.workspace != self.address.workspace:
            self.sender = Address(actor.workspace, actor.id, self.address.name)
            self.key = command_key(actor.workspace, actor.id, self.command_id)
        self.actor = actor

    def answered_by(self, row: CommandRow | None) -> bool:
        """Whether the table's row answers this: it was answered before, or the id stands for another body."""
        if row is None or (row.state == "pending" and row.digest == self.digest):
            return False
        self.outcome = Outcome.of(row) if row.digest == self.digest else Outcome.id_reused()
        return True

    def checked(self) -> wire.Draft:
        """The body, checked, of a command that its sender may give. Raises Refused."""
        if self.actor is None:
            raise Refused("unknown_principal", field="actor")
        if self.actor.workspace != self.address.workspace:
            raise Refused("foreign_workspace", field="workspace")
        wire.check_role(self.address.name, self.actor.roles)
        cloudevents.check_headers(self.address, self.message.headers or {})
        return wire.parse(self.address.name, self.message.data)

    def put_off(self) -> bool:
        """Refuse it, if it can wait, for want of room: not recorded, so that it may be given again under its id."""
        if self.address.name in ESSENTIAL:
            return False
        self.outcome = Outcome("refused", NO_STREAM, 0, rule="disk_full", field="server")
        return True

    def turn_away(self, refused: Refused) -> None:
        """It will be recorded as refused."""
        to = self.sender
        self.turned = Turned(
            to.workspace, to.principal, self.command_id, to.name, self.digest, self.traceparent, refused
        )

    def pending(self) -> Pending:
        """What the table needs to know to mark it crashed."""
        to = self.sender
        return Pending(
            self.key, self.command_id, to.workspace, to.principal, to.name, self.digest, b"", self.traceparent
        )

    def counted(self) -> tuple[str, str, str]:
        """Under which name, state and rule it is counted; an old answer given again is no outcome."""
        outcome = self.outcome
        assert outcome is not None
        again = outcome.repeated and outcome.rule != "id_reused"
        return (self.address.name, "repeated", "") if again else (self.address.name, outcome.state, outcome.rule or "")

    def told(self) -> Told:
        """Its outcome, as its sender gets it."""
        outcome = self.outcome
        assert outcome is not None
        answer = Answer(
            self.command_id,
            outcome.state,
            outcome.rule,
            outcome.field,
            outcome.detail,
            outcome.stream,
            outcome.version,
            outcome.position,
            outcome.repeated,
        )
        return Told(answer, self.sender, self.reply_to, self.traceparent)
