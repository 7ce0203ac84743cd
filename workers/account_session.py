"""One account's session, from the claim of its lease to the end of its browser."""

import asyncio
import logging
from contextlib import suppress
from functools import partial

from nats.aio.msg import Msg

from adapters import cloudevents, metrics, tracing
from adapters.cancellation import heeding
from adapters.leases import Claim
from adapters.outages import OUTAGES
from adapters.sessions import WantedSession
from adapters.streams import SENDS
from adapters.whatsapp_web.browser import FormerBrowserAlive
from adapters.whatsapp_web.session import LaunchFailed
from domain.account import ReportTrouble, Trouble
from domain.ports import AckChanged, MessageArrived, Notice, SessionState, StateChanged, Unanswered
from workers.arrivals import Arrivals
from workers.batches import Batch, NotABatch
from workers.crashpoints import crashpoint
from workers.decisions import Contended, Unstorable
from workers.doubts import Doubts
from workers.outgrown import outgrown
from workers.persevering import through_outages
from workers.placing import Placing
from workers.profile import AccountProfile
from workers.sending import LeaseLost, NotReady, Sender
from workers.session_live import Live
from workers.session_reports import Report, next_change, report
from workers.session_tools import Tools

NOT_NOW = 1.0  # seconds until a queue message that cannot be worked on comes again
MUCH_LATER = 10.0  # the same when a decision of it failed
PARTING = 5.0  # seconds for last words
STILL_WORKING = 1.0  # seconds between words to the queue; it repeats a delivery after 5 of silence
LEAVING = 20.0  # seconds for WhatsApp to be told that an account leaves; its profile is destroyed in any case
OVER = (SessionState.DEAD, SessionState.LOGGED_OUT)  # opened anew, it may be linked again
SETTLED = (SessionState.READY, SessionState.QR, *OVER)
UNDECIDED = (Contended, Unstorable)
SPEECHLESS: tuple[type[Exception], ...] = (LeaseLost, *UNDECIDED, *OUTAGES)
log = logging.getLogger(__name__)


class SessionOver(Exception):
    """The browser is gone, the account was logged out or removed, or somebody wants its session opened anew."""


