"""Burial: a message that nobody could handle comes into the table of dead letters, and DEAD tells of it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from nats.aio.msg import Msg

from adapters import cloudevents, metrics
from adapters.bus import Bus, Notice, stored_as
from adapters.cloudevents import Address
from adapters.contents import Contents
from adapters.dead_letter_quota import KEPT_OF_UNREADABLE, Dead
from adapters.inbox import Inbox
from adapters.keys import Keys
from domain import catalog
from domain.message import PrincipalId, WorkspaceId, derive
from workers.crashpoints import crashpoint
from workers.received import Received
from workers.requests import NO_STREAM, Outcome

log = logging.getLogger(__name__)

NOBODY = WorkspaceId(""), PrincipalId("")


class Burial:
    """Puts messages aside, any number of times without a second letter, and tells those who wait for an answer."""

    def __init__(self, bus: Bus, inbox: Inbox, keys: Keys, contents: Contents, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._inbox = inbox
        self._keys = keys
        self._contents = contents
        self._clock = clock

    async def crash(self, message: Msg) -> None:
        """Nobody could answer this command: its row and its sender are told so."""
        command = self._readable(message)
        if command is None:
            await self.bury_all([(message, "crashed")])
            return
        command.belongs_to(await self._keys.actor(command.address.principal))
        row = await self._inbox.crash(command.pending(), "crashed", stored_as(message))
        if not command.answered_by(row):  # this message died before, and its command was replayed since
            return
        if command.outcome is not None and command.outcome.state == "crashed":
            crashpoint("before_burial")
            await self.bury(message, "crashed", command)
            command.outcome = Outcome("crashed", NO_STREAM, 0, rule="crashed")
        await self._bus.outcomes([command.told()], self._clock())
        metrics.answered([command.counted()])

    async def bury(self, message: Msg, reason: str, command: Received) -> None:
        """Put a command's message aside; one that is dropped for the quota is told of all the same."""
        dead, notice = self._letter(message, reason, command.sender, command)
        if not await self._inbox.bury(dead):
            metrics.not_kept(reason)
        await self._tell([(dead, notice)])

    async def bury_all(self, unreadable: Sequence[tuple[Msg, str]]) -> None:
        """Put messages aside that could not be read, each with its reason; beyond the quota they are only counted."""
        if not unreadable:
            return
        letters = [self._letter(message, reason, Address.read(message.subject)) for message, reason in unreadable]
        kept = await self._inbox.bury_all([dead for dead, _ in letters])
        for (dead, _), stays in zip(letters, kept, strict=True):
            if not stays:
                metrics.not_kept(dead.reason)
        await self._tell([letter for letter, stays in zip(letters, kept, strict=True) if stays])

    def _letter(
        self, message: Msg, reason: str, address: Address | None, command: Received | None = None
    ) -> tuple[Dead, Notice]:
        source = stored_as(message)
        key = command.key if command else derive("dead", source)
        workspace, principal = (address.workspace, address.principal) if address else NOBODY
        name = address.name if address and address.name in catalog.COMMANDS else cloudevents.UNREADABLE
        command_id, trace = (command.command_id, command.traceparent) if command else (None, "")
        body = message.data if command else message.data[:KEPT_OF_UNREADABLE]
        sealed = self._contents.seal(workspace, key, body)
        subject, headers = cloudevents.buried(address, message.headers or {})
        return (
            Dead(key, workspace, principal, name, command_id, reason, sealed, trace, source),
            Notice(key, f"dead-{source}", reason, workspace, subject, headers),
        )

    async def _tell(self, letters: Sequence[tuple[Dead, Notice]]) -> None:
        for dead, _ in letters:
            told = {"letter": str(dead.id), "kind": dead.name, "rule": dead.reason}
            log.warning("buried a dead letter", extra=told)
        await asyncio.gather(*(self._bus.mourn(notice) for _, notice in letters))

    def _readable(self, message: Msg) -> Received | None:
        """The command, if it can be read: what brought us down may be the reading itself."""
        try:
            return Received.read(message)
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not keep the message alive
            kind = type(error).__name__
            log.error("intake: what crashed cannot be read: %s", kind)  # noqa: TRY400  # its text may quote somebody
            return None
