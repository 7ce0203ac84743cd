"""Inside the page: the bridge over the real wa-js bundle, and over the sandbox that takes its place."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import segno
from playwright.async_api import Browser, Page

from adapters.sandbox.ledger import read
from adapters.whatsapp_web.driver import WhatsAppWeb
from tests.adapters.whatsapp.running import Sandbox, new_id, until_answered

pytestmark = pytest.mark.asyncio(loop_scope="session")
ACCOUNT, NUMBER = "+12025550101", "12025550177"


@contextlib.asynccontextmanager
async def open_page(browser: Browser, web: WhatsAppWeb, path: str, *, scripts: bool = True) -> AsyncIterator[Page]:
    """A page with storage of its own, made as a session makes it."""
    context = await browser.new_context(service_workers="block", no_viewport=True)
    try:
        for script in web.scripts if scripts else []:
            await context.add_init_script(script)
        page = await context.new_page()
        page.set_default_timeout(10_000)
        await page.goto(f"{web.url}/{path}")
        yield page
    finally:
        await context.close()


async def look(page: Page) -> dict[str, Any]:
    seen: dict[str, Any] = await page.evaluate("() => drumline.look(0)")
    return seen


@pytest_asyncio.fixture(loop_scope="session")
async def linked_page(browser: Browser, web: WhatsAppWeb, sandbox: Sandbox) -> AsyncIterator[Page]:
    async with open_page(browser, web, "") as page:

        async def code() -> str:
            return (await look(page))["code"] or ""

        async def ready() -> bool:
            session = (await look(page))["session"]
            return bool(session and session["mainReady"])

        await sandbox.control.scan(await until_answered(code), ACCOUNT)
        await until_answered(ready)
        yield page


def order(clock: dict[str, Any], wa_id: str, **changed: Any) -> dict[str, Any]:
    said = {"kind": "text", "text": "Hi", "mentions": []}
    base = {"bridge": clock["bridge"], "before": clock["now"] + 5000, "number": NUMBER, "said": said, "waId": wa_id}
    return base | {"quoted": None} | changed


async def send(page: Page, what: dict[str, Any]) -> Any:
    return await page.evaluate("order => drumline.send(order)", what)


async def test_the_real_bundle_loads_on_a_foreign_page_and_calls_nobody(
    browser: Browser, web: WhatsAppWeb, sandbox: Sandbox
) -> None:
    async with open_page(browser, web, "") as page:
        problems: list[str] = []
        requests: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(f"{sandbox.url}/phone")  # a page of ours that leaves the library alone
        await page.wait_for_selector("#fault-name option", state="attached")
        told = await page.evaluate("""async () => ({
            version: WPP.version,
            analytics: WPP.config.disableGoogleAnalytics,
            previews: Array.from(WPP.config.linkPreviewApiServers),
            look: await drumline.look(0),
            send: await drumline.send({ bridge: drumline.clock().bridge, before: Infinity, number: '1' }),
        })""")
    assert told["version"] == "4.6.0"
    assert told["analytics"] is True
    assert told["previews"] == []
    assert told["look"]["session"] is None
    assert told["send"] == {"rejected": "not_ready"}
    assert problems == []
    assert {url.startswith(sandbox.url) for url in requests} == {True}


async def test_the_page_refuses_to_act_after_the_deadline_on_its_own_clock(linked_page: Page, sandbox: Sandbox) -> None:
    clock = await linked_page.evaluate("() => drumline.clock()")
    late, elsewhere, in_time = new_id(), new_id(), new_id()
    assert await send(linked_page, order(clock, late, before=clock["now"])) == {"rejected": "deadline"}
    assert await send(linked_page, order(clock, elsewhere, bridge="another")) == {"rejected": "page_reloaded"}
    assert await send(linked_page, order(clock, in_time)) == {"ack": 1}
    on_wire = [entry.wa_id for entry in read(sandbox.ledger)]
    assert [wa_id in on_wire for wa_id in (late, elsewhere, in_time)] == [False, False, True]


async def test_receipts_say_the_last_part_of_the_key_and_can_be_read_again(linked_page: Page) -> None:
    wa_id = new_id()
    await send(linked_page, order(await linked_page.evaluate("() => drumline.clock()"), wa_id))

    async def notices() -> list[dict[str, Any]]:
        return [n for n in (await look(linked_page))["notices"] if n["kind"] == "ack" and n["ids"] == [wa_id]]

    async def read_by_recipient() -> bool:
        return [n["ack"] for n in await notices()][-1:] == [3]

    await until_answered(read_by_recipient)
    acks = [n["ack"] for n in await notices()]
    assert acks == sorted(set(acks))
    seqs = [n["seq"] for n in await notices()]
    assert seqs == sorted(set(seqs))
    assert NUMBER not in str(await notices())


async def test_receipts_are_told_together_and_everything_else_at_once(linked_page: Page) -> None:
    woken = await linked_page.evaluate("""async () => {
        const heard = {}, told = [];
        let woken = 0;
        window.drumlineWake = async () => void woken++;
        window.WPP = { loader: { onReady: () => {} }, on: (name, listener) => (heard[name] = listener) };
        await drumline.look(0); // it listens to the new library now
        const receipt = () => heard['chat.msg_ack_change']({ ack: 2, ids: [{ fromMe: true, id: 'A' }] });
        for (let count = 0; count < 30; count++) receipt();
        while (!woken) await new Promise(resolve => setTimeout(resolve, 10));
        told.push(woken);
        receipt();
        heard['conn.logout']();
        await new Promise(resolve => setTimeout(resolve));
        return [...told, woken, (await drumline.look(0)).notices.length];
    }""")
    assert woken == [1, 2, 32]


async def test_after_a_restart_messages_are_cold_until_warmed(linked_page: Page) -> None:
    wa_id = new_id()
    await send(linked_page, order(await linked_page.evaluate("() => drumline.clock()"), wa_id))
    key = await linked_page.evaluate("id => WPP.chat.list().then(chats => `true_${chats[0].id}_${id}`)", wa_id)
    await linked_page.reload()
    found = await linked_page.evaluate(
        """async key => {
            while (!window.WPP?.conn?.isMainReady()) await new Promise(resolve => setTimeout(resolve, 20));
            const cold = await WPP.chat.getMessageById(key).catch(error => error.code);
            const warmed = await require('WAWebMsgCollection').MsgCollection.getMessagesById([key]);
            const { ack, id } = await WPP.chat.getMessageById(key);
            return { cold, warmed: warmed.messages.length, ack, id: id.id };
        }""",
        key,
    )
    assert found["cold"] == "msg_not_found"
    assert (found["warmed"], found["id"]) == (1, wa_id)
    assert found["ack"] >= 1


async def test_a_person_can_link_log_out_and_write_by_hand(
    browser: Browser, web: WhatsAppWeb, sandbox: Sandbox
) -> None:
    phone = "+14165550105"
    async with open_page(browser, web, "", scripts=False) as page:
        by_hand = await page.context.new_page()
        await by_hand.goto(f"{sandbox.url}/phone")
        await by_hand.fill("#number", phone)
        code = await page.evaluate("""async () => {
            for (;;) {
                const code = await window.WPP?.conn.getAuthCode();
                if (code) return code.fullCode;
                await new Promise(resolve => setTimeout(resolve, 20));
            }
        }""")
        await by_hand.fill("#payload", code)
        await by_hand.click("#paste button")
        await page.wait_for_selector("body[data-screen=app]")
        await sandbox.control.inbound(phone, "+14165550106", "Are you open on Sunday?")
        await page.click("#chats .chat")
        await page.fill("#text", "We are, from ten.")
        await page.press("#text", "Enter")
        await page.wait_for_selector(".bubble.mine .ticks.read")
        assert await page.locator(".bubble").count() == 2
        await by_hand.click(f".row:has-text('{phone[-4:]}') >> text=Log out")
        await page.wait_for_selector("body[data-screen=link]")


async def test_our_qr_codes_are_those_of_an_independent_encoder(browser: Browser, web: WhatsAppWeb) -> None:
    # Each version filled to its last byte: segno puts a zero byte of its own before the padding.
    full = (17, 32, 53, 78, 106, 134, 154, 192, 230, 271, 321, 367, 425, 458, 520)
    texts = [("2@Zr0,aB+/=k9" * 50)[:length] for length in full]
    async with open_page(browser, web, "phone", scripts=False) as page:
        codes = await page.evaluate(
            "texts => import('/qr.js').then(({ qr }) => texts.map(qr).map(c => ({ ...c, dark: [...c.dark] })))", texts
        )
    for text, ours in zip(texts, codes, strict=True):
        least = segno.make(text, mode="byte", error="l", boost_error=False, micro=False)
        assert ours["version"] == least.version
        theirs = segno.make(
            text, mode="byte", error="l", boost_error=False, micro=False, version=least.version, mask=ours["mask"]
        )
        assert ours["dark"] == [module for row in theirs.matrix for module in row]
