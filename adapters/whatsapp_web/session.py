"""One account in one browser: its state, its QR code, its sends, its receipts."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from playwright.async_api import BrowserContext, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from adapters.whatsapp_web import linking, page_values
from adapters.whatsapp_web.asking import Asking
from adapters.whatsapp_web.browser import kill_former, members_of, process_group_of
from adapters.whatsapp_web.catching_up import CatchingUp
from adapters.whatsapp_web.files import hand_over
from adapters.whatsapp_web.notices import one_notice, told_of
from adapters.whatsapp_web.orders import WA_ID, digits, file_of, said
from adapters.whatsapp_web.states import ack_of, judge
from domain.outgoing import Outgoing
from domain.ports import Ack, Notice, SendRejected, SendUncertain, SessionState, StateChanged

POLL = 2.0
LOOK_WITHIN = 10.0
CLOSE_WITHIN = 5.0
LONGEST_CODE, LONGEST_REASON = 1_000, 100  # characters
log = logging.getLogger(__name__)

Notify = Callable[[Notice], None]
Launched = Callable[[int], Awaitable[None]]


class LaunchFailed(Exception):
    """Chromium did not start with this profile, or ended before its page was open."""


class WhatsAppPage(Protocol):
    """What a session needs of its driver: a browser on a profile, the address, and the scripts to inject."""

    @property
    def url(self) -> str: ...

    @property
    def scripts(self) -> Sequence[str]: ...

    async def launch(self, profile: Path) -> BrowserContext: ...


class WhatsAppWebSession(Asking):
    """One account in one browser. It never retries a send and never guesses what became of one."""

    def __init__(self, page: WhatsAppPage, profile: Path, launched: Launched | None) -> None:
        self._site = page
        self._profile = profile
        self._launched = launched
        self._state, self._reason = SessionState.LAUNCHING, "created"
        self._notify: Notify = _ignore
        self._catching_up = CatchingUp(profile, lambda notice: self._notify(notice))
        self._group: int | None = None
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        self._protocol: CDPSession | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._code: str | None = None
        self._bridge = ""
        self._seen = 0.0
        self._was_linked = False

    @property
    def state(self) -> SessionState:
        return self._state

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def process_group(self) -> int | None:
        return self._group

    async def start(self, on_notice: Notify) -> None:
        """Launch the browser, say its process group, then open the page. Raises LaunchFailed."""
        self._notify = on_notice
        self._become(SessionState.LAUNCHING, "starting")
        _private_directory(self._profile)
        try:
            self._context = await self._site.launch(self._profile)
        finally:
            if self._context is None:
                self._become(SessionState.DEAD, "launch_failed")
        self._group = await asyncio.to_thread(process_group_of, self._profile)
        if self._launched is not None and self._group is not None:
            await self._launched(self._group)
        try:
            self._page = await self._prepare(self._context)
        except PlaywrightError as error:
            self._die("launch_failed")
            raise LaunchFailed("Chromium ended before its page was open") from error
        self._become(SessionState.LOADING, "page_loading")
        await self._open(self._page)
        self._begin_watching(self._page)

    async def _prepare(self, context: BrowserContext) -> Page:
        """A page with our scripts in it, nothing opened yet."""
        context.on("close", lambda _: self._die("browser_gone"))
        await context.expose_binding("drumlineWake", lambda _source: self._wake.set())
        for script in self._site.scripts:
            await context.add_init_script(script)
        page = context.pages[0] if context.pages else await context.new_page()
        self._protocol = await context.new_cdp_session(page)
        page.on("crash", lambda _: self._die("page_crashed"))
        page.on("close", lambda _: self._die("page_gone"))
        return page

    async def stop(self) -> None:
        """Close the browser, politely for a moment and then by force; its process group is gone afterwards."""
        self._die("stopped")
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        await self._catching_up.stop()
        context, self._context, self._page = self._context, None, None
        ours = set() if self._group is None else await asyncio.to_thread(members_of, self._group)
        if context is not None:
            with contextlib.suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN):
                    await context.close()
        if self._group is not None:
            await kill_former(self._profile, self._group, known=ours)
            self._group = None

    async def qr(self) -> str | None:
        """The QR payload on show, or None. It links a device: for the asking client's eyes, never for a log."""
        return self._code if self._state is SessionState.QR else None

    async def link_code(self, number: str) -> str:
        """The code to type on the phone that has this number. A secret, as the QR payload. Raises Unanswered."""
        return await linking.link_code(self._page if self._state is SessionState.QR else None, number)

    async def log_out(self) -> None:
        """Unlink the phone. Raises Unanswered when WhatsApp was not told."""
        await linking.log_out(self._ready_page())

    async def send(
        self, number: str, message: Outgoing, wa_id: str, deadline: float, *, quoted: str | None = None
    ) -> Ack:
        """Send one message to an E.164 number under our own id, once, within `deadline` seconds.

        Raises SendRejected when nothing left (or the server refused it), SendUncertain when nobody can tell.
        """
        end = time.monotonic() + deadline
        if not WA_ID.fullmatch(wa_id):
            raise ValueError("wa_id is 3EB0 and 16 or 18 upper-case hex digits")
        order = {"number": digits(number), "said": said(message), "waId": wa_id, "quoted": quoted}
        file = file_of(message)
        page = self._ready_page()
        if page is None or self._protocol is None:
            raise SendRejected("not_ready")
        try:
            async with asyncio.timeout(deadline):
                clock = await page.evaluate("() => drumline.clock()")
                # Counted from when its answer arrived, so the page's deadline is never later than ours.
                order |= {"bridge": clock["bridge"], "before": clock["now"] + (end - time.monotonic()) * 1000}
                if file is not None:
                    await hand_over(self._protocol, wa_id, file)
        except TimeoutError:
            raise SendRejected("deadline") from None
        except Exception:  # noqa: BLE001  # it is gone, or says what no page of ours says: nothing was asked of it yet
            raise SendRejected("page_gone") from None
        remaining = end - time.monotonic()
        if remaining <= 0:
            raise SendRejected("deadline")
        try:
            async with asyncio.timeout(remaining):
                answer = await page.evaluate("order => drumline.send(order)", order)
        except TimeoutError:
            raise SendUncertain("deadline") from None
        except Exception:  # noqa: BLE001  # it is gone, or what it says cannot be read
            raise SendUncertain("page_gone") from None
        return outcome_of(answer)

    def _ready_page(self) -> Page | None:
        return self._page if self._state is SessionState.READY else None

    async def _watch(self, page: Page) -> None:
        """Look into the page when it wakes us, and every POLL seconds in any case."""
        while self._state is not SessionState.DEAD:
            self._wake.clear()
            try:
                async with asyncio.timeout(LOOK_WITHIN):
                    if self._reason == "unreachable":
                        await self._open(page)
                    look = await page.evaluate("since => window.drumline ? drumline.look(since) : null", self._seen)
                    self._take(look)
                    if self._state is SessionState.READY:
                        self._catching_up.due(page, self._bridge)
                    if self._state is SessionState.QR and self._reason == "idle":
                        await page.evaluate("() => drumline.refresh()")
            except TimeoutError:
                self._become(SessionState.DEGRADED, "page_hung")
            except PlaywrightError:
                # The page navigates, or is gone: then its close event has told us already.
                self._become(SessionState.LOADING, "page_loading")
            except Exception as error:  # noqa: BLE001  # it says something of another kind than a page says
                log.error("a page cannot be read", extra={"error": type(error).__name__})  # noqa: TRY400  # it may quote
                self._become(SessionState.DEGRADED, "page_error")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL)

    def _begin_watching(self, page: Page) -> None:
        self._watcher = asyncio.create_task(self._watch(page))
        self._watcher.add_done_callback(self._unwatched)

    def _unwatched(self, watcher: "asyncio.Task[None]") -> None:
        """A page that nobody looks into would stay as it was last seen: what ended the watching ends the session."""
        error = None if watcher.cancelled() else watcher.exception()
        if error is not None:
            log.error("a page could not be looked into", exc_info=error)
            self._die("unwatched")

    async def _open(self, page: Page) -> None:
        try:
            await page.goto(self._site.url, wait_until="commit", timeout=LOOK_WITHIN * 1000)
        except PlaywrightError:
            self._become(SessionState.DEGRADED, "unreachable")
        else:
            self._become(SessionState.LOADING, "page_loading")

    def _take(self, look: dict[str, Any] | None) -> None:
        if self._reason == "unreachable":
            return
        if look is not None and look["bridge"] != self._bridge:
            # Another page instance: its notices count from one, and the ring of the old one is gone.
            self._bridge, self._seen = look["bridge"], 0
            self._wake.set()
        logged_out = look is not None and self._hear(look["notices"])
        if logged_out or self._state is SessionState.LOGGED_OUT:
            self._code = None
            self._become(SessionState.LOGGED_OUT, "unlinked")
            return
        session, code = (None, None) if look is None else (look["session"], look["code"])
        code = None if code is None else page_values.text(code, LONGEST_CODE)
        state, reason = judge(session, code=code is not None, was_linked=self._was_linked)
        self._was_linked = self._was_linked or state is SessionState.READY
        self._code = code if state is SessionState.QR else None
        self._become(state, reason)

    def _hear(self, notices: object) -> bool:
        """Tell what is new; whether the phone was unlinked."""
        logged_out = False
        for notice in page_values.items(notices):
            with one_notice():
                if (seq := page_values.number(page_values.fields(notice)["seq"])) > self._seen:
                    self._seen = seq
                    logged_out = logged_out or notice["kind"] == "logout"
                    if (told := told_of(notice)) is not None:
                        self._notify(told)
        return logged_out

    def _die(self, reason: str) -> None:
        self._code = None
        self._become(SessionState.DEAD, reason)
        self._wake.set()

    def _become(self, state: SessionState, reason: str) -> None:
        if self._state is SessionState.DEAD and state is not SessionState.LAUNCHING:
            return  # only another start ends death
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._notify(StateChanged(state, reason))


def outcome_of(answer: object) -> Ack:
    """What a page says of a send. Raises SendRejected or SendUncertain: that for all that says neither."""
    match answer:
        case {"rejected": str(reason)}:
            raise SendRejected(page_values.text(reason, LONGEST_REASON))
        case {"uncertain": str(reason)}:
            raise SendUncertain(page_values.text(reason, LONGEST_REASON))
        case {"ack": said}:
            with contextlib.suppress(page_values.BadValue):
                return ack_of(said)
    raise SendUncertain("page_error")


def _ignore(_notice: Notice) -> None:
    """Nobody listens yet."""


def _private_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
