"""The sweeper: publishes commands again that HTTP accepted and nobody answered, say because the bus was away.

It also forgets tries of messages that are gone.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from adapters import cloudevents, metrics
from adapters.bus import Bus, CommandsFull, CommandTooLarge, Notice
from adapters.cancellation import heeding
from adapters.cloudevents import Address
from adapters.contents import Contents
from adapters.dead_letter_quota import Dead
from adapters.heartbeats import beat
from adapters.inbox import Inbox, Pending
from adapters.outages import OUTAGES
from adapters.sealing import SealBroken
from adapters.streams import COMMANDS
from workers.crashpoints import crashpoint

log = logging.getLogger(__name__)

PAGE = 500


class Sweeper:
    """Several may run: a repeated publish is dropped by the broker's window, and after it by the commands table."""

    def __init__(
        self,
        bus: Bus,
        inbox: Inbox,
        contents: Contents,
        clock: Callable[[], datetime],
        after: float = 5.0,  # seconds a command may be pending
    ) -> None:
        self._bus = bus
        self._inbox = inbox
        self._contents = contents
        self._clock = clock
        self._after = after

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            beat("sweeper")
            try:
                with heeding():
                    await self.sweep()
                    await self._inbox.expire()
                    await self._inbox.forget_tries(await self._bus.first(COMMANDS))
            except OUTAGES as error:
                log.warning("sweeper waits: %s", type(error).__name__)
            await asyncio.sleep(self._after)

    async def sweep(self) -> int:
        """Publish what has been pending for too long; how many that were."""
        pending = await self._inbox.pending(timedelta(seconds=self._after), PAGE)
        full: set[str] = set()  # subjects that have no room: what is behind waits for the next time, too
        for command in pending:
            address = Address(command.workspace, command.principal, command.name)
            if address.subject not in full:
                try:
                    await self._publish(command, address)
                except CommandsFull:
                    full.add(address.subject)
                    metrics.without_room()
                    await self._inbox.no_room(address)
        if full:
            log.warning("sweeper: commands wait for room on the bus", extra={"subjects": len(full)})
        return len(pending)

    async def _publish(self, command: Pending, address: Address) -> None:
        try:
            body = self._contents.unseal(command.workspace, command.key, command.body)
        except SealBroken:
            log.error("sweeper: the body of command %s cannot be opened", command.command_id)  # noqa: TRY400  # no trace
            await self._put_aside(command, "seal_broken")
            return
        crashpoint("before_sweep")
        try:
            await self._bus.command(address, command.command_id, body, self._clock(), command.traceparent)
        except CommandTooLarge:  # accepted by a release that took larger ones
            await self._put_aside(command, "too_large")

    async def _put_aside(self, command: Pending, reason: str) -> None:
        """Keep it for a person, who may replay it under the right master key; the letter first, for it has the body."""
        given = (command.key, command.workspace, command.principal, command.name, command.command_id)
        if not await self._inbox.bury(Dead(*given, reason, command.body, command.traceparent)):
            metrics.not_kept(reason)
        await self._inbox.crash(command, reason)
        told = {"letter": str(command.key), "kind": command.name, "rule": reason}
        log.warning("buried a dead letter", extra=told)
        address = Address(command.workspace, command.principal, command.name)
        headers = cloudevents.command_headers(address, command.command_id, self._clock())
        subject, kept = cloudevents.buried(address, headers)
        await self._bus.mourn(Notice(command.key, f"dead-{uuid4()}", reason, command.workspace, subject, kept))
