"""The pages of the phones, as a person uses them: by pointer and by keyboard, narrow and wide, light and dark."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from adapters.sandbox.client import SandboxPhone
from tests.adapters.whatsapp.running import Sandbox, until_answered
from tests.adapters.whatsapp.tabs import Tab, new_tab

pytestmark = pytest.mark.asyncio(loop_scope="session")
ACCOUNT, PERSON = "+13125550130", "+13125550131"
AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE, NARROW = (1280, 900), (390, 844)
POLL = """number => WPP.chat.find(`${number}@c.us`).then(({ id }) =>
    WPP.chat.sendCreatePollMessage(id, 'Which evening?', ['Friday', 'Saturday'], { selectableCount: 1 }))"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def account(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Tab]:
    """A linked page that has sent a text and a poll to the person."""
    async with new_tab(browser, sandbox) as tab:
        await tab.link(ACCOUNT)
        await sandbox.control.names({ACCOUNT: "Harbour Theatre", PERSON: "Ana Souza"})
        await tab.send(PERSON)
        await tab.page.evaluate(POLL, PERSON.removeprefix("+"))
        yield tab


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def phones(account: Tab, sandbox: Sandbox) -> tuple[SandboxPhone, SandboxPhone]:
    """The person's phone, and the account's."""
    return await sandbox.control.phone(PERSON), await sandbox.control.phone(ACCOUNT)


@contextlib.asynccontextmanager
async def opened(
    browser: Browser,
    address: str,
    size: tuple[int, int] = WIDE,
    scheme: Literal["light", "dark"] = "light",
) -> AsyncIterator[Page]:
    problems: list[str] = []
    width, height = size
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = await context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(address)
    await page.wait_for_selector("#chats .chat, #fault-name option", state="attached")
    yield page
    await context.close()
    assert problems == []


def of_phone(sandbox: Sandbox, phone: SandboxPhone) -> str:
    return f"{sandbox.url}/phone/{phone.id}"


async def test_a_person_reads_answers_votes_and_says_stop_by_keyboard(
    browser: Browser, sandbox: Sandbox, account: Tab, phones: tuple[SandboxPhone, SandboxPhone]
) -> None:
    person, sender = phones
    async with opened(browser, of_phone(sandbox, person), NARROW) as page:
        await page.locator("#chats .chat").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".bubble .poll")
        assert await page.evaluate("document.activeElement.id") == "text"
        await page.keyboard.type("Is there a ramp?")
        await page.keyboard.press("Enter")
        await page.locator(".option").nth(1).focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".option[aria-pressed=true] >> text=Saturday")
        assert await page.evaluate("document.activeElement.dataset.option") == "1"  # a new drawing leaves it there
        await page.locator("#stop").focus()
        await page.keyboard.press("Space")
        await page.wait_for_selector(".bubble.mine >> text=STOP")
        await page.keyboard.press("Escape")
        await page.wait_for_selector("#chats .chat:focus")

    async def answers() -> bool:
        return {"Is there a ramp?", "STOP"} <= {m["body"] for m in await sender.chat(person) if not m["mine"]}

    await until_answered(answers)
    sent = [m for m in await sender.chat(person) if m["mine"]]
    assert [m["ack"] for m in sent] == [3, 3]
    assert sent[1]["votes"] == [0, 1]
    # In the linked browser, too.
    await account.page.click("#chats .chat")
    await account.page.wait_for_selector(".bubble:not(.mine) >> text=STOP")


async def test_a_reply_quotes_what_it_answers(
    browser: Browser, sandbox: Sandbox, phones: tuple[SandboxPhone, SandboxPhone]
) -> None:
    person, sender = phones
    async with opened(browser, of_phone(sandbox, person)) as page:
        await page.click("#chats .chat")
        await page.locator(".bubble:not(.mine)").first.hover()
        await page.locator(".bubble:not(.mine) .reply").first.click()
        await page.fill("#text", "To the first one")
        await page.press("#text", "Enter")
        await page.wait_for_selector(".bubble.mine .quote:has-text('Hello') b >> text=Harbour Theatre")
    first = (await sender.chat(person))[0]
    assert [m["quoted"] for m in await sender.chat(person) if m["body"] == "To the first one"] == [first["id"]]


async def test_several_phones_are_open_at_once_and_one_that_is_switched_off_gets_nothing(
    browser: Browser, sandbox: Sandbox, account: Tab, phones: tuple[SandboxPhone, SandboxPhone]
) -> None:
    other = await sandbox.control.phone("+13125550132", "Ben Ortiz")
    await account.send("+13125550132")
    async with (
        opened(browser, of_phone(sandbox, other)) as first,
        opened(browser, of_phone(sandbox, phones[0])) as second,
    ):
        await first.locator("#on").click()
        await first.wait_for_selector("text=This phone is off.")
        waiting = await account.send("+13125550132")
        assert await second.locator(".handset .bar").first.is_visible()
        assert (await account.row(waiting) or {})["ack"] == 1
        await first.click("#turn-on")
        await account.until(f"told.some(([, id, ack]) => id === '{waiting}' && ack === 2)")


async def test_a_phone_scans_the_code_that_a_browser_shows(
    browser: Browser, sandbox: Sandbox, phones: tuple[SandboxPhone, SandboxPhone]
) -> None:
    async with new_tab(browser, sandbox) as waiting, opened(browser, of_phone(sandbox, phones[0])) as page:
        await until_answered(waiting.code)
        await page.locator("#waiting button").first.click()
        await waiting.ready()
        await page.wait_for_selector("#devices >> text=Online")
        await page.click("#devices button")
        await waiting.page.wait_for_selector("body[data-screen=link]")


async def test_the_list_of_phones_finds_one_by_its_name_and_leads_to_it(
    browser: Browser, sandbox: Sandbox, phones: tuple[SandboxPhone, SandboxPhone]
) -> None:
    async with opened(browser, f"{sandbox.url}/phone") as page:
        await page.fill("#search", "ana so")
        await page.wait_for_selector("#phones li:only-child")
        await page.click("#phones .to-phone")
        await page.wait_for_url(f"**/phone/{phones[0].id}")
        await page.wait_for_selector("text=In my hand")


async def violations(page: Page) -> list[tuple[str, str]]:
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate(
        "rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES
    )
    return [(violation["id"], node["html"]) for violation in found["violations"] for node in violation["nodes"]]


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(WIDE, "light", id="wide-light"),
        pytest.param(NARROW, "dark", id="narrow-dark"),
        pytest.param(WIDE, "dark", id="wide-dark", marks=pytest.mark.long),
        pytest.param(NARROW, "light", id="narrow-light", marks=pytest.mark.long),
    ],
)
async def test_axe_finds_nothing_on_the_phones_and_nothing_is_wider_than_the_window(
    browser: Browser,
    sandbox: Sandbox,
    phones: tuple[SandboxPhone, SandboxPhone],
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
) -> None:
    person, sender = phones
    await sandbox.control.arm("slow_media", PERSON)
    await person.write(sender, "*Thank you*", (await sender.chat(person))[0]["id"])
    async with opened(browser, of_phone(sandbox, person), size, scheme) as page:
        assert await violations(page) == []
        await page.click("#chats .chat")
        await page.wait_for_selector(".bubble .poll")
        assert await violations(page) == []
        if size == NARROW:
            await page.click("#back")
            await page.click("#open-about")
            assert await violations(page) == []
    async with opened(browser, f"{sandbox.url}/phone", size, scheme) as page:
        await page.wait_for_selector("#armed .row")
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= size[0]
    await sandbox.control.disarm()
