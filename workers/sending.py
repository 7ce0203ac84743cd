"""One account's sends: an intent is appended, then it acts, then the outcome is appended."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID, uuid4

from adapters import metrics, tracing
from adapters.event_store import Lease
from adapters.leases import Claim, Leases
from adapters.progress import SentMessage
from domain.account import ReportReady, ReportTrouble, Trouble
from domain.allowance import AllowanceGranted, GrantAllowance
from domain.delivery import OPEN, Status
from domain.message import Actor, Command, PrincipalId, Role, WorkspaceId, derive
from domain.outgoing import Outgoing, longest_act, typing_time
from domain.ports import Messenger, SendRejected, SendUncertain, SessionState
from domain.quota import USUAL_ACT
from domain.send import (
    ConfirmSend,
    DeliverySkipped,
    Doubt,
    DoubtSend,
    IntendSend,
    Rejection,
    RejectSend,
    SendConfirmed,
    SendIntended,
    SendUnknown,
)
from domain.send import SendRejected as Rejected
from workers import happened
from workers.batches import Batch, Batches, Recipient
from workers.crashpoints import crashpoint
from workers.decisions import Decisions, Outcome, Request
from workers.persevering import through_outages
from workers.receipts import Receipts

REJECTIONS = {
    "not_on_whatsapp": Rejection.NOT_ON_WHATSAPP,
    "invalid_number": Rejection.NOT_ON_WHATSAPP,
    "not_ready": Rejection.NOT_READY,
    "deadline": Rejection.NOT_READY,
    "page_gone": Rejection.NOT_READY,
    "page_error": Rejection.NOT_READY,
    "page_reloaded": Rejection.NOT_READY,
    "file_missing": Rejection.NOT_READY,  # opened anew, it will be there
}
DOUBTS = {"deadline": Doubt.DEADLINE, "page_gone": Doubt.BROWSER_GONE, "duplicate_id": Doubt.DUPLICATE_ID}
REFUSED_IN_A_ROW = 3  # by WhatsApp's server, of different people: then it is the account that is refused
# After these nothing more of a batch may be sent now; the dispatcher queues the rest again when it may be.
HALTING = frozenset({"job_not_running", "job_revised", "account_not_ready", "allowance_over", "permits"})

T = TypeVar("T")
log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another process took this account's lease: its browser must be closed here."""


class Halted(Exception):
    """Nothing more of this batch may be sent now."""


class NotReady(Exception):
    """The session cannot send at the moment; the batch is to come again."""


