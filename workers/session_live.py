"""What people ask of a session live, and only its asker hears: nothing of it is kept."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from uuid import UUID

import orjson

from adapters.inbound import Inbound
from adapters.sends import KNOWN, LINK_CODE, QR, RESTART, Sends
from domain.message import WorkspaceId
from domain.ports import Messenger, Unanswered

Stop = Callable[[], Awaitable[None]]


class Live:
    """Answers for one session."""

    def __init__(
        self,
        workspace: WorkspaceId,
        account: UUID,
        sends: Sends,
        inbound: Inbound,
        messenger: Messenger,
        restart: Callable[[], None],
    ) -> None:
        self._workspace = workspace
        self._inbound = inbound
        self._account = account
        self._sends = sends
        self._messenger = messenger
        self._restart = restart

    async def serve(self) -> Stop:
        """Answer until what is returned is called."""
        async with AsyncExitStack() as stack:
            asked = {QR: self._qr, LINK_CODE: self._link_code, RESTART: self._anew, KNOWN: self._known}
            for verb, answer in asked.items():
                stack.push_async_callback(await self._sends.serve(self._account, verb, answer))
            return stack.pop_all().aclose

    async def _qr(self, _body: bytes) -> bytes:
        """How the session stands now, and the QR code on show."""
        return orjson.dumps({**self._now(), "qr": await self._messenger.qr()})

    async def _link_code(self, body: bytes) -> bytes:
        """The code to type on the phone that has this number; without one, why. Sealed both ways."""
        number = self._inbound.opened(self._workspace, self._account, body)
        try:
            told: dict[str, str | None] = {"code": await self._messenger.link_code(number)}
        except Unanswered as unanswered:
            told = {"code": None, "refused": unanswered.reason}
        return self._inbound.sealed(self._workspace, self._account, {**self._now(), **told})

    async def _known(self, body: bytes) -> bytes:
        """Whom the account knows, or whether a number is on WhatsApp. It is personal: sealed both ways."""
        asked = self._inbound.opened(self._workspace, self._account, body)
        try:
            told = {"told": await self._look_up(**asked)}
        except Unanswered as unanswered:
            told = {"refused": unanswered.reason}
        return self._inbound.sealed(self._workspace, self._account, {**self._now(), **told})

    async def _look_up(self, what: str, of: str, offset: int = 0, limit: int = 1) -> object:
        match what:
            case "contacts":
                return asdict(await self._messenger.contacts(of, offset, limit))
            case "groups":
                return asdict(await self._messenger.groups(of, offset, limit))
            case "members":
                return asdict(await self._messenger.members(of, offset, limit))
            case _:
                return await self._messenger.exists(of)

    async def _anew(self, _body: bytes) -> bytes:
        """The session is closed and opened anew."""
        self._restart()
        return orjson.dumps(self._now())

    def _now(self) -> dict[str, str]:
        return {"state": self._messenger.state, "reason": self._messenger.reason}
