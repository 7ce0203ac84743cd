"""Receipts: what phones said of our messages, folded and reported in batches."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from adapters import metrics
from adapters.outages import OUTAGES
from adapters.progress import SentMessage
from adapters.sessions import Sessions
from domain.message import Actor, PrincipalId, Role, WorkspaceId, derive
from domain.ports import Ack, AckChanged
from domain.send import Receipt, ReportReceipt
from workers import happened
from workers.decisions import Decisions, Request
from workers.persevering import through_outages

REMEMBERED = 20_000  # sends of this process whose receipts need no look-up
BATCH = 200
LOOK_AGAIN = (
    0.2,
    1.0,
    5.0,
    20.0,
)  # seconds: a send of a former process may be one that the reactors are yet to tell of
RECEIPTS = {Ack.SENT: Receipt.SENT, Ack.DELIVERED: Receipt.DELIVERED, Ack.READ: Receipt.READ}
# Whose page tells it, about which message, and how often it was looked up.
Arrived = tuple[WorkspaceId, str, Receipt, int]
RANK = {Receipt.SENT: 0, Receipt.DELIVERED: 1, Receipt.READ: 2}


@dataclass(slots=True)
class Live:
    """A send of this process: while it is in flight its own outcome tells that the server has it."""

    message: SentMessage
    in_flight: bool = True
    acknowledged: bool = False


class Receipts:
    """Takes receipts of all accounts of a worker, each about messages of the account's workspace; one about a message
    that is not ours is dropped after some looks."""

    def __init__(self, sessions: Sessions, decisions: Decisions) -> None:
        self._sessions = sessions
        self._decisions = decisions
        self._arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        self._live: dict[str, Live] = {}

    def begin(self, message: SentMessage) -> Live:
        """Remember a send that is about to be acted on."""
        live = self._live[message.wa_id] = Live(message)
        if len(self._live) > REMEMBERED:
            del self._live[next(iter(self._live))]
        return live

    def take(self, workspace: WorkspaceId, notice: AckChanged) -> None:
        """A receipt arrived at an account of this workspace."""
        receipt = RECEIPTS.get(notice.ack)
        if receipt is None:  # still on its way, or failed: the send itself says so
            return
        for wa_id in notice.wa_ids:
            live = self._live_one(workspace, wa_id)
            if live is not None and live.in_flight:
                live.acknowledged = True
            if live is None or receipt is not Receipt.SENT or not (live.in_flight or live.acknowledged):
                self._arrived.put_nowait((workspace, wa_id, receipt, 0))

    def _live_one(self, workspace: WorkspaceId, wa_id: str) -> Live | None:
        live = self._live.get(wa_id)
        return live if live is not None and live.message.workspace == workspace else None

    async def run(self) -> None:
        """Report what arrives until cancelled."""
        while True:
            batch = [await self._arrived.get()]
            while len(batch) < BATCH and not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
            await self._take_in(batch)

    async def _take_in(self, batch: Sequence[Arrived]) -> None:
        """Report these; what cannot be looked up is dropped, and the others are reported."""
        try:
            await through_outages(partial(self._report, batch))
        except Exception as error:  # noqa: BLE001  # what a page says must not end the worker
            if len(batch) == 1:
                [(workspace, wa_id, receipt, _)] = batch
                live = self._live_one(workspace, wa_id)  # WhatsApp's id is not told: a page can say anything
                ours = {"delivery_id": live.message.delivery_id, "part": live.message.part} if live else {}
                happened.failed("receipt", error, workspace=workspace, receipt=receipt, **ours)
                return
            for one in batch:
                await self._take_in([one])

    async def _report(self, batch: Sequence[Arrived]) -> None:
        latest: dict[tuple[WorkspaceId, str], Receipt] = {}
        for workspace, wa_id, receipt, _ in batch:
            latest[workspace, wa_id] = max(receipt, latest.get((workspace, wa_id), receipt), key=RANK.__getitem__)
        sent = {about: live.message for about in latest if (live := self._live_one(*about))}
        if missing := [about for about in latest if about not in sent]:
            found = await self._sessions.messages({wa_id for _, wa_id in missing})
            told = {(message.workspace, message.wa_id): message for message in found}
            sent |= {about: told[about] for about in missing if about in told}
        requests = [request(message, latest[about]) for about, message in sent.items()]
        await self._make(requests)
        for workspace, wa_id, receipt, looks in batch:
            if (workspace, wa_id) not in sent and looks < len(LOOK_AGAIN):
                later = (workspace, wa_id, receipt, looks + 1)
                asyncio.get_running_loop().call_later(LOOK_AGAIN[looks], self._arrived.put_nowait, later)

    async def _make(self, requests: Sequence[Request]) -> None:
        """Make the decisions; one that fails for good is dropped, and the others are made."""
        try:
            outcomes = await self._decisions.make(requests)
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001  # one receipt must not end the worker, nor the others
            if len(requests) == 1:
                [one] = requests
                happened.failed("receipt", error, workspace=one.actor.workspace, **happened.ids_of(one.command))
                return
            for one in requests:
                await self._make([one])
            return
        for one, outcome in zip(requests, outcomes, strict=True):
            happened.heed(one.command, outcome)
            metrics.outcomes(outcome.events)


def request(message: SentMessage, receipt: Receipt) -> Request:
    """The decision that takes a receipt in; the same receipt always has the same id."""
    actor = Actor(PrincipalId("system-session"), message.workspace, frozenset({Role.SYSTEM}))
    command = ReportReceipt(message.delivery_id, message.part, receipt)
    return Request(command, actor, derive("receipt", message.delivery_id, message.part, receipt))
