"""The queue of sends, the nudges around it, and what sessions answer live."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from nats.aio.msg import Msg

from adapters.bus import Bus
from adapters.outages import OUTAGES
from adapters.pulls import Pulls
from adapters.streams import SENDS, declared

WORK = "ctl.work"  # there may be something to dispatch
ACCOUNTS = "ctl.accounts"  # an account may want a session
QR, LINK_CODE, RESTART, KNOWN = "qr", "link-code", "restart", "known"  # what an account's session is asked live
PATIENCE = 10.0  # seconds for the server to take a message out
TOGETHER = 256  # queue messages taken at a time


class Sends:
    """What the dispatcher and the session workers need of the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def queue(self, account: UUID, message_id: UUID, body: bytes, traceparent: str = "") -> None:
        """Queue a message for an account's session; the same id again changes nothing."""
        await self._bus.send(account, body, str(message_id), traceparent)

    async def waiting(self) -> set[UUID]:
        """The accounts that have a message queued or in flight."""
        with declared(SENDS):
            info = await self._bus.js.stream_info(SENDS, subjects_filter="send.*")
        return {account for subject in info.state.subjects or {} if (account := account_of(subject))}

    def pulls(self) -> Pulls:
        """A reader of the queue."""
        return self._bus.pulls(SENDS, TOGETHER)

    async def done(self, message: Msg) -> None:
        """Take a message out of the queue, and let the dispatcher know once it is out."""
        with suppress(*OUTAGES):  # then it comes again, or is gone with its queue
            await message.ack_sync(timeout=PATIENCE)
        await self.nudge(WORK)

    async def again(self, message: Msg, seconds: float) -> None:
        """Let a message come again."""
        await self._bus.again(message, seconds)

    async def working(self, message: Msg) -> None:
        """A message is still being worked on."""
        await self._bus.working(message)

    async def nudge(self, subject: str) -> None:
        """Wake whoever waits for nudges there, if anybody; who does looks by itself in time, too."""
        await self._bus.ask(subject, seconds=1.0)

    @asynccontextmanager
    async def nudges(self, subject: str, call: Callable[[], None]) -> AsyncIterator[None]:
        """Call something at each nudge."""

        async def take(_body: bytes) -> bytes:
            call()
            return b""

        stop = await self._bus.serve(subject, take)
        try:
            yield
        finally:
            await stop()

    async def serve(
        self, account: UUID, verb: str, answer: Callable[[bytes], Awaitable[bytes]]
    ) -> Callable[[], Awaitable[None]]:
        """Answer what an account's session is asked live; call what is returned to stop."""
        return await self._bus.serve(live(account, verb), answer)


def live(account: UUID, verb: str) -> str:
    """The subject on which an account's session is asked something."""
    return f"ctl.session.{account}.{verb}"


def account_of(subject: str) -> UUID | None:
    """The account that a subject of the queue names; None when it names none."""
    try:
        return UUID(subject.removeprefix("send."))
    except ValueError:
        return None
