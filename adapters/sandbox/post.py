"""How messages travel: to the phones when these are on, to linked browsers when these are online, and receipts back."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adapters.sandbox.chats import Chats
from adapters.sandbox.contents import Poll, Text, fields, written
from adapters.sandbox.nouns import DELIVERED, READ, SENT, Device, Message, Phone, Refused, Stanza, lid_of


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds: how long the first QR code and each next one stand, when receipts come after a send, and how long a
    slow file takes.

    `read_share` of the phones that nobody holds read what they get (which ones is fixed by their numbers).
    """

    first_code: float = 60.0
    next_code: float = 20.0
    codes: int = 6
    delivered_after: float = 0.5
    read_after: float = 1.5
    read_share: float = 0.75
    slow_media: float = 20.0


class Post:
    """The phones, and all that is on its way to them or to the browsers in `devices`."""

    def __init__(self, chats: Chats, timings: Timings, devices: Mapping[str, Device]) -> None:
        self._chats = chats
        self.timings = timings
        self._devices = devices
        self.phones = {phone.number: phone for phone in chats.phones()}
        self.by_id = {phone.id: phone for phone in self.phones.values()}
        self._untold: set[int] = set()
        self._closed = False

    def close(self) -> None:
        self._closed = True

    def resume(self) -> None:
        """What a killed server left on its way goes on."""
        for message in self._chats.on_their_way():
            self._to_phone(message)

    def phone(self, number: str) -> Phone:
        """The phone of a number; everybody has one."""
        phone = self.phones.get(number)
        if phone is None:
            phone = Phone(number, secrets.token_hex(8))
            self.phones[number] = self.by_id[phone.id] = phone
            self._chats.keep_phone(phone)
        return phone

    def known(self, phone_id: str) -> Phone:
        """The phone that an id stands for. Raises Refused."""
        phone = self.by_id.get(phone_id)
        if phone is None:
            raise Refused("unknown_phone")
        return phone

    def linked(self, number: str) -> Iterator[Device]:
        return (device for device in self._devices.values() if device.phone == number)

    def carry(self, message: Message, *, told: bool = True) -> int:
        """A message that the server took goes to its recipient's phone and browsers; returns how many browsers.

        `told`: whether the sender's browsers hear how far it got.
        """
        if not told:
            self._untold.add(message.seq)
        for number in (message.sender, message.recipient):
            self.phone(number).last = message.seq
        self._seen(message)
        self._to_phone(message)
        return self._mail(message.recipient, self._arrival(message))

    # -- what a person does with a phone --------------------------------------------------------------------------

    def write(self, phone: Phone, to: str, text: str, quoted: str | None = None) -> int:
        """The phone sends a text; returns how many of the recipient's browsers are told. Raises Refused."""
        self.must_be_on(phone)
        wa_id = "3A" + secrets.token_hex(9).upper()
        message = self._chats.take(phone.number, to, wa_id, Text(text=text), quoted)
        self._chats.keep_ack(message, SENT)
        return self.carry(message)

    def read(self, phone: Phone, sender: str) -> int:
        """A person opens a chat: what lies there unread is read; returns how many messages. Raises Refused."""
        self.must_be_on(phone)
        unread = self._chats.unread(phone.number, sender)
        for message in unread:
            self._got(message, READ)
        return len(unread)

    def vote(self, phone: Phone, sender: str, wa_id: str, choices: list[int]) -> None:
        """The phone votes in a poll that it got, or takes its vote back with no choice. Raises Refused."""
        self.must_be_on(phone)
        message = self._chats.message(sender, wa_id)
        if message is None or phone.number not in (message.recipient, message.sender) or message.ack < DELIVERED:
            raise Refused("unknown_message")
        poll = message.content
        if not isinstance(poll, Poll):
            raise Refused("not_a_poll")
        if len(set(choices)) != len(choices) or not all(0 <= choice < len(poll.choices) for choice in choices):
            raise Refused("unknown_choice")
        if poll.selectable and len(choices) > poll.selectable:
            raise Refused("too_many_choices")
        at = time.time()
        self._chats.keep_vote(sender, wa_id, phone.number, choices, at)
        self._seen(message)
        vote = {"type": "vote", "id": wa_id, "lid": lid_of(phone.number), "choices": choices, "at": at}
        self._mail(sender, vote)

    def switch(self, phone: Phone, *, on: bool | None = None, held: bool | None = None) -> None:
        """Turn a phone on or off, take it into one's hand or lay it down. What waited for it comes when it is on."""
        phone.held = phone.held if held is None else held
        came_back = on is True and not phone.on
        phone.on = phone.on if on is None else on
        phone.version += 1
        self._chats.keep_phone(phone)
        if came_back:
            for message in self._chats.on_their_way(phone.number):
                self._to_phone(message)

    @staticmethod
    def must_be_on(phone: Phone) -> None:
        """Nothing is done with a phone that is off. Raises Refused."""
        if not phone.on:
            raise Refused("phone_is_off")

    # -- what browsers do -----------------------------------------------------------------------------------------

    def got(self, device: Device, mail: int) -> None:
        """A browser has stored its mail up to this number: what was written to it counts as delivered."""
        assert device.phone is not None
        stanza = self._chats.mail_numbered(device.phone, mail)
        if mail > device.got:
            device.got = mail
            self._chats.keep_device(device)
        if stanza is not None and stanza["type"] == "message":
            message = self._chats.message(stanza["number"], stanza["id"])
            if message is not None and message.ack < DELIVERED:
                self._got(message, DELIVERED)

    def opened(self, device: Device, sender: str) -> None:
        """A chat was opened in a browser: what lies there is read."""
        assert device.phone is not None
        for message in self._chats.unread(device.phone, sender):
            self._got(message, READ)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _to_phone(self, message: Message) -> None:
        if not self.phone(message.recipient).on:
            return
        self._later(self.timings.delivered_after, message, DELIVERED)
        if self._reads_by_itself(message.recipient):
            self._later(self.timings.read_after, message, READ)

    def _reads_by_itself(self, number: str) -> bool:
        share = int(hashlib.sha256(number.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        return share < self.timings.read_share and not self.phone(number).held and not any(self.linked(number))

    def _later(self, seconds: float, message: Message, ack: int) -> None:
        def arrive() -> None:
            phone = self.phone(message.recipient)
            if not self._closed and phone.on and not (ack == READ and phone.held):
                self._got(message, ack)

        asyncio.get_running_loop().call_later(seconds, arrive)

    def _got(self, message: Message, ack: int) -> None:
        """A message got further; its sender's browsers and both phones see it."""
        now = self._chats.message(message.sender, message.wa_id)
        if now is None or now.ack >= ack:
            return
        self._chats.keep_ack(message, ack)
        self._seen(message)
        if message.seq not in self._untold:
            stanza = {"type": "receipt", "id": message.wa_id, "lid": lid_of(message.recipient), "ack": ack}
            for device in self.linked(message.sender):
                device.push(stanza)

    def _seen(self, message: Message) -> None:
        for number in (message.sender, message.recipient):
            self.phone(number).version += 1

    def _arrival(self, message: Message) -> Stanza:
        sender = self.phone(message.sender)
        return {
            "type": "message",
            "id": message.wa_id,
            "at": message.at,
            "body": written(message.content),
            "content": fields(message.content),
            "quoted": message.quoted,
            "number": sender.number,
            "lid": lid_of(sender.number),
            "name": sender.name,
        }

    def _mail(self, account: str, stanza: Stanza) -> int:
        devices = list(self.linked(account))
        if devices:
            numbered = self._chats.post(account, stanza)
            for device in devices:
                device.push(numbered)
        return len(devices)
