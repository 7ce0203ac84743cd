"""A Messenger without a browser: the sandbox's world spoken to directly, in this process, at once."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.sandbox.nouns import Device, Hello, Refused, Stanza, lid_of
from adapters.sandbox.world import World
from domain.outgoing import Outgoing, Text
from domain.ports import (
    Ack,
    AckChanged,
    Arrived,
    MessageArrived,
    Notice,
    SendRejected,
    SendUncertain,
    SessionState,
    StateChanged,
)

Notify = Callable[[Notice], None]
ACKS = (Ack.PENDING, Ack.SENT, Ack.DELIVERED, Ack.READ)


@dataclass(slots=True)
class Profile:
    """What a browser's profile would keep: give it to the next InstantMessenger, and that one is linked already."""

    device: str = field(default_factory=lambda: secrets.token_hex(9).upper())
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    keys: str = field(default_factory=lambda: ",".join(_key() for _ in range(3)))
    linked: bool = False
    rows: set[str] = field(default_factory=set)


class InstantMessenger:
    """One account of a World, as a Messenger.

    Differences from the browser: `qr()` shows one code until its list ends, and a send that would hang for ever is
    uncertain at once, without waiting for its deadline.
    """

    process_group: int | None = None

    def __init__(self, world: World, profile: Profile | None = None) -> None:
        self._world = world
        self._profile = profile or Profile()
        self._device: Device | None = None
        self._state, self._reason = SessionState.LAUNCHING, "created"
        self._notify: Notify = _ignore

    @property
    def state(self) -> SessionState:
        return self._state

    @property
    def reason(self) -> str:
        return self._reason

    async def start(self, on_notice: Notify) -> None:
        self._notify = on_notice
        self._become(SessionState.LOADING, "page_loading")
        kept = self._profile
        hello = Hello(kept.device, kept.secret, kept.keys, linked=kept.linked)
        try:
            self._device = self._world.connect(hello, self._take)
        except Refused:
            self._take({"type": "logout"})

    async def stop(self) -> None:
        if self._device is not None:
            self._world.disconnect(self._device, self._take)
            self._device = None
        self._become(SessionState.DEAD, "stopped")

    async def qr(self) -> str | None:
        if self._state is not SessionState.QR or self._device is None:
            return None
        if self._world.payload(self._device) is None:
            self._world.new_codes(self._device)
        return self._world.payload(self._device)

    async def send(
        self, number: str, message: Outgoing, wa_id: str, deadline: float, *, quoted: str | None = None
    ) -> Ack:
        if not isinstance(message, Text) or quoted is not None:
            raise SendRejected("unknown_kind")
        if deadline <= 0:
            raise SendRejected("deadline")
        if self._device is None or self._state is not SessionState.READY:
            raise SendRejected("not_ready")
        if self._world.exists(number) is None:
            raise SendRejected("not_on_whatsapp")
        if wa_id in self._profile.rows:
            raise SendUncertain("duplicate_id")
        self._profile.rows.add(wa_id)
        answer = self._world.send(self._device, wa_id, lid_of(number), message.text)
        if "kill" in answer:
            await self.stop()
            raise SendUncertain("page_gone")
        if "hang" in answer or "stuck" in answer:
            raise SendUncertain("deadline")
        if "nack" in answer:
            raise SendRejected("refused_by_server")
        self._notify(AckChanged((wa_id,), Ack.SENT))
        return Ack.SENT

    def _take(self, stanza: Stanza) -> None:
        match stanza:
            case {"type": "codes"}:
                self._become(SessionState.QR, "scan")
            case {"type": "paired" | "online"}:
                self._profile.linked = True
                self._become(SessionState.READY, "main")
            case {"type": "receipt", "id": wa_id, "ack": ack}:
                self._notify(AckChanged((wa_id,), ACKS[ack]))
            case {"type": "message", "id": wa_id, "at": at, "number": number, "lid": lid, "body": body}:
                kind, answers = Arrived(stanza["content"]["kind"]), stanza["quoted"]
                self._notify(MessageArrived(wa_id, kind, at, number, lid, body, answers))
                self._stored(stanza["mail"])
            case {"type": "logout"}:
                self._profile.linked = False
                self._become(SessionState.LOGGED_OUT, "unlinked")

    def _stored(self, mail: int) -> None:
        # What was waiting comes before `connect` has returned.
        device = self._world.devices.get(self._profile.device)
        if device is not None:
            self._world.post.got(device, mail)

    def _become(self, state: SessionState, reason: str) -> None:
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._notify(StateChanged(state, reason))


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _ignore(_notice: Notice) -> None:
    """Nobody listens yet."""