class AccountSession:
    """Holds one claim: one browser, whose states are told, whose receipts are taken, and which sends what is queued."""

    def __init__(self, tools: Tools, wanted: WantedSession, claim: Claim) -> None:
        self._tools = tools
        self._account = wanted.account_id
        self.removed = wanted.removed
        self.claim = claim
        self._ending = asyncio.Event()
        self._reason: Exception = SessionOver()
        self._changes: asyncio.Queue[StateChanged] = asyncio.Queue()
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._taken: dict[str, Msg] = {}  # by their reply subjects
        self._reports = 0
        self._linking = False
        self._closing = False
        self._parting = "stopped"  # why there will be no session
        self._leaving = asyncio.Event()
        self._settled, self._linked = asyncio.Event(), asyncio.Event()
        self._acting = asyncio.Lock()
        self._erase = wanted.removed
        self.at_once = False  # whether it is to be opened anew without a pause
        self._messenger = tools.open_messenger(self._account, self._launched)
        self.profile = AccountProfile(tools, wanted, self._messenger, self._acting)
        self._live = Live(wanted.workspace, self._account, tools.sends, tools.inbound, self._messenger, self.restart)
        self._arrivals = Arrivals(tools.inbound, tools.unplaced, tools.decisions, wanted.workspace, self._account)
        self._placing = Placing(self._arrivals, self._messenger)
        self._doubts = Doubts(tools, claim, self._messenger, wanted.workspace)
        self._workspace = wanted.workspace
        if wanted.leaving:
            self._leaving.set()
        self._sender = Sender(
            tools.decisions,
            tools.batches,
            tools.receipts,
            wanted.workspace,
            claim,
            self._messenger,
            leases=tools.leases,
            deadline=tools.deadline,
            typing=tools.typing,
            doubted=self._doubts.arisen,
        )

    def end(self, reason: Exception) -> None:
        """Let the session come to its end: its lease was lost (LeaseLost), or the account removed (SessionOver)."""
        self._reason = reason
        self._ending.set()

    def restart(self) -> None:
        """Close the browser and let the session be opened anew."""
        self.at_once = True
        self.end(SessionOver())

    def leave(self) -> None:
        """Log the account out, once nothing is being sent."""
        self._leaving.set()

    def offer(self, message: Msg) -> bool:
        """Take a queue message for this account; False when the session is closing.

        A broker that was killed may have forgotten a delivery and repeat it under the same name: it is taken once.
        """
        if not self._closing and message.reply not in self._taken:
            self._taken[message.reply] = message
            self._queue.put_nowait(message)
        return not self._closing

    async def run(self) -> None:
        """Hold the account until its session is over, its lease lost, or we are cancelled; the browser is gone then."""
        trouble = Trouble.STALLED
        try:
            crashpoint("after_claim")
            await self._tools.kill_former(self._account, self.claim.former_browser)
            crashpoint("after_evict")
            if self.removed:
                await through_outages(partial(self._doubts.left, self._sender.doubt))
                return
            await self._report(ReportTrouble(self._account, Trouble.STALLED))  # whatever the log says, it is not ready
            await self._messenger.start(self._notice)
            await self._hold()
        except (LaunchFailed, FormerBrowserAlive, *UNDECIDED) as error:
            log.warning("session did not open", extra={"account_id": str(self._account), "error": type(error).__name__})
            trouble = Trouble.CRASHED
        except SessionOver:
            trouble = Trouble.CRASHED
        except LeaseLost:
            self._erase = False  # the profile may be another's by now
            log.warning("lease lost", extra={"account_id": str(self._account)})
        finally:
            await self._close(trouble)

    async def _hold(self) -> None:
        stop_answering = await self._live.serve()
        over: type[Exception] | None = None  # what is raised inside `except*` comes out in a group before Python 3.11.4
        try:
            async with asyncio.TaskGroup() as group:
                works = (self._feed(), self._serve(), self._keep(), self._arrivals.run(), self._leave())
                kept = (self.profile.know_number(self._linked), self.profile.forget_chats(self._linked))
                for task in (*works, *kept, self._placing.run(), self._doubts.run(self._sender.doubt), self._recycle()):
                    group.create_task(task)
                await self._ending.wait()
                raise self._reason
        except* LeaseLost:
            over = LeaseLost
        except* SessionOver:
            over = over or SessionOver
        except* UNDECIDED:
            log.exception("a session's decision failed", extra={"account_id": str(self._account)})
            over = over or SessionOver
        finally:
            await stop_answering()
        if over is not None:
            raise over

    async def _close(self, trouble: Trouble) -> None:
        """Close the browser, tell of it, give the messages back, and the lease if the browser is gone."""
        self._closing = True
        gone = await self._stop()
        metrics.session(self._account, None)
        if self._erase and gone:
            gone = await self.profile.erase()
            trouble = Trouble.LOGGED_OUT if gone else trouble
        try:
            async with asyncio.timeout(PARTING):
                await self._arrivals.finish()
                for message in self._taken.values():
                    await self._tools.sends.again(message, 0.0)
                await self._tools.sessions.put_state(self._account, StateChanged(SessionState.DEAD, self._parting))
                await self._report(ReportTrouble(self._account, trouble))
                if gone and self.removed:
                    await self._tools.sessions.forget(self._account)
                if gone:
                    await (self._tools.leases.drop if self.removed else self._tools.leases.release)(self.claim)
        except SPEECHLESS as error:  # whoever claims the account next finds all this out
            log.warning("left without a word", extra={"account_id": str(self._account), "why": type(error).__name__})

    async def _stop(self) -> bool:
        """Whether the browser is gone; one that survives is left to the lease's next holder, who must kill it first."""
        try:
            await self._messenger.stop()
        except FormerBrowserAlive:
            log.exception("a browser did not die", extra={"account_id": str(self._account)})
            return False
        return True

    async def _launched(self, group: int) -> None:
        metrics.browser(self._account)
        await through_outages(partial(self._tools.leases.browser, self.claim, group))

    def _notice(self, notice: Notice) -> None:
        match notice:
            case AckChanged():
                self._tools.receipts.take(self._workspace, notice)
            case MessageArrived():
                self._arrivals.tell(notice)
            case StateChanged():
                self._changes.put_nowait(notice)

    async def _feed(self) -> None:
        """Tell each state the session comes into: to the table, and what matters as a decision."""
        while True:
            changed = await next_change(self._changes, self._messenger.state)
            if changed is None:
                await self._report(ReportTrouble(self._account, Trouble.STALLED))
                changed = await self._changes.get()
            metrics.session(self._account, changed.state)
            told = {"account_id": str(self._account), "reason": changed.reason}
            log.info("session %s", changed.state, extra=told)
            await through_outages(partial(self._tools.sessions.put_state, self._account, changed))
            command = report(self._account, changed, linking=self._linking)
            if command is not None:
                await self._report(command)
            self._linking = changed.state is SessionState.QR
            if changed.state is SessionState.READY:
                self.at_once = True
                self._doubts.arisen()
                self._arrivals.unplaced.set()
                self._linked.set()
            if changed.state in SETTLED:
                self._settled.set()
            if changed.state in OVER:
                raise SessionOver

    async def _leave(self) -> None:
        """When asked to, log out as far as WhatsApp listens; the profile goes with the browser."""
        await self._leaving.wait()
        async with self._acting:
            with suppress(TimeoutError, Unanswered):
                async with asyncio.timeout(LEAVING):
                    await self._settled.wait()
                    if self._messenger.state is SessionState.READY:
                        await self._messenger.log_out()
            self._erase = self.at_once = True
            raise SessionOver

    async def _recycle(self) -> None:
        """Close a browser that takes too much memory, between two sends: it is opened anew."""
        await outgrown(self._account, self._messenger, self._tools.browser_memory)
        async with self._acting:
            self._parting, self.at_once = "recycled", False  # one that is too large at once waits longer each time
            raise SessionOver

    async def _report(self, command: Report) -> None:
        self._reports += 1
        await self._sender.decide(command, "session", self._account, self.claim.fence, self._reports)

    async def _serve(self) -> None:
        """Work queue messages off, one by one; each is taken out only after its last outcome."""
        while True:
            message = await self._queue.get()
            try:
                trace = cloudevents.traceparent(message.headers or {})
                told = tracing.messaging("process", SENDS)
                with heeding(), tracing.span("process SENDS", tracing.CONSUMER, told, trace):
                    async with self._acting:
                        await self._sender.work(Batch.parse(message.data))
            except NotReady:
                await self._tools.sends.again(message, NOT_NOW)
            except OUTAGES as error:
                log.warning("waits for a server: %s", type(error).__name__)
                await self._tools.sends.again(message, NOT_NOW)
            except UNDECIDED:
                log.exception("a send's decision failed", extra={"account_id": str(self._account)})
                await self._tools.sends.again(message, MUCH_LATER)
            except NotABatch:
                log.exception("not a queue message of ours", extra={"account_id": str(self._account)})
                await self._tools.sends.done(message)
            else:
                crashpoint("before_ack")
                await self._tools.sends.done(message)
                crashpoint("after_ack")
            del self._taken[message.reply]

    async def _keep(self) -> None:
        """Tell the queue that what was taken is still being worked on."""
        while True:
            await asyncio.sleep(STILL_WORKING)
            for message in tuple(self._taken.values()):
                await self._tools.sends.working(message)