class Sender:
    """Sends batches for one holder of an account's lease, on one session. Batches come one by one."""

    def __init__(
        self,
        decisions: Decisions,
        batches: Batches,
        receipts: Receipts,
        workspace: WorkspaceId,
        claim: Claim,
        messenger: Messenger,
        *,
        leases: Leases,
        deadline: float = USUAL_ACT.total_seconds(),
        typing: float = 0.0,
        doubted: Callable[[], None] = lambda: None,
    ) -> None:
        self._decisions = decisions
        self._batches = batches
        self._receipts = receipts
        self._workspace = workspace
        self._claim = claim
        self._messenger = messenger
        self._leases = leases
        self._deadline = deadline
        self._typing = typing  # seconds before a text, at most
        self._doubted = doubted
        self._refused: set[UUID] = set()  # deliveries, since the last message that was taken

    async def work(self, batch: Batch) -> None:
        """Send what of a batch is not sent yet. Raises NotReady or LeaseLost."""
        for recipient in await self._batches.open(batch, self._workspace):
            try:
                await self._deliver(recipient, batch.job_id)
            except Halted:
                return

    async def doubt(self, delivery_id: UUID, part: int) -> None:
        """Record an intent without an outcome, from before this claim: nobody knows whether it was acted on."""
        await self.decide(DoubtSend(delivery_id, part, Doubt.RESTARTED), "doubt", delivery_id, part, self._claim.fence)

    async def decide(self, command: Command, *cause: object) -> Outcome:
        """Make a decision under the lease, with an id derived from its cause. Raises LeaseLost."""
        actor = Actor(PrincipalId("system-session"), self._workspace, frozenset({Role.SYSTEM}))
        lease = Lease(self._claim.account, fence=self._claim.fence)
        request = Request(command, actor, derive(*cause), traceparent=tracing.traceparent(), lease=lease)
        outcome = await through_outages(lambda: self._decisions.one(request))
        metrics.outcomes(outcome.events)
        happened.heed(command, outcome)
        if outcome.rule == "fence":
            raise LeaseLost
        if any(isinstance(event, SendUnknown) for event in outcome.events):
            self._doubted()
        return outcome

    async def _deliver(self, recipient: Recipient, job_id: UUID) -> None:
        """Send one recipient's remaining parts."""
        state = recipient.state
        if state.status is Status.INTENDED:
            if state.account_id != self._claim.account:
                return  # a revision moved it: who is acting, or takes that account over, tells of it
            # An account's sends go one by one, so this is a former process's.
            await self.doubt(recipient.delivery_id, state.part)
            return
        if state.status not in OPEN:
            return
        for part in range(state.part, len(recipient.messages)):
            if self._messenger.state is not SessionState.READY:
                raise NotReady
            told = {"drumline.account_id": str(self._claim.account), "drumline.delivery_id": str(recipient.delivery_id)}
            with tracing.span("send message", tracing.CLIENT, told | {"drumline.part": part}):
                attempt = state.attempt + 1 if part == state.part else 1
                message = await self._batches.outgoing(recipient, part, self._workspace)
                await self._type(recipient, message)
                go_on = await unbroken(self._send(recipient, job_id, part, attempt, message))
            if not go_on:
                return

    async def _type(self, recipient: Recipient, message: Outgoing | Rejection) -> None:
        """Show as typing. Before the intent: whoever dies meanwhile leaves nobody in doubt."""
        seconds = 0.0 if isinstance(message, Rejection) else typing_time(message, self._typing)
        if seconds > 0:
            await self._messenger.typing(recipient.number, seconds)

    async def _send(
        self, recipient: Recipient, job_id: UUID, part: int, attempt: int, message: Outgoing | Rejection
    ) -> bool:
        """One part: intent, act, outcome. True when the server has it, and the next part may follow at once.

        Raises NotReady when it did not leave for a reason that lies in the session, and may be tried again.
        """
        crashpoint("before_intent")
        intent = IntendSend(
            delivery_id=recipient.delivery_id,
            job_id=job_id,
            recipient_id=recipient.recipient_id,
            account_id=self._claim.account,
            ordinal=recipient.ordinal,
            part=part,
            fence=self._claim.fence,
            audience=recipient.audience,
        )
        # Of another account's intent, perhaps with the same attempt, this is no repeat.
        cause = ("intend", self._claim.account, recipient.delivery_id, part, attempt)
        may_take = 0.0 if isinstance(message, Rejection) else longest_act(message, self._deadline)
        begun = time.monotonic()  # before it is decided: the quota counts with an act from that moment on
        outcome = await self.decide(intent, *cause)
        if outcome.rule == "allowance_over" and await self._grant():
            begun = time.monotonic()
            outcome = await self.decide(intent, *cause)
        crashpoint("after_intent")
        if outcome.repeated:  # an earlier one stands, and may have been acted on
            await self.doubt(recipient.delivery_id, part)
            return False
        match outcome.events:
            case [SendIntended() as intended]:
                result = await self._act(intended, recipient, message, begun + may_take)
                crashpoint("after_act")
                told = await self.decide(result, "outcome", recipient.delivery_id, part, attempt)
                crashpoint("after_outcome")
                if len(self._refused) >= REFUSED_IN_A_ROW:
                    await self._restricted(*cause[1:])
                if any(isinstance(event, Rejected) and not event.final for event in told.events):
                    raise NotReady
                waits = any(isinstance(event, SendConfirmed) and event.not_before for event in told.events)
                return isinstance(result, ConfirmSend) and not waits  # the dispatcher queues it again in time
            case [DeliverySkipped()]:
                return False
        if outcome.rule in HALTING:
            raise Halted
        if outcome.rule in ("already_acted_on", "too_early"):
            return False
        raise RuntimeError(f"An intent came to nothing: {outcome.rule}.")

    async def _restricted(self, *cause: object) -> None:
        """WhatsApp takes nothing from this account, though its page is ready: a person has to look."""
        self._refused.clear()
        await self.decide(ReportTrouble(self._claim.account, Trouble.CAPPED), "refused", *cause)
        await self.decide(ReportReady(self._claim.account), "refused-and-ready", *cause)

    async def _grant(self) -> bool:
        """Go on under the next allowance, if one is due: a block that ended in mid-batch needs no turn of the queue."""
        account = self._claim.account
        left = (await through_outages(lambda: self._leases.permits([account]))).get(account, 0)
        outcome = await self.decide(GrantAllowance(account, left), "grant", account, uuid4())
        return any(isinstance(event, AllowanceGranted) for event in outcome.events)

    async def _act(
        self, intended: SendIntended, recipient: Recipient, message: Outgoing | Rejection, end: float
    ) -> ConfirmSend | RejectSend | DoubtSend:
        """Hand one message to the messenger, once, to be sent before `end`; what came of it."""
        delivery, part = recipient.delivery_id, intended.part
        if isinstance(message, Rejection):
            return RejectSend(delivery, part, message)
        left = end - time.monotonic()
        if left <= 0 or not self._leases.sure(self._claim):  # we stood still too long: another may be at work by now
            return RejectSend(delivery, part, Rejection.NOT_READY)
        live = self._receipts.begin(SentMessage(intended.wa_id, delivery, part, self._workspace))
        try:
            with metrics.SEND_TIME.time():
                quoted = recipient.quoted(part)
                await self._messenger.send(recipient.number, message, intended.wa_id, left, quoted=quoted)
        except SendRejected as rejected:
            if rejected.reason == "refused_by_server":
                self._refused.add(delivery)
            return RejectSend(delivery, part, REJECTIONS.get(rejected.reason, Rejection.REFUSED))
        except SendUncertain as uncertain:
            if live.acknowledged:  # a receipt overtook the answer
                return ConfirmSend(delivery, part)
            return DoubtSend(delivery, part, DOUBTS.get(uncertain.reason, Doubt.OTHER))
        else:
            self._refused.clear()
            live.acknowledged = True
            return ConfirmSend(delivery, part)
        finally:
            live.in_flight = False


async def unbroken(act: Coroutine[Any, Any, T]) -> T:
    """Let an act come to its outcome even when we are told to stop meanwhile; then stop."""
    task = asyncio.ensure_future(act)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await task
        except Exception as error:  # noqa: BLE001  # it must not take the place of our being told to stop
            log.info("told to stop, what was being sent ended in %s", type(error).__name__)
        raise
