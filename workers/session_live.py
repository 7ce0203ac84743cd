"""What people ask of a session live, and only its asker hears: nothing of it is kept."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import UUID

import orjson

from adapters.sends import LINK_CODE, QR, RESTART, Sends
from domain.ports import Messenger, Unanswered

Stop = Callable[[], Awaitable[None]]


class Live:
    """Answers for one session."""

    def __init__(self, account: UUID, sends: Sends, messenger: Messenger, restart: Callable[[], None]) -> None:
        self._account = account
        self._sends = sends
        self._messenger = messenger
        self._restart = restart

    async def serve(self) -> Stop:
        """Answer until what is returned is called."""
        async with AsyncExitStack() as stack:
            for verb, answer in ((QR, self._qr), (LINK_CODE, self._link_code), (RESTART, self._anew)):
                stack.push_async_callback(await self._sends.serve(self._account, verb, answer))
            return stack.pop_all().aclose

    async def _qr(self, _body: bytes) -> bytes:
        """How the session stands now, and the QR code on show."""
        return orjson.dumps({**self._now(), "qr": await self._messenger.qr()})

    async def _link_code(self, body: bytes) -> bytes:
        """The code to type on the phone that has this number; without one, why."""
        try:
            return orjson.dumps({**self._now(), "code": await self._messenger.link_code(body.decode())})
        except Unanswered as unanswered:
            return orjson.dumps({**self._now(), "code": None, "refused": unanswered.reason})

    async def _anew(self, _body: bytes) -> bytes:
        """The session is closed and opened anew."""
        self._restart()
        return orjson.dumps(self._now())

    def _now(self) -> dict[str, str]:
        return {"state": self._messenger.state, "reason": self._messenger.reason}
