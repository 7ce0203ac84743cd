"""The far side of WhatsApp: phones, the devices linked to them, the server between, and what it delivers."""

import asyncio
import hashlib
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from adapters.sandbox.faults import Faults
from adapters.sandbox.ledger import NAME, Ledger, read
from adapters.sandbox.nouns import (
    DELIVERED,
    READ,
    SENT,
    Device,
    Hello,
    Refused,
    Sent,
    Sink,
    Stanza,
    lid_of,
    number_of,
)

RECENT = 200


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds: how long the first QR code and each next one stand, and when receipts come after a send.

    `read_share` of the recipients read what they get (which ones is fixed by their numbers).
    """

    first_code: float = 60.0
    next_code: float = 20.0
    codes: int = 6
    delivered_after: float = 0.5
    read_after: float = 1.5
    read_share: float = 0.75


class World:
    """All phones and the server. One event loop; linked devices and names survive a restart in `data_dir`."""

    def __init__(
        self, data_dir: Path, timings: Timings | None = None, faults: Faults | None = None, *, durable: bool = True
    ) -> None:
        self.timings = timings or Timings()
        self.faults = faults or Faults()
        self.ledger = Ledger(data_dir / NAME, durable=durable)
        self.devices: dict[str, Device] = {}
        self.names: dict[str, str] = {}
        self.phones: dict[str, float] = {}
        self.recent: deque[Sent] = deque(maxlen=RECENT)
        # A server that forgot what it took would have every outbox send it again.
        self._acks: dict[tuple[str, str], int] = {(entry.account, entry.wa_id): SENT for entry in read(data_dir / NAME)}
        self._state = data_dir / "phones.json"
        self._load()

    # -- the linked device's side -------------------------------------------------------------------------------

    def connect(self, hello: Hello, sink: Sink) -> Device:
        """A browser comes online: a linked one with its secret, or one that wants to be linked. Raises Refused."""
        if hello.linked:
            device = self.known(hello.device, hello.secret)
            assert device.phone is not None
            device.sink = sink
            sink({"type": "online", "me": self._contact(device.phone)})
            sink({"type": "acks", "acks": {i: self._acks.get((device.phone, i), 0) for i in hello.unacked}})
        else:
            device = self.devices.setdefault(hello.device, Device(hello.device, hello.secret, hello.keys))
            if not secrets.compare_digest(device.secret, hello.secret):
                raise Refused("unknown_companion")
            device.sink = sink
            if device.phone is None:
                self.new_codes(device)
        while device.waiting:
            sink(device.waiting.popleft())
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
        times, until = self.timings, time.time()
        device.codes = []
        for index in range(times.codes):
            until += times.next_code if index else times.first_code
            device.codes.append((f"2@{secrets.token_urlsafe(48)}", until))
        refs = [ref for ref, _ in device.codes]
        device.push({"type": "codes", "refs": refs, "first": times.first_code, "next": times.next_code})

    def exists(self, number: str) -> dict[str, str] | None:
        if self.faults.strikes("not_on_whatsapp", number):
            return None
        return self._contact(number)

    def send(self, device: Device, wa_id: str, lid: str, body: str) -> Stanza:
        """A message arrives on the wire: into the ledger, on disk, and only then the answer."""
        assert device.phone is not None
        account, chat = device.phone, number_of(lid)
        if self.faults.strikes("hang_before_wire", chat):
            return {"hang": True}
        if self.faults.strikes("nack", chat):
            return {"nack": 463}
        entry = self.ledger.write(account, chat, wa_id, body)
        if self.faults.strikes("wire_doubled", chat):
            self.ledger.write(account, chat, wa_id, body)
        message = Sent(account, chat, wa_id, body, entry.at)
        self.recent.append(message)
        self._acks[account, wa_id] = SENT
        if not self.faults.strikes("receipts_lost", chat):
            self._later(self.timings.delivered_after, device, message, DELIVERED)
            if int(hashlib.sha256(chat.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF < self.timings.read_share:
                self._later(self.timings.read_after, device, message, READ)
        if self.faults.strikes("hang_after_wire", chat):
            return {"hang": True}
        return {"ack": SENT, "at": entry.at}

    # -- the phones' side ---------------------------------------------------------------------------------------

    def scan(self, payload: str, phone: str, name: str = "") -> Device:
        """A phone scans a QR payload and links the browser that shows it. Raises Refused."""
        ref, _, keys = payload.partition(",")
        for device in self.devices.values():
            for code, until in device.codes:
                if code == ref and device.phone is None:
                    if time.time() > until:
                        raise Refused("code_expired")
                    if device.keys != keys:
                        raise Refused("code_altered")
                    return self._link(device, phone, name)
        raise Refused("code_unknown")

    def unlink(self, phone: str, device_id: str | None = None) -> int:
        """The phone logs out one or all of its devices; returns how many."""
        gone = [d for d in self.devices.values() if d.phone == phone and device_id in (None, d.id)]
        for device in gone:
            device.push({"type": "logout"})
            del self.devices[device.id]
        self._save()
        return len(gone)

    def receive(self, phone: str, sender: str, text: str) -> int:
        """Somebody writes to an account; returns how many linked devices get it."""
        wa_id = "3A" + secrets.token_hex(9).upper()
        told = [d for d in self.devices.values() if d.phone == phone]
        for device in told:
            device.push({"type": "message", "id": wa_id, "at": time.time(), "body": text, **self._contact(sender)})
        return len(told)

    def name(self, names: dict[str, str]) -> None:
        """Give numbers names, as a phone's address book does."""
        self.names.update(names)
        self._save()

    def payload(self, device: Device) -> str | None:
        """What the waiting browser's QR code says now."""
        now = time.time()
        return next((f"{ref},{device.keys}" for ref, until in device.codes if now <= until), None)

    def hang_up(self) -> None:
        """End every connection; browsers that are linked come back by themselves when they can."""
        for device in self.devices.values():
            if device.sink is not None:
                device.sink({"type": "bye"})

    def close(self) -> None:
        self.ledger.close()

    def _link(self, device: Device, phone: str, name: str) -> Device:
        device.phone, device.codes = phone, []
        device.since = time.time()
        self.phones.setdefault(phone, device.since)
        if name:
            self.names[phone] = name
        self._save()
        device.push({"type": "paired", "me": self._contact(phone)})
        return device

    def _later(self, seconds: float, device: Device, message: Sent, ack: int) -> None:
        def arrive() -> None:
            message.ack = max(message.ack, ack)
            self._acks[message.account, message.wa_id] = message.ack
            device.push({"type": "receipt", "id": message.wa_id, "lid": lid_of(message.chat), "ack": ack})

        asyncio.get_running_loop().call_later(seconds, arrive)

    def _contact(self, number: str) -> dict[str, str]:
        return {"number": number, "lid": lid_of(number), "name": self.names.get(number, "")}

    def _load(self) -> None:
        if not self._state.exists():
            return
        state = json.loads(self._state.read_text(encoding="utf-8"))
        self.phones, self.names = state["phones"], state["names"]
        self.devices = {d["id"]: Device(**d) for d in state["devices"]}

    def _save(self) -> None:
        linked = [d for d in self.devices.values() if d.phone is not None]
        kept = ("id", "secret", "keys", "phone", "since")
        state = {
            "phones": self.phones,
            "names": self.names,
            "devices": [{key: getattr(device, key) for key in kept} for device in linked],
        }
        draft = self._state.with_suffix(".new")
        draft.write_text(json.dumps(state), encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(self._state)
