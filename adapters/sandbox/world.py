"""The far side of WhatsApp: the devices linked to phones, the server between, and what it takes from them."""

import secrets
import time
from pathlib import Path

from adapters.sandbox.chats import NAME as CHATS
from adapters.sandbox.chats import Chats
from adapters.sandbox.contents import Content, Text, hashed
from adapters.sandbox.faults import Faults
from adapters.sandbox.ledger import NAME as LEDGER
from adapters.sandbox.ledger import Ledger, read
from adapters.sandbox.nouns import SENT, Device, Group, Hello, Refused, Sink, Stanza, lid_of, number_of
from adapters.sandbox.post import Post, Timings

__all__ = ["Timings", "World"]

LETTERS = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"  # of codes that people type


class World:
    """All phones and the server. One event loop; what happened survives a restart in `data_dir`."""

    def __init__(
        self, data_dir: Path, timings: Timings | None = None, faults: Faults | None = None, *, durable: bool = True
    ) -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.faults = faults or Faults()
        self.faults.told = self._faults_changed
        self.ledger = Ledger(data_dir / LEDGER, durable=durable)
        self.chats = Chats(data_dir / CHATS)
        self.devices = {device.id: device for device in self.chats.devices()}
        self.post = Post(self.chats, timings or Timings(), self.devices)
        self._typing: dict[tuple[str, str], float] = {}
        self._recall(data_dir / LEDGER)

    @property
    def timings(self) -> Timings:
        return self.post.timings

    @timings.setter
    def timings(self, timings: Timings) -> None:
        self.post.timings = timings

    # -- the linked device's side -------------------------------------------------------------------------------

    def connect(self, hello: Hello, sink: Sink) -> Device:
        """A browser comes online: a linked one with its secret, or one that wants to be linked. Raises Refused."""
        if not hello.linked:
            return self._connect_unlinked(hello, sink)
        device = self.known(hello.device, hello.secret)
        assert device.phone is not None
        if hello.started and self.faults.strikes("session_lost", device.phone):
            sink({"type": "forgotten"})
            return device
        device.sink = sink
        self._tell_faults(device)
        sink({"type": "online", "me": self.contact(device.phone)})
        acks = {wa_id: self.acknowledged(device.phone, wa_id) for wa_id in hello.unacked}
        sink({"type": "acks", "acks": acks})
        for stanza in self.chats.mail(device.phone, device.got):
            sink(stanza)
        return device

    def _connect_unlinked(self, hello: Hello, sink: Sink) -> Device:
        device = self.devices.setdefault(hello.device, Device(hello.device, hello.secret, hello.keys))
        if not secrets.compare_digest(device.secret, hello.secret):
            raise Refused("unknown_companion")
        device.sink = sink
        self._tell_faults(device)
        if device.phone is None:
            self.new_codes(device)
        else:  # it was scanned while its line was down
            sink({"type": "paired", "me": self.contact(device.phone)})
        return device

    def disconnect(self, device: Device, sink: Sink) -> None:
        if device.sink is sink:
            device.sink = None
            if device.phone is None:
                self.devices.pop(device.id, None)

    def known(self, device_id: str, secret: str) -> Device:
        """The linked device that makes a request. Raises Refused."""
        device = self.devices.get(device_id)
        if device is None or device.phone is None or not secrets.compare_digest(device.secret, secret):
            raise Refused("unknown_companion")
        return device

    def new_codes(self, device: Device) -> None:
        """A fresh list of QR codes; each stands for its time, after the last the browser falls idle."""
        if self.faults.strikes("no_code", None):
            return
        times, until = self.timings, time.time()
        device.codes = []
        for index in range(0 if self.faults.strikes("codes_run_out", None) else times.codes):
            until += times.next_code if index else times.first_code
            device.codes.append((f"2@{secrets.token_urlsafe(48)}", until))
        refs = [ref for ref, _ in device.codes]
        device.push({"type": "codes", "refs": refs, "first": times.first_code, "next": times.next_code})

    def exists(self, number: str) -> dict[str, str] | None:
        if self.faults.strikes("not_on_whatsapp", number):
            return None
        return self.contact(number)

    def chat_of(self, number: str) -> dict[str, str] | None:
        """The contact to open a chat with, by its LID; None when no LID is found."""
        return None if self.faults.strikes("no_lid", number) else self.contact(number)

    def send(self, device: Device, wa_id: str, lid: str, content: Content | str, quoted: str | None = None) -> Stanza:
        """A message arrives on the wire: into the ledger, on disk, and only then the answer."""
        assert device.phone is not None
        account, chat = device.phone, number_of(lid)
        content = Text(text=content) if isinstance(content, str) else content
        refusal = self._refusal(account, chat)
        if refusal is not None:
            return refusal
        message = self.chats.take(account, chat, wa_id, content, quoted)
        entry = self.ledger.write(account, chat, wa_id, hashed(content), content.kind)
        if self.faults.strikes("wire_doubled", chat):
            self.ledger.write(account, chat, wa_id, hashed(content), content.kind)
        self.chats.keep_ack(message, max(message.ack, SENT))
        self.post.carry(message, told=not self.faults.strikes("receipts_lost", chat))
        if self.faults.strikes("killed_after_wire", chat):
            return {"kill": "killed_after_wire"}
        if self.faults.strikes("navigation", chat):
            device.push({"type": "reload"})
            return {"hang": True}
        if self.faults.strikes("hang_after_wire", chat):
            return {"hang": True}
        return {"ack": SENT, "at": entry.at}

    def _refusal(self, account: str, chat: str) -> Stanza | None:
        """What befalls a message before it is on the wire."""
        if self.faults.strikes("ack_stuck", chat):
            return {"stuck": True}
        if self.faults.strikes("hang_before_wire", chat):
            return {"hang": True}
        if self.faults.strikes("profile_locked", chat):
            return {"kill": "profile_locked"}
        if self.faults.strikes("nack", chat):
            return {"nack": 500}
        if not self.chats.wrote(chat, account):
            if self.faults.strikes("reachout_locked", chat):
                return {"nack": 463}
            if self.faults.strikes("new_chats_capped", chat):
                return {"nack": "NewChatMessagesCapped"}
        return None

    def typing(self, device: Device, lid: str, seconds: float) -> None:
        """The account is seen as typing for so long, or no more."""
        assert device.phone is not None
        chat = self.post.phone(number_of(lid))
        self._typing[device.phone, chat.number] = time.time() + seconds
        chat.version += 1

    def types(self, account: str, chat: str) -> bool:
        return time.time() < self._typing.get((account, chat), 0.0)

    def acknowledged(self, account: str, wa_id: str) -> int:
        """How far the server and the phone say that a message got."""
        message = self.chats.message(account, wa_id)
        return 0 if message is None else message.ack

    def link_code(self, device: Device, phone: str) -> str:
        """A code for a waiting browser, to be typed on the phone of this number instead of a scan."""
        device.typed = phone, "".join(secrets.choice(LETTERS) for _ in range(8))
        return device.typed[1]

    # -- the phones' side ---------------------------------------------------------------------------------------

    def scan(self, payload: str, phone: str, name: str = "") -> Device:
        """A phone scans a QR payload and links the browser that shows it. Raises Refused."""
        ref, _, keys = payload.partition(",")
        for device in self.devices.values():
            for code, until in device.codes:
                if code == ref and device.phone is None:
                    if time.time() > until or self.faults.strikes("codes_expired", phone):
                        raise Refused("code_expired")
                    if device.keys != keys:
                        raise Refused("code_altered")
                    if self.faults.stands("banned", phone):
                        raise Refused("account_locked")
                    return self._link(device, phone, name)
        raise Refused("code_unknown")

    def enter_code(self, phone: str, code: str) -> Device:
        """Somebody types a code on a phone, and so links the browser that asked for it. Raises Refused."""
        wanted = (phone, code.replace("-", "").strip().upper())
        for device in self.devices.values():
            if device.phone is None and device.typed == wanted:
                if self.faults.stands("banned", phone):
                    raise Refused("account_locked")
                return self._link(device, phone, "")
        raise Refused("code_unknown")

    def unlink(self, phone: str, device_id: str | None = None, reason: str = "unknown_companion") -> int:
        """The phone logs out one or all of its devices; returns how many."""
        gone = [device for device in self.post.linked(phone) if device_id in (None, device.id)]
        for device in gone:
            device.push({"type": "logout", "reason": reason})
            del self.devices[device.id]
            self.chats.drop_device(device)
        if phone in self.post.phones:
            self.post.phone(phone).version += 1
        return len(gone)

    def receive(self, phone: str, sender: str, text: str) -> int:
        """Somebody writes to an account; returns how many linked devices get it."""
        return self.post.write(self.post.phone(sender), phone, text)

    def name(self, names: dict[str, str]) -> None:
        """Give numbers names, as a phone's address book does."""
        for number, name in names.items():
            phone = self.post.phone(number)
            phone.name = name
            self.chats.keep_phone(phone)

    def contacts(self, account: str) -> list[dict[str, str]]:
        """Whom the address book of an account's phone knows: everybody with a name, but not the account itself."""
        named = (phone.number for phone in self.post.phones.values() if phone.name and phone.number != account)
        return [self.contact(number) for number in sorted(named)]

    def new_group(self, name: str, participants: tuple[str, ...]) -> Group:
        group = Group(f"120363{secrets.randbelow(10**12):012d}", name, participants)
        self.chats.keep_group(group)
        return group

    def payload(self, device: Device) -> str | None:
        """What the waiting browser's QR code says now."""
        now = time.time()
        return next((f"{ref},{device.keys}" for ref, until in device.codes if now <= until), None)

    def hang_up(self) -> None:
        """End every connection; browsers that are linked come back by themselves when they can."""
        for device in self.devices.values():
            device.push({"type": "bye"})

    def close(self) -> None:
        self.post.close()
        self.chats.close()
        self.ledger.close()

    def contact(self, number: str) -> dict[str, str]:
        return {"number": number, "lid": lid_of(number), "name": self.post.phone(number).name}

    # -- inside ---------------------------------------------------------------------------------------------------

    def _link(self, device: Device, number: str, name: str) -> Device:
        phone = self.post.phone(number)
        self.post.must_be_on(phone)
        device.phone, device.codes, device.typed = number, [], None
        device.since, device.got = time.time(), self.chats.last_mail()
        phone.name, phone.version = name or phone.name, phone.version + 1
        self.chats.keep_phone(phone)
        self.chats.keep_device(device)
        self._tell_faults(device)
        device.push({"type": "paired", "me": self.contact(number)})
        return device

    def _recall(self, ledger: Path) -> None:
        """A server that forgot what it took would have every outbox send it again: the ledger knows."""
        taken = {(message.sender, message.wa_id): message for message in self.chats.taken()}
        if taken:
            for entry in read(ledger):
                message = taken.get((entry.account, entry.wa_id))
                if message is not None:
                    self.chats.keep_ack(message, SENT)

    def _tell_faults(self, device: Device) -> None:
        armed = self.faults.in_the_page(device.phone)
        device.push({"type": "faults", "armed": armed, "change": self.faults.changes})

    def _faults_changed(self) -> None:
        for device in list(self.devices.values()):
            if device.phone is not None and self.faults.stands("banned", device.phone):
                self.unlink(device.phone, reason="account_locked")
            else:
                self._tell_faults(device)
