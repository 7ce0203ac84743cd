"""Make this folder's pictures of the sandbox anew: `.venv/bin/python docs/images/make.py` from the checkout."""

import asyncio
import base64
import contextlib
import io
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, Page

from adapters.sandbox.client import SandboxControl, SandboxPhone
from tests.adapters.whatsapp.running import until_answered
from tests.adapters.whatsapp.tabs import running_browser
from tests.e2e.doc_shell import ROOT, checkout
from tests.e2e.phone_shots import open_chat

HERE = Path(__file__).parent
DESK, GUEST, ADA = "+12025550101", "+12025550143", "+12025550142"
WIDE = (1280, 800)
CONTACTS = {
    ADA: "Ada Lovelace",
    "+12025550112": "Amara Osei",
    "+12025550127": "Mei Tanaka",
    "+12025550158": "Rafael Duarte",
    "+12025550164": "Priya Raman",
    "+12025550171": "Elif Kaya",
    "+12025550186": "Tomás Herrera",
    "+12025550193": "Hannah Weiss",
    GUEST: "Jonas Lindqvist",
}
TEXT = (
    "Hello {name}, your table for the *spring tasting* is kept: Thursday at 7 pm, Mill Street 4. "
    "Reply STOP to hear no more."
)
# What is sent by the library in the page, as drumline's driver sends it.
SEND = """async ([number, how, said]) => {
    const { id } = await WPP.chat.find(number.slice(1) + '@c.us');
    await WPP.chat[how](id, ...said);
}"""

# Where the chat is to be cut into three columns, each beginning with a message, and how high they make the window.
COLUMNS = """() => {
    const list = document.getElementById('messages');
    const tops = [...list.children].map((one) => one.offsetTop - list.offsetTop - 8);
    const starts = [0, 1, 2].map((part) => tops.find((top) => top >= (part * list.scrollHeight) / 3 - 90) ?? 0);
    const ends = [starts[1], starts[2], list.scrollHeight];
    const highest = Math.max(...ends.map((end, part) => end - starts[part]));
    return [starts, window.innerHeight - list.clientHeight + highest];
}"""


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="drl-") as data, checkout(Path(data)) as here:
        await asyncio.to_thread(here.run, "how-to-send-each-kind")
        async with SandboxControl(here.phones) as phones, running_browser() as browser:
            await phones.names(CONTACTS)
            await _one_phone(browser, f"{here.phones}/phone/{(await phones.phone(ADA)).id}")
            await _linked_browser(browser, phones, here.phones)


async def _linked_browser(browser: Browser, phones: SandboxControl, url: str) -> None:
    """WhatsApp Web as the sandbox emulates it: the chats, and one of them open; and the list of phones beside it."""
    async with _page(browser, url) as page:
        await page.wait_for_function("() => window.WPP?.conn.getAuthCode().then(code => Boolean(code))")
        code = await page.evaluate("WPP.conn.getAuthCode().then(code => code.fullCode)")
        await phones.scan(code, DESK, "Tasting Room")
        await page.wait_for_function("() => WPP.conn.isMainReady()")
        for number, name in CONTACTS.items():
            said = [TEXT.format(name=name.split(" ")[0]), {"linkPreview": False}]
            await page.evaluate(SEND, [number, "sendTextMessage", said])
        guest, desk = await phones.phone(GUEST), await phones.phone(DESK)
        picture = base64.b64encode((ROOT / "examples" / "spring-workshop.jpg").read_bytes()).decode()
        file = {"type": "image", "filename": "spring.jpg", "caption": "This is where we meet."}
        await page.evaluate(SEND, [GUEST, "sendFileMessage", [f"data:image/jpeg;base64,{picture}", file]])
        first, _ = await until_answered(lambda: lasting(guest, desk, 2))
        await guest.write(desk, "Thank you! Could we be three instead of two?", first["id"])
        poll = ["Of course. What will you have?", ["Fish", "Soup", "Both"], {"selectableCount": 1}]
        await page.evaluate(SEND, [GUEST, "sendCreatePollMessage", poll])
        await guest.vote(desk, (await until_answered(lambda: lasting(guest, desk, 4)))[-1]["id"], [2])
        await page.click(".chat >> text=Jonas Lindqvist")
        await page.wait_for_selector(".bubble.mine:last-child .read")
        await page.wait_for_function("() => document.querySelector('.picture')?.naturalWidth")
        await _shot(page, "sandbox-chat")
        await phones.arm("nack", "+12025550199")
        async with _page(browser, f"{url}/phone") as list_of_phones:
            await list_of_phones.wait_for_selector("#armed .row")
            await _shot(list_of_phones, "sandbox-phones")


async def lasting(phone: SandboxPhone, other: SandboxPhone, count: int) -> list[dict[str, Any]]:
    """A chat, once it has so many messages; nothing before."""
    messages = await phone.chat(other)
    return messages if len(messages) >= count else []


async def _one_phone(browser: Browser, address: str) -> None:
    """A phone, and every kind of message on it."""
    async with open_chat(browser, address, WIDE, "light") as page:
        await _shot(page, "sandbox-phone")
    async with open_chat(browser, address, (390, 900), "light", 1.25) as page:
        await page.wait_for_timeout(2_000)  # the spinner of the film fades out
        starts, height = await page.evaluate(COLUMNS)
        await page.set_viewport_size({"width": 390, "height": height})
        shots = []
        for start in starts:
            await page.evaluate("to => document.getElementById('messages').scrollTo(0, to)", start)
            shots.append(Image.open(io.BytesIO(await page.screenshot(animations="disabled"))))
        side_by_side = Image.new("RGB", (sum(one.width for one in shots) + 40, shots[0].height), "white")
        for place, one in enumerate(shots):
            side_by_side.paste(one, (place * (one.width + 20), 0))
        _keep(side_by_side, "each-kind")


@contextlib.asynccontextmanager
async def _page(browser: Browser, url: str) -> AsyncIterator[Page]:
    width, height = WIDE
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme="light")
    page = await context.new_page()
    await page.goto(url)
    yield page
    await context.close()


async def _shot(page: Page, name: str) -> None:
    await page.evaluate("document.fonts.ready")
    _keep(Image.open(io.BytesIO(await page.screenshot(animations="disabled"))), name)


def _keep(picture: Image.Image, name: str) -> None:
    """In 256 colours, which nobody tells from all of them in a picture of a page."""
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    asyncio.run(main())
