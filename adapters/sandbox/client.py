"""A small client of the sandbox's control: what a person does with the phone, for the demo and for tests."""

import asyncio
import contextlib
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
        answer = await self._call("POST", "/control/scan", {"payload": payload, "phone": phone, "name": name})
        return str(answer["device"])

    async def phones(self) -> dict[str, Any]:
        """`{"phones": [{phone, name, devices}], "waiting": [{device, since, payload}]}`."""
        return await self._call("GET", "/control/phones")

    async def unlink(self, phone: str, device: str | None = None) -> int:
        """The phone logs out one or all of its linked devices; returns how many."""
        return int((await self._call("POST", "/control/unlink", {"phone": phone, "device": device}))["gone"])

    async def inbound(self, phone: str, sender: str, text: str) -> int:
        """Somebody writes to an account; returns how many linked devices were told."""
        body = {"phone": phone, "sender": sender, "text": text}
        return int((await self._call("POST", "/control/inbound", body))["devices"])

    async def names(self, names: dict[str, str]) -> None:
        """Names of numbers, as the phones' address book has them."""
        await self._call("POST", "/control/names", names)

    async def arm(self, fault: str, number: str | None = None, times: int | None = None) -> None:
        """Arm a fault of adapters.sandbox.faults.FAULTS, for one number or all, some times or always."""
        await self._call("POST", "/control/faults", {"name": fault, "number": number, "times": times})

    async def armed(self) -> list[dict[str, Any]]:
        """The faults still waiting to happen: name, number, times."""
        return list((await self._call("GET", "/control/faults"))["armed"])

    async def disarm(self) -> None:
        """No fault is armed afterwards."""
        await self._call("DELETE", "/control/faults")

    async def messages(self) -> list[dict[str, Any]]:
        """What recipients' phones show lately, newest first: account, chat, name, id, body, at, ack."""
        return list((await self._call("GET", "/control/messages"))["messages"])

    async def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        response = await self._http.request(method, path, json=body)
        answer: dict[str, Any] = response.json()
        if response.is_error:
            detail = answer.get("detail")
            raise ControlRefused(answer.get("reason") or (detail["reason"] if isinstance(detail, dict) else "invalid"))
        return answer
