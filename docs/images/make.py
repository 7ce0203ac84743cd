"""Make this folder's pictures of the sandbox anew: `.venv/bin/python docs/images/make.py` from the checkout."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

from adapters.sandbox.client import SandboxControl
from adapters.whatsapp_web.browser import find_chromium, needs_no_sandbox
from adapters.whatsapp_web.driver import use_bundled_node

HERE = Path(__file__).parent
PORT = 21790
URL = f"http://127.0.0.1:{PORT}"
ACCOUNT = "+12025550100"
CONTACTS = {
    "+12025550112": "Amara Osei",
    "+12025550143": "Jonas Lindqvist",
    "+12025550127": "Mei Tanaka",
    "+12025550158": "Rafael Duarte",
    "+12025550164": "Priya Raman",
    "+12025550171": "Elif Kaya",
    "+12025550186": "Tomás Herrera",
    "+12025550189": "",
    "+12025550193": "Hannah Weiss",
}
TEXT = (
    "Hello {name}, your table for the spring tasting is booked: Thursday at 7 pm, Mill Street 4. "
    "Reply STOP to hear no more."
)
SEND = """async ([number, text]) => {
    const { wid } = await WPP.contact.queryWidExists(number.slice(1) + '@c.us');
    const chat = await WPP.chat.find(wid);
    await WPP.chat.sendTextMessage(chat.id, text, { linkPreview: false });
}"""


async def main() -> None:
    with tempfile.TemporaryDirectory() as data:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters.sandbox", "--port", str(PORT), "--data-dir", data
        )
        try:
            use_bundled_node()
            async with SandboxControl(URL) as phone, async_playwright() as playwright:
                await phone.alive()
                browser = await playwright.chromium.launch(
                    executable_path=find_chromium().path, chromium_sandbox=not needs_no_sandbox()
                )
                context = await browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 800})
                await _pictures(await context.new_page(), phone)
                await browser.close()
        finally:
            server.terminate()
            await server.wait()


async def _pictures(page: Page, phone: SandboxControl) -> None:
    await page.goto(URL)
    await page.wait_for_function("window.WPP?.conn.getAuthCode().then(code => Boolean(code))")
    await _shot(page, "sandbox-qr")
    await phone.names({number: name for number, name in CONTACTS.items() if name})
    phone_page = await page.context.new_page()
    await phone_page.goto(f"{URL}/phone")
    await phone_page.wait_for_selector("#waiting li")
    code = await page.evaluate("WPP.conn.getAuthCode().then(code => code.fullCode)")
    await phone.scan(code, ACCOUNT, "Harbour Kitchen")
    await page.wait_for_function("WPP.conn.isMainReady()")
    for number, name in CONTACTS.items():
        await page.evaluate(SEND, [number, TEXT.format(name=name.split(" ")[0] or "there")])
    await phone.inbound(ACCOUNT, "+12025550143", "Thank you! Could we be three instead of two?")
    await page.wait_for_selector(".unread:not([hidden])")
    await asyncio.sleep(2)  # receipts arrive
    await _shot(page, "sandbox-chats")
    await page.click(".chat >> text=Jonas Lindqvist")
    await page.evaluate(SEND, ["+12025550143", "Of course, Jonas: a table for three. See you on Thursday."])
    await page.wait_for_selector(".bubble.mine:last-child .read")
    await _shot(page, "sandbox-chat")
    await page.emulate_media(color_scheme="dark")
    await _shot(page, "sandbox-dark")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 390, "height": 780})
    await _shot(page, "sandbox-390")
    await page.click("#back")
    await _shot(page, "sandbox-390-chats")
    await phone.arm("nack", "+12025550199")
    await phone_page.wait_for_selector("#delivered li .read")
    await phone_page.wait_for_selector("#armed li")
    await _shot(phone_page, "sandbox-phone")


async def _shot(page: Page, name: str) -> None:
    await page.evaluate("document.fonts.ready")
    await page.screenshot(path=HERE / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    asyncio.run(main())
