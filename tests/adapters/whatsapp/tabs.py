"""Pages of the sandbox as a person or a library sees them: linked or not, each with storage of its own."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright

from adapters.sandbox.ledger import read
from adapters.whatsapp_web.browser import FLAGS, find_chromium, needs_no_sandbox
from adapters.whatsapp_web.driver import use_bundled_node
from tests.adapters.whatsapp.running import Sandbox, new_id, until_answered

WITHIN = 30_000.0
# What happens to one of our sends, and which events the library told, in the page itself.
HELPERS = """() => {
    window.told = []; window.outcomes = {};
    const listen = () => {
        if (!window.WPP?.chat) return setTimeout(listen, 5);
        WPP.on('chat.msg_ack_change', ({ ack, ids }) => told.push(['ack', ids[0].id, ack]));
        WPP.on('chat.new_message', ({ id }) => told.push(['new', id.id]));
        WPP.on('conn.logout', () => told.push(['logout']));
        WPP.on('conn.online', (online) => told.push(['online', online]));
        WPP.on('conn.logout_reason', (reason) => told.push(['reason', reason]));
    };
    listen();
    window.sending = async (number, wa_id, send) => {
        outcomes[wa_id] = 'pending';
        try {
            const chat = await WPP.chat.find(`${number}@c.us`);
            const how = { messageId: `true_${chat.id}_${wa_id}`, waitForAck: true };
            const { ack, sendMsgResult } = await send(chat.id, how);
            outcomes[wa_id] = [ack, sendMsgResult.messageSendResult];
        } catch (error) {
            outcomes[wa_id] = String(error.code ?? error);
        }
    };
}"""
SEND = "([number, id]) => void sending(number, id, (to, how) => WPP.chat.sendTextMessage(to, 'Hello', how))"
SEND_FILE = """([number, id]) => void sending(number, id, (to, how) => WPP.chat.sendFileMessage(
    to, new File([new Uint8Array(2000)], 'a.pdf', { type: 'application/pdf' }), { ...how, type: 'document' }))"""


@dataclass
class Tab:
    """One page, and the number that it is linked to, if it is."""

    page: Page
    sandbox: Sandbox
    account: str = ""

    async def open(self) -> None:
        self.page.set_default_timeout(WITHIN)
        await self.page.add_init_script(f"({HELPERS})()")
        await self.page.goto(self.sandbox.url)

    async def link(self, account: str) -> "Tab":
        self.account = account
        code = await until_answered(self.code)
        assert code is not None
        await self.sandbox.control.scan(code, account)
        await self.ready()
        return self

    async def ready(self) -> None:
        await self.until("window.WPP?.conn?.isMainReady?.() && WPP.conn.getStreamData().mode === 'MAIN'")

    async def code(self) -> str | None:
        asked = "async () => (await window.WPP?.conn?.getAuthCode?.())?.fullCode ?? null"
        with contextlib.suppress(Error):  # it navigates
            code: str | None = await self.page.evaluate(asked)
            return code
        return None

    async def is_(self, expression: str) -> Any:
        return await self.page.evaluate(f"() => {expression}")

    async def until(self, expression: str) -> None:
        await self.page.wait_for_function(f"() => {expression}", timeout=WITHIN)

    async def mode(self) -> str:
        return str(await self.is_("WPP.conn.getStreamData().mode"))

    async def begin(self, number: str, *, file: bool = False) -> str:
        """Begin to send something; returns its id."""
        wa_id = new_id()
        await self.page.evaluate(SEND_FILE if file else SEND, [number.removeprefix("+"), wa_id])
        return wa_id

    async def send(self, number: str) -> str:
        """Send something that arrives."""
        wa_id = await self.begin(number)
        ack, result = await self.outcome(wa_id)
        assert (ack > 0, result) == (True, "OK")
        return wa_id

    async def outcome(self, wa_id: str) -> Any:
        """What became of a send: its acknowledgement and result, or its error's code or text."""
        await self.until(f"outcomes['{wa_id}'] !== 'pending'")
        return await self.is_(f"outcomes['{wa_id}']")

    async def pending(self, wa_id: str) -> bool:
        return bool(await self.is_(f"outcomes['{wa_id}'] === 'pending'"))

    async def row(self, wa_id: str) -> dict[str, Any] | None:
        """What the profile has of a message, whether or not it is in memory."""
        found: dict[str, Any] | None = await self.page.evaluate(ROW, wa_id)
        return found

    async def told(self, *kinds: str) -> list[list[Any]]:
        told: list[list[Any]] = await self.is_("told")
        return [event for event in told if event[0] in kinds]

    def on_wire(self, wa_id: str) -> int:
        return [entry.wa_id for entry in read(self.sandbox.ledger)].count(wa_id)


ROW = """wanted => new Promise((resolve, reject) => {
    const opening = indexedDB.open('sandbox');
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
        const all = opening.result.transaction('messages').objectStore('messages').getAll();
        all.onsuccess = () => {
            const row = all.result.find(({ id }) => id === wanted);
            opening.result.close();
            resolve(row ? { ack: row.ack, failed: row.isSendFailure } : null);
        };
    };
})"""


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """One Chromium for many pages."""
    use_bundled_node()
    async with async_playwright() as driver:
        flags = [*FLAGS, *(["--no-sandbox"] if needs_no_sandbox() else [])]
        browser = await driver.chromium.launch(executable_path=find_chromium().path, args=flags)
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def new_tab(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Tab]:
    """A page that nobody has linked yet."""
    context = await browser.new_context()
    tab = Tab(await context.new_page(), sandbox)
    await tab.open()
    yield tab
    await context.close()


@contextlib.asynccontextmanager
async def on_profile(
    launch: Callable[[Path], Awaitable[BrowserContext]], profile: Path, sandbox: Sandbox
) -> AsyncIterator[Tab]:
    """A browser of its own, on a profile that stays."""
    context = await launch(profile)
    tab = Tab(context.pages[0], sandbox)
    await tab.open()
    yield tab
    await context.close()
