"""CloudEvents in NATS binary mode: which subject and headers a command, an event and an outcome have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import orjson

from adapters.codec import body
from domain import catalog
from domain.message import PrincipalId, Recorded, Refused, WorkspaceId

Headers = dict[str, str]

SPEC, ID, TYPE = "ce-specversion", "ce-id", "ce-type"
SOURCE, SUBJECT, TIME = "ce-source", "ce-subject", "ce-time"
TRACEPARENT = "traceparent"
MSG_ID = "Nats-Msg-Id"
REPLY_TO = (
    "Drl-Reply-To"  # where the sender of a command wants its outcome; a JetStream publish has no reply of its own
)
PREVIOUS, POSITION = "Drl-Prev", "Drl-Position"
VERSION = "1.0"
INBOX = re.compile(r"_INBOX(\.[A-Za-z0-9_-]{1,64}){1,8}")
TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
COMMAND_NAME = re.compile(r"[a-z0-9-]{1,40}\.[a-z0-9-]{1,40}")
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Address:
    """What a command's subject says: `cmd.<workspace>.<principal>.<aggregate>.<verb>`."""

    workspace: WorkspaceId
    principal: PrincipalId
    name: str

    @classmethod
    @lru_cache(maxsize=4_096)
    def read(cls, subject: str) -> "Address | None":
        """The address in a subject; None when workspace and principal cannot be read."""
        prefix, *tokens = subject.split(".")
        if prefix != "cmd" or len(tokens) < 2 or not all(map(TOKEN.fullmatch, tokens[:2])):
            return None
        name = ".".join(tokens[2:])
        return cls(WorkspaceId(tokens[0]), PrincipalId(tokens[1]), name if COMMAND_NAME.fullmatch(name) else UNREADABLE)

    @property
    def subject(self) -> str:
        return f"cmd.{self.workspace}.{self.principal}.{self.name}"


@dataclass(slots=True)
class Answer:
    """An outcome, as its sender gets to see it."""

    command_id: UUID
    state: str
    rule: str | None
    field: str | None
    detail: Mapping[str, object]
    stream: str
    version: int
    position: int | None
    repeated: bool


def command_headers(
    address: Address, command_id: UUID, now: datetime, traceparent: str = "", reply_to: str = ""
) -> Headers:
    """The headers a command is published with."""
    headers = {
        MSG_ID: str(command_id),
        SPEC: VERSION,
        ID: str(command_id),
        TYPE: f"drumline.cmd.{address.name}",
        SOURCE: f"/drumline/{address.workspace}/{address.principal}",
        TIME: stamp(now),
    }
    if traceparent:
        headers[TRACEPARENT] = traceparent
    if reply_to:
        headers[REPLY_TO] = reply_to
    return headers


def command_id(headers: Mapping[str, str]) -> UUID | None:
    """The id a command's sender gave it, if it is a UUID."""
    try:
        return UUID(headers.get(ID, ""))
    except ValueError:
        return None


def check_headers(address: Address, headers: Mapping[str, str]) -> None:
    """Refuse a command whose headers are no CloudEvent or contradict its subject."""
    for name, wanted in ((SPEC, VERSION), (TYPE, f"drumline.cmd.{address.name}")):
        given = headers.get(name)
        if given is None:
            raise Refused("missing", field=name)
        if given != wanted:
            raise Refused("mismatch", field=name)


def traceparent(headers: Mapping[str, str]) -> str:
    """The trace a command belongs to; a malformed one is as none."""
    given = headers.get(TRACEPARENT)
    return given if given and TRACE.fullmatch(given) else ""


def reply_to(address: Address, headers: Mapping[str, str]) -> str:
    """Where else the outcome goes: an inbox of the sender's own, so that nobody tells others of outcomes through us."""
    given = headers.get(REPLY_TO, "")
    own = given.startswith(f"_INBOX.{address.principal}.") and INBOX.fullmatch(given)
    return given if own else ""


def buried(address: Address | None, headers: Mapping[str, str]) -> tuple[str, Headers]:
    """What of a dead message's subject and headers may be kept in the clear: nothing that its sender made up."""
    if address is None:
        return "cmd", {}
    name = address.name if address.name in catalog.COMMANDS else UNREADABLE
    given = command_id(headers)
    kept = {ID: str(given), TYPE: f"drumline.cmd.{name}"} if given else {TYPE: f"drumline.cmd.{name}"}
    return Address(address.workspace, address.principal, name).subject, kept


def event_message(recorded: Recorded, previous: int) -> tuple[str, Headers, bytes]:
    """Subject, headers and body of an event; `previous` is the position before it, by which a reader sees a hole."""
    envelope = recorded.envelope
    name = catalog.EVENT_NAMES[type(recorded.event)]
    event_id = str(envelope.event_id)
    headers = {
        MSG_ID: event_id,
        SPEC: VERSION,
        ID: event_id,
        TYPE: f"drumline.{name}",
        SOURCE: f"/drumline/{envelope.workspace}",
        SUBJECT: recorded.stream,
        TIME: stamp(envelope.time),
        POSITION: str(recorded.position),
        PREVIOUS: str(previous),
    }
    if envelope.traceparent:
        headers[TRACEPARENT] = envelope.traceparent
    return f"evt.{envelope.workspace}.{name}", headers, body(recorded.event)


def structured(recorded: Recorded) -> str:
    """An event as one JSON text (CloudEvents' structured mode); `position`, where it stands in the log, is ours."""
    envelope = recorded.envelope
    attributes = {
        "specversion": VERSION,
        "id": envelope.event_id,
        "type": f"drumline.{catalog.EVENT_NAMES[type(recorded.event)]}",
        "source": f"/drumline/{envelope.workspace}",
        "subject": recorded.stream,
        "time": stamp(envelope.time),
        "datacontenttype": "application/json",
        "position": str(recorded.position),  # a text: CloudEvents' whole numbers have 32 bits
    }
    if envelope.traceparent:
        attributes["traceparent"] = envelope.traceparent
    return orjson.dumps({**attributes, "data": recorded.event}).decode()


def outcome_message(answer: Answer, workspace: WorkspaceId, now: datetime, trace: str) -> tuple[Headers, bytes]:
    """Headers and body of an outcome; a repeated one has the id of the first."""
    headers = {
        SPEC: VERSION,
        ID: f"{answer.command_id}-outcome",
        TYPE: f"drumline.outcome.{answer.state}",
        SOURCE: f"/drumline/{workspace}",
        TIME: stamp(now),
    }
    if answer.stream:
        headers[SUBJECT] = answer.stream
    if trace:
        headers[TRACEPARENT] = trace
    return headers, orjson.dumps(answer)


@lru_cache(maxsize=64)  # those of one batch share theirs
def stamp(time: datetime) -> str:
    """A time as RFC 3339 writes it, in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
