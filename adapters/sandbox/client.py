"""A small client of the sandbox's control: what people do with their phones, for the demo and for tests."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx


class ControlRefused(Exception):
    """The sandbox said no; `reason` is an enum-like word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SandboxControl:
    """`async with SandboxControl("http://127.0.0.1:20300") as phone: await phone.scan(payload, "+12025550100")`."""

    def __init__(self, url: str) -> None:
        # Proxies of the environment are for the outside, never for this machine.
        self._http = httpx.AsyncClient(base_url=url, timeout=10.0, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def alive(self, within: float = 10.0) -> None:
        """Wait until the sandbox answers. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await self._http.get("/control/phones")).is_success:
                        return
                await asyncio.sleep(0.05)

    async def scan(self, payload: str, phone: str, name: str = "") -> str:
        """The phone of this number scans a QR payload; returns the linked device's id. Raises ControlRefused."""
        answer = await self.call("POST", "/control/scan", {"payload": payload, "phone": phone, "name": name})
        return str(answer["device"])

    async def enter_code(self, code: str, phone: str) -> str:
        """Somebody types a link code on a phone; returns the linked device's id. Raises ControlRefused."""
        return str((await self.call("POST", "/control/enter-code", {"code": code, "phone": phone}))["device"])

    async def phone(self, number: str, name: str = "") -> "SandboxPhone":
        """The phone of a number, made if need be."""
        answer = await self.call("POST", "/control/phones", {"phone": number, "name": name})
        return SandboxPhone(self, answer["id"])

    async def group(self, name: str, participants: Sequence[str]) -> str:
        """A group of phones, seen by the accounts among them; returns its id."""
        body = {"name": name, "participants": list(participants)}
        return str((await self.call("POST", "/control/groups", body))["id"])

    async def phones(self) -> dict[str, Any]:
        """`{"phones": [{id, phone, name, on, held, unread, devices}], "waiting": [{device, since, payload}]}`."""
        return await self.call("GET", "/control/phones")

    async def unlink(self, phone: str, device: str | None = None) -> int:
        """The phone logs out one or all of its linked devices; returns how many."""
        return int((await self.call("POST", "/control/unlink", {"phone": phone, "device": device}))["gone"])

    async def hang_up(self) -> None:
        """End the lines of all browsers, as a network does; they come back by themselves."""
        await self.call("DELETE", "/control/lines")

    async def inbound(self, phone: str, sender: str, text: str) -> int:
        """Somebody writes to an account; returns how many linked devices were told."""
        body = {"phone": phone, "sender": sender, "text": text}
        return int((await self.call("POST", "/control/inbound", body))["devices"])

    async def names(self, names: dict[str, str]) -> None:
        """Names of numbers, as the phones' address book has them."""
        await self.call("POST", "/control/names", names)

    async def arm(self, fault: str, number: str | None = None, times: int | None = None) -> None:
        """Arm a fault of adapters.sandbox.faults.FAULTS, for one number or all, some times or always.

        The number is the recipient's in a fault of sends, the account's own in any other.
        """
        await self.call("POST", "/control/faults", {"name": fault, "number": number, "times": times})

    async def armed(self) -> list[dict[str, Any]]:
        """The faults still waiting to happen: name, number, times."""
        return list((await self.call("GET", "/control/faults"))["armed"])

    async def disarm(self, fault: str | None = None) -> None:
        """This fault, or none at all, is armed afterwards."""
        await self.call("DELETE", "/control/faults" + (f"?name={fault}" if fault else ""))

    async def messages(self) -> list[dict[str, Any]]:
        """What recipients' phones show lately, newest first: account, chat, phone, name, id, kind, body, at, ack."""
        return list((await self.call("GET", "/control/messages"))["messages"])

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request of the control, and its answer. Raises ControlRefused."""
        response = await self._http.request(method, path, json=body)
        answer: dict[str, Any] = response.json()
        if response.is_error:
            detail = answer.get("detail")
            raise ControlRefused(answer.get("reason") or (detail["reason"] if isinstance(detail, dict) else "invalid"))
        return answer


class SandboxPhone:
    """One phone in a person's hand. Others are named by the ids of their phones."""

    def __init__(self, control: SandboxControl, phone_id: str) -> None:
        self.id = phone_id
        self._control = control

    async def look(self) -> dict[str, Any]:
        """The phone and the chats on it: id, phone, name, on, held, unread, devices, version, chats."""
        return await self._do("GET", "")

    async def chat(self, other: "SandboxPhone") -> list[dict[str, Any]]:
        """The messages of one chat, oldest first: id, mine, body, content, quoted, at, ack; of a poll votes, voted."""
        return list((await self._do("GET", f"/chats/{other.id}"))["messages"])

    async def write(self, other: "SandboxPhone", text: str, quoted: str | None = None) -> int:
        """Send a text; returns how many of the other's linked browsers are told. Raises ControlRefused."""
        return int((await self._do("POST", "/write", {"chat": other.id, "text": text, "quoted": quoted}))["devices"])

    async def read(self, other: "SandboxPhone") -> int:
        """Open a chat; returns how many messages are read thereby. Raises ControlRefused."""
        return int((await self._do("POST", "/read", {"chat": other.id}))["read"])

    async def vote(self, other: "SandboxPhone", message: str, choices: Sequence[int]) -> None:
        """Vote in a poll that the other sent, by the positions of the choices. Raises ControlRefused."""
        await self._do("POST", "/vote", {"chat": other.id, "message": message, "choices": list(choices)})

    async def switch(self, *, on: bool | None = None, held: bool | None = None) -> None:
        """Turn it on or off; take it into one's hand (it reads nothing by itself) or lay it down."""
        await self._do("POST", "/switch", {"on": on, "held": held})

    async def scan(self, payload: str) -> str:
        """Scan a QR payload; returns the linked device's id. Raises ControlRefused."""
        return str((await self._do("POST", "/scan", {"payload": payload}))["device"])

    async def _do(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return await self._control.call(method, f"/control/phones/{self.id}{path}", body)
