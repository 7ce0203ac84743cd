"""Messages that came in: each is kept sealed, then decided on once, however often it is told."""

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from adapters import metrics
from adapters.inbound import Inbound, message_id_of, moment
from adapters.outages import OUTAGES
from adapters.unplaced import Unplaced
from domain.message import Actor, PrincipalId, Role, WaId, WorkspaceId, derive
from domain.opting_out import opts_out
from domain.ports import Arrived, MessageArrived
from domain.recipient import ReceiveMessage
from workers import happened
from workers.decisions import Decisions, Request
from workers.persevering import through_outages

REMEMBERED = 10_000
OURS = re.compile(r"3EB0[0-9A-F]{18}")


class Arrivals:
    """Takes in what people write to one account, in order."""

    def __init__(
        self, inbound: Inbound, kept: Unplaced, decisions: Decisions, workspace: WorkspaceId, account: UUID
    ) -> None:
        self._inbound = inbound
        self._kept = kept
        self._decisions = decisions
        self._workspace = workspace
        self._account = account
        self._told: asyncio.Queue[MessageArrived] = asyncio.Queue()
        self._cut: MessageArrived | None = None
        self.unplaced = asyncio.Event()  # there may be messages whose senders can be found
        self._recorded: dict[str, None] = {}  # in order: pages tell again what they told lately

    def tell(self, arrived: MessageArrived) -> None:
        """A message came in."""
        if arrived.wa_id not in self._recorded:
            self._told.put_nowait(arrived)

    async def run(self) -> None:
        """Take in what comes until cancelled."""
        while True:
            await self._record(await self._told.get())

    async def finish(self) -> None:
        """Take in what has come, at the end of a session."""
        if self._cut is not None:
            await self._record(self._cut)
        while not self._told.empty():
            await self._record(self._told.get_nowait())

    async def _record(self, arrived: MessageArrived) -> None:
        self._cut = arrived  # until it is recorded: we may be cancelled meanwhile
        try:
            await through_outages(partial(self._take, arrived))
        except Exception as error:  # noqa: BLE001  # one message must not end the session, nor those after it
            self._failed(arrived, error)
        else:
            self._recorded[arrived.wa_id] = None
            if len(self._recorded) > REMEMBERED:
                del self._recorded[next(iter(self._recorded))]
        self._cut = None

    def _failed(self, arrived: MessageArrived, error: Exception) -> None:
        """WhatsApp's id of it may hold a number, and ours cannot be made of everything that a page says."""
        ours = {"message_id": message_id_of(self._account, arrived)} if arrived.wa_id.isprintable() else {}
        happened.failed("message", error, workspace=self._workspace, account_id=self._account, **ours)

    async def waiting(self) -> Sequence[MessageArrived]:
        """Messages whose senders are not known yet."""
        return await self._kept.of(self._workspace, self._account)

    async def place(self, arrived: MessageArrived) -> None:
        """Take in what waited, if its sender is known by now."""
        try:
            if await self._take(arrived):
                await self._kept.drop(self._workspace, self._account, arrived)
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            self._failed(arrived, error)

    async def _take(self, arrived: MessageArrived) -> bool:
        """Record a message; False when it waits for WhatsApp to tell whose it is."""
        kept = await self._inbound.keep(self._workspace, self._account, arrived)
        if kept is None and not arrived.number:
            if await self._kept.keep(self._workspace, self._account, arrived):
                metrics.ARRIVED.labels("unplaced").inc()
                self.unplaced.set()
            return False
        if kept is None:  # of an erased person
            metrics.ARRIVED.labels("dropped").inc()
            return True
        command = ReceiveMessage(
            kept.recipient_id,
            self._account,
            kept.message_id,
            arrived.kind,
            moment(arrived.at),
            WaId(arrived.answers) if arrived.answers and OURS.fullmatch(arrived.answers) else None,
            opts_out=arrived.kind is Arrived.TEXT and opts_out(arrived.text),
        )
        actor = Actor(PrincipalId("system-session"), self._workspace, frozenset({Role.SYSTEM}))
        outcome = await self._decisions.one(Request(command, actor, derive("receive", kept.message_id)))
        happened.heed(command, outcome)
        heard = "refused" if outcome.state != "applied" else "opt_out" if len(outcome.events) > 1 else "kept"
        metrics.ARRIVED.labels("repeated" if outcome.repeated else heard).inc()
        return True
