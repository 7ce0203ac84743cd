"""A messenger, in memory or in a browser, and the phones at its other end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from adapters.sandbox.client import SandboxControl
from adapters.sandbox.contents import fields
from adapters.sandbox.ledger import Entry, read
from adapters.sandbox.memory import InstantMessenger
from adapters.sandbox.world import Timings, World
from adapters.whatsapp_web.driver import WhatsAppWeb
from domain.ports import Ack, AckChanged, MessageArrived, Messenger, Notice
from tests.adapters.whatsapp.running import Sandbox

ACCOUNT = "+12025550100"


class Far(Protocol):
    """What people do at the other end. Numbers are in E.164."""

    async def scan(self, payload: str, phone: str) -> object: ...
    async def arm(self, fault: str, number: str) -> object: ...
    async def unlink(self, phone: str) -> object: ...
    async def write(self, sender: str, account: str, text: str, quoted: str | None = None) -> object: ...
    async def vote(self, voter: str, account: str, wa_id: str, choices: Sequence[int]) -> object: ...
    async def names(self, names: dict[str, str]) -> object: ...
    async def group(self, name: str, participants: Sequence[str]) -> str: ...
    async def shown(self, number: str, account: str, wa_id: str) -> dict[str, Any] | None:
        """What a phone shows of a message: `{"content": …, "quoted": …}`."""

    async def typing(self, number: str, account: str) -> bool:
        """Whether a phone shows that the account is typing."""


@dataclass
class Rig:
    """A messenger, the phones at its other end, and what it said."""

    messenger: Messenger
    far: Far
    ledger: Path
    notices: list[Notice] = field(default_factory=list)

    def wire(self, wa_id: str) -> list[Entry]:
        return [entry for entry in read(self.ledger) if entry.wa_id == wa_id]

    def acks(self, wa_id: str) -> list[Ack]:
        return [n.ack for n in self.notices if isinstance(n, AckChanged) and wa_id in n.wa_ids]

    def arrived(self, number: str) -> list[MessageArrived]:
        return [n for n in self.notices if isinstance(n, MessageArrived) and n.number == number]


class InMemory:
    """A world in this process."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def scan(self, payload: str, phone: str) -> None:
        self._world.scan(payload, phone)

    async def arm(self, fault: str, number: str) -> None:
        self._world.faults.arm(fault, number)

    async def unlink(self, phone: str) -> None:
        self._world.unlink(phone)

    async def write(self, sender: str, account: str, text: str, quoted: str | None = None) -> None:
        self._world.post.write(self._world.post.phone(sender), account, text, quoted)

    async def vote(self, voter: str, account: str, wa_id: str, choices: Sequence[int]) -> None:
        self._world.post.vote(self._world.post.phone(voter), account, wa_id, list(choices))

    async def names(self, names: dict[str, str]) -> None:
        self._world.name(names)

    async def group(self, name: str, participants: Sequence[str]) -> str:
        return self._world.new_group(name, tuple(participants)).id

    async def shown(self, number: str, account: str, wa_id: str) -> dict[str, Any] | None:
        for message in self._world.chats.conversation(number, account, 100):
            if message.wa_id == wa_id:
                return {"content": fields(message.content), "quoted": message.quoted}
        return None

    async def typing(self, number: str, account: str) -> bool:
        return self._world.types(account, number)


class BySandbox:
    """A sandbox's own control."""

    def __init__(self, control: SandboxControl) -> None:
        self._control = control
        self.scan, self.arm, self.unlink = control.scan, control.arm, control.unlink
        self.names, self.group = control.names, control.group

    async def write(self, sender: str, account: str, text: str, quoted: str | None = None) -> None:
        phone, other = await self._control.phone(sender), await self._control.phone(account)
        await phone.write(other, text, quoted)

    async def vote(self, voter: str, account: str, wa_id: str, choices: Sequence[int]) -> None:
        phone, other = await self._control.phone(voter), await self._control.phone(account)
        await phone.vote(other, wa_id, choices)

    async def shown(self, number: str, account: str, wa_id: str) -> dict[str, Any] | None:
        phone, other = await self._control.phone(number), await self._control.phone(account)
        return next((message for message in await phone.chat(other) if message["id"] == wa_id), None)

    async def typing(self, number: str, account: str) -> bool:
        phone, other = await self._control.phone(number), await self._control.phone(account)
        return bool((await self._control.call("GET", f"/control/phones/{phone.id}/chats/{other.id}"))["typing"])


def in_memory(tmp_path: Path) -> Rig:
    world = World(tmp_path, Timings(delivered_after=0.01, read_after=0.02, read_share=1.0), durable=False)
    return Rig(InstantMessenger(world), InMemory(world), world.ledger.path)


def in_browser(web: WhatsAppWeb, sandbox: Sandbox, tmp_path: Path) -> Rig:
    return Rig(web.session(tmp_path / "profile"), BySandbox(sandbox.control), sandbox.ledger)
