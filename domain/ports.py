"""What the domain needs from outside, as Protocols; adapters fulfil them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.content import MediaKind
from domain.directory import Group, Listed, Person
from domain.message import Actor, Command, Digest, Frozen, StreamId, WorkspaceId
from domain.outgoing import Outgoing


class SessionState(StrEnum):
    """How a linked WhatsApp session stands, as its driver sees it."""

    LAUNCHING = "launching"
    LOADING = "loading"
    QR = "qr"
    SYNCING = "syncing"
    READY = "ready"
    DEGRADED = "degraded"
    RESTRICTED = "restricted"
    CONFLICT = "conflict"
    LOGGED_OUT = "logged_out"
    DEAD = "dead"


class Ack(StrEnum):
    """How far a message got, as WhatsApp's acknowledgements tell (0 clock … 4 played, below 0 failed)."""

    FAILED = "failed"
    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The session moved to another state; `reason` is an enum-like word, never the page's own text."""

    state: SessionState
    reason: str


@dataclass(frozen=True, slots=True)
class AckChanged:
    """A receipt came for messages that this account sent (only the last part of WhatsApp's key)."""

    wa_ids: tuple[str, ...]
    ack: Ack


class Arrived(StrEnum):
    """What kind of message came in."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACT = "contact"
    POLL = "poll"
    VOTE = "vote"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A person wrote to this account, or voted in a poll of ours; groups and reactions are left out.

    `wa_id` is the last part of WhatsApp's key; `number` is E.164, empty when WhatsApp tells only the linked id;
    `text` is what was written, a caption, or the choices voted for, a line each; `answers` is the id of the message
    of ours that it quotes or votes in; `at` is in seconds since 1970. It may come twice: `wa_id` tells.
    """

    wa_id: str
    kind: Arrived
    at: float
    number: str = field(repr=False)
    lid: str = field(repr=False)
    text: str = field(default="", repr=False)
    answers: str | None = None


Notice = StateChanged | AckChanged | MessageArrived


class SendRejected(Exception):
    """The send is known not to have happened: nothing reached the wire. `reason` is an enum-like word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SendUncertain(Exception):
    """Nobody can tell whether the send happened (deadline passed, page gone). Never act again on this alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unanswered(Exception):
    """The session cannot tell at the moment. `reason` is an enum-like word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Messenger(Protocol):
    """One account's session with a messaging service. One owner, one browser, no retries inside."""

    @property
    def state(self) -> SessionState: ...

    @property
    def reason(self) -> str: ...

    @property
    def process_group(self) -> int | None:
        """The process group of the browser, to be recorded before it opens the profile's data."""

    async def start(self, on_notice: Callable[[Notice], None]) -> None:
        """Open the session and return once the page is loading; states follow as notices."""

    async def stop(self) -> None:
        """Close the browser; afterwards its whole process group is gone."""

    async def qr(self) -> str | None:
        """The payload to scan now, or None when the session does not wait for one. A secret: never stored."""

    async def link_code(self, number: str) -> str:
        """The code to type on the phone that has this E.164 number, instead of a scan. A secret. Raises Unanswered."""

    async def log_out(self) -> None:
        """Unlink the phone; the state follows as a notice. Raises Unanswered when WhatsApp was not told."""

    async def send(
        self, number: str, message: Outgoing, wa_id: str, deadline: float, *, quoted: str | None = None
    ) -> Ack:
        """Send one message to an E.164 number under our own message id; within `deadline` seconds.

        `quoted` is the id of an earlier message of ours to the same number, which this one answers.
        Returns the acknowledgement known on return (at least SENT). Raises SendRejected or SendUncertain.
        """

    async def found(self, sent: Sequence[tuple[str, str]]) -> Mapping[str, Ack]:
        """Of messages of ours, each named by the number it went to and our id: how far they got, as the service says.

        One that is left out was perhaps sent all the same. Raises Unanswered.
        """

    async def typing(self, number: str, seconds: float) -> None:
        """Show as typing to an E.164 number; comes back when the time is over. A courtesy: it fails in silence."""

    async def exists(self, number: str) -> bool:
        """Whether an E.164 number has a WhatsApp account. Raises Unanswered."""

    async def forget(self, number: str) -> None:
        """Delete the chat with an E.164 number, if there is one. Raises Unanswered when it may still be there."""

    async def numbers(self, lids: Collection[str]) -> Mapping[str, str]:
        """The E.164 numbers behind linked ids, of those that the service tells. Raises Unanswered."""

    async def own(self) -> Person:
        """The number and the linked id of the account itself. Raises Unanswered."""

    async def contacts(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Person]:
        """The people in the account's address book whose name or id holds the words, by name. Raises Unanswered."""

    async def groups(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Group]:
        """The account's groups whose name or id holds the words, by name. Raises Unanswered."""

    async def members(self, group: str, offset: int = 0, limit: int = 100) -> Listed[Person]:
        """The people in a group. Raises Unanswered."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Facts of a decision that lie outside the log, and how to keep what the decision then relies on."""

    frozen: Frozen | None = None
    imported: Digest | None = None
    keep: Callable[[], Awaitable[None]] | None = None  # awaited after acceptance, before the append


class Files(Protocol):
    """Tells what each of a workspace's files may be sent as, and keeps it for another while."""

    async def kinds(
        self, workspace: WorkspaceId, media: Collection[Digest]
    ) -> Mapping[Digest, Collection[MediaKind]]: ...


class Gather(Protocol):
    """Collects those facts for a submission or an import, given the states that were read for it."""

    async def __call__(self, command: Command, actor: Actor, states: Mapping[StreamId, Any]) -> Gathered: ...

    async def held(self, people: Collection[tuple[WorkspaceId, UUID]]) -> Collection[tuple[WorkspaceId, UUID]]:
        """Those of these people whom the vault holds for the workspace that they are named with."""
