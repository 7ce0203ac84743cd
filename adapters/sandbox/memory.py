"""A Messenger without a browser: the sandbox's world spoken to directly, in this process, at once."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from adapters.sandbox import contents
from adapters.sandbox.nouns import Device, Hello, Refused, Stanza, lid_of, number_of
from adapters.sandbox.world import World
from domain.directory import Group, Listed, Person
from domain.outgoing import Contact, Location, Media, Outgoing, Poll, Text
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
    Unanswered,
)

Notify = Callable[[Notice], None]
T = TypeVar("T")
ACKS = (Ack.PENDING, Ack.SENT, Ack.DELIVERED, Ack.READ)


@dataclass(slots=True)
class Profile:
    """What a browser's profile would keep: give it to the next InstantMessenger, and that one is linked already."""

    device: str = field(default_factory=lambda: secrets.token_hex(9).upper())
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    keys: str = field(default_factory=lambda: ",".join(_key() for _ in range(3)))
    linked: bool = False
    rows: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)  # numbers whose chats were deleted


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
        self._registered: set[str] = set()  # numbers that are on WhatsApp: asked once

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

    async def link_code(self, number: str) -> str:
        if self._state is not SessionState.QR or self._device is None:
            raise Unanswered("not_waiting")
        return self._world.link_code(self._device, number)

    async def log_out(self) -> None:
        self._world.unlink(self._account(), self._profile.device)

    async def send(
        self, number: str, message: Outgoing, wa_id: str, deadline: float, *, quoted: str | None = None
    ) -> Ack:
        if deadline <= 0:
            raise SendRejected("deadline")
        if self._device is None or self._state is not SessionState.READY:
            raise SendRejected("not_ready")
        if number not in self._registered and self._world.exists(number) is None:
            raise SendRejected("not_on_whatsapp")
        self._registered.add(number)
        if wa_id in self._profile.rows:
            raise SendUncertain("duplicate_id")
        if quoted is not None and not self._knows(number, quoted):
            raise SendRejected("quoted_not_found")
        content = content_of(message)
        self._profile.rows.add(wa_id)
        answer = self._world.send(self._device, wa_id, lid_of(number), content, quoted)
        if "kill" in answer:
            await self.stop()
            raise SendUncertain("page_gone")
        if "hang" in answer or "stuck" in answer:
            raise SendUncertain("deadline")
        if "nack" in answer:
            raise SendRejected("refused_by_server")
        self._notify(AckChanged((wa_id,), Ack.SENT))
        return Ack.SENT

    async def found(self, sent: Sequence[tuple[str, str]]) -> Mapping[str, Ack]:
        acks = {wa_id: self._world.acknowledged(self._account(), wa_id) for _, wa_id in sent}
        return {wa_id: ACKS[ack] for wa_id, ack in acks.items() if ack > 0}

    async def typing(self, number: str, seconds: float) -> None:
        if self._state is SessionState.READY and self._device is not None:
            self._world.typing(self._device, lid_of(number), seconds)
            await asyncio.sleep(seconds)

    async def exists(self, number: str) -> bool:
        self._account()
        return self._world.exists(number) is not None

    async def forget(self, number: str) -> None:
        self._account()
        self._profile.forgotten.add(number)

    async def numbers(self, lids: Collection[str]) -> Mapping[str, str]:
        self._account()
        return {} if self._hidden() else {lid: number_of(lid) for lid in lids}

    async def own(self) -> Person:
        account = self._account()
        return Person(account, lid_of(account))

    async def contacts(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Person]:
        people = [Person(**contact) for contact in self._world.contacts(self._account())]
        found = [p for p in people if search.lower() in p.name.lower() or search.removeprefix("+") in p.lid]
        return _page(sorted(found, key=lambda person: (person.name, person.lid)), offset, limit)

    async def groups(self, search: str = "", offset: int = 0, limit: int = 100) -> Listed[Group]:
        known = self._world.chats.groups_of(self._account())
        groups = [Group(f"{group.id}@g.us", group.name, len(group.participants)) for group in known]
        found = [group for group in groups if search.lower() in group.name.lower() or search in group.id]
        return _page(sorted(found, key=lambda group: (group.name, group.id)), offset, limit)

    async def members(self, group: str, offset: int = 0, limit: int = 100) -> Listed[Person]:
        for known in self._world.chats.groups_of(self._account()):
            if f"{known.id}@g.us" == group:
                return _page([Person(**self._world.contact(n)) for n in known.participants], offset, limit)
        raise Unanswered("page_error")

    def _account(self) -> str:
        if self._device is None or self._device.phone is None or self._state is not SessionState.READY:
            raise Unanswered("not_ready")
        return self._device.phone

    def _knows(self, number: str, wa_id: str) -> bool:
        account = self._account()
        return number not in self._profile.forgotten and any(
            self._world.chats.message(sender, wa_id) is not None for sender in (account, number)
        )

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
                told = "" if self._hidden() else number
                self._notify(MessageArrived(wa_id, kind, at, told, lid, body, answers))
                self._stored(stanza["mail"])
            case {"type": "vote", "id": wa_id, "lid": lid, "choices": choices, "at": at}:
                self._voted(wa_id, lid, choices, at)
                self._stored(stanza["mail"])
            case {"type": "logout"}:
                self._profile.linked = False
                self._become(SessionState.LOGGED_OUT, "unlinked")

    def _hidden(self) -> bool:
        return self._world.faults.stands("numbers_hidden", self._device.phone if self._device else None)

    def _voted(self, wa_id: str, lid: str, choices: list[int], at: float) -> None:
        poll = self._world.chats.message(self._account(), wa_id)
        if poll is not None and isinstance(poll.content, contents.Poll):
            chosen = "\n".join(name for at, name in enumerate(poll.content.choices) if at in choices)
            vote = f"{wa_id}.{round(at * 1000)}"
            self._notify(MessageArrived(vote, Arrived.VOTE, at, number_of(lid), lid, chosen, wa_id))

    def _stored(self, mail: int) -> None:
        # What was waiting comes before `connect` has returned.
        device = self._world.devices.get(self._profile.device)
        if device is not None:
            self._world.post.got(device, mail)

    def _become(self, state: SessionState, reason: str) -> None:
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._notify(StateChanged(state, reason))


def content_of(message: Outgoing) -> contents.Content:
    """A message of the domain as it goes over the sandbox's wire, a file by its digest. Raises SendRejected."""
    match message:
        case Text():
            return contents.Text(text=message.text, mentions=message.mentions)
        case Media():
            try:
                digest = hashlib.sha256(message.file.read_bytes()).hexdigest()
            except FileNotFoundError:
                raise SendRejected("file_missing") from None
            shown = {"mimetype": message.mimetype, "filename": message.filename, "caption": message.caption}
            return contents.File(kind=message.kind.value, media=digest, **shown, mentions=message.mentions)
        case Location():
            latitude, longitude, name, address = message.latitude, message.longitude, message.name, message.address
            return contents.Place(latitude=latitude, longitude=longitude, name=name, address=address)
        case Contact():
            return contents.Card(name=message.name, number=message.number)
        case Poll():
            return contents.Poll(question=message.question, choices=message.choices, selectable=message.selectable)


def _page(items: Sequence[T], offset: int, limit: int) -> Listed[T]:
    return Listed(len(items), items[offset : offset + limit])


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _ignore(_notice: Notice) -> None:
    """Nobody listens yet."""
