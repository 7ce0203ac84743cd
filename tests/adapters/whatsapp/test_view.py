"""What a person sees in the linked browser: each kind of message as a messenger shows it."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from adapters.whatsapp_web.driver import WhatsAppWeb
from tests.adapters.whatsapp.running import Sandbox, until_answered
from tests.adapters.whatsapp.test_page import look, open_page

pytestmark = pytest.mark.asyncio(loop_scope="session")
ACCOUNT, NUMBER = "+12025550151", "+12025550152"
ALL = r"""async number => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 40;
    canvas.getContext('2d').fillRect(5, 5, 20, 20);
    const picture = await new Promise(resolve => canvas.toBlob(resolve, 'image/png'));
    const { chat } = WPP;
    const { id } = await chat.find(`${number.slice(1)}@c.us`);
    const file = (type, more) => chat.sendFileMessage(id, picture, { type, ...more });
    const words = 'Is *this* _so_, ~or not~, `x`?\n```y```\nsnake_case_word 2*3*4 @12025550153';
    const first = await chat.sendTextMessage(id, words);
    await file('image', { filename: 'a.png', mimetype: 'image/png', caption: 'At *noon*' });
    await file('sticker', { filename: 'a.webp', mimetype: 'image/png' });
    await file('video', { filename: 'a.mp4', mimetype: 'video/mp4' });
    await file('audio', { filename: 'a.mp3', mimetype: 'audio/mpeg' });
    await file('audio', { filename: 'a.ogg', mimetype: 'audio/ogg', isPtt: true });
    await file('document', { filename: '<b>menu.html', mimetype: 'text/html', caption: 'See page 2' });
    await chat.sendLocationMessage(id, { lat: 53.5, lng: 9.9, name: 'Harbour Kitchen', address: 'Mill Street 4' });
    await chat.sendVCardContactMessage(id, { id: '12025550154@c.us', name: 'Mei Tanaka' });
    const poll = await chat.sendCreatePollMessage(id, 'Which day?', ['Thursday', 'Friday'], { selectableCount: 1 });
    await chat.sendTextMessage(id, 'As I said.', { quotedMsg: first.id });
    return poll.id.split('_').at(-1);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(browser: Browser, web: WhatsAppWeb, sandbox: Sandbox) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page with one message of each kind in its open chat; and what went wrong on it."""
    async with open_page(browser, web, "") as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

        async def code() -> str:
            return (await look(page))["code"] or ""

        await sandbox.control.scan(await until_answered(code), ACCOUNT)
        await until_answered(lambda: page.evaluate("WPP.conn.isMainReady()"))
        poll = await page.evaluate(ALL, NUMBER)
        voter, account = await sandbox.control.phone(NUMBER), await sandbox.control.phone(ACCOUNT)
        await page.click("#chats .chat")
        await until_answered(lambda: delivered(voter, account, poll))
        await voter.vote(account, poll, [1])
        await voter.write(account, "Friday it is.", poll)
        await page.wait_for_selector(".bubble:not(.mine)")
        yield page, problems


async def delivered(voter: Any, account: Any, poll: str) -> bool:
    return poll in [message["id"] for message in await voter.chat(account)]


async def texts(page: Page, selector: str) -> list[str]:
    return await page.locator(selector).all_inner_texts()


async def test_a_text_has_its_formatting_and_what_only_looks_like_it_has_none(chat: tuple[Page, list[str]]) -> None:
    page, _ = chat
    first = ".bubble.of-text >> nth=0 >> "
    told = {tag: await texts(page, first + tag) for tag in ("strong", "em", "s", "code", ".mention")}
    assert told == {
        "strong": ["this"], "em": ["so"], "s": ["or not"], "code": ["x", "y"], ".mention": ["@+1 202 555 0153"],
    }  # fmt: skip
    assert "snake_case_word 2*3*4" in (await texts(page, first + ".words"))[0]


async def test_pictures_are_shown_with_caption_and_stickers_without_a_bubble(chat: tuple[Page, list[str]]) -> None:
    page, _ = chat
    for selector in (".of-image img.picture", ".of-sticker img.sticker"):
        await until_answered(partial(page.locator(selector).evaluate, "picture => picture.naturalWidth === 40"))
    assert await texts(page, ".of-image .words strong") == ["noon"]


async def test_films_sounds_and_voice_messages_have_players(chat: tuple[Page, list[str]]) -> None:
    page, _ = chat
    assert await page.locator(".of-video video[controls][src^=blob]").count() == 1
    assert await page.locator(".of-audio audio[controls][src^=blob]").count() == 1
    assert await page.locator(".of-voice").get_by_role("button", name="Play voice message").count() == 1


async def test_a_document_is_for_keeping_under_its_own_name_and_never_acts_in_the_page(
    chat: tuple[Page, list[str]],
) -> None:
    page, _ = chat
    link = page.locator(".of-document a.document[href^=blob]")
    assert await link.get_attribute("download") == "<b>menu.html"
    kind = await link.evaluate("async link => (await (await fetch(link.href)).blob()).type")
    assert kind == "application/octet-stream"
    assert await texts(page, ".of-document .words") == ["See page 2"]


async def test_places_cards_polls_and_quotes_say_what_they_hold(chat: tuple[Page, list[str]]) -> None:
    page, _ = chat
    assert await texts(page, ".of-location b, .of-location span span") == ["Harbour Kitchen"]
    assert await texts(page, ".of-contact b, .of-contact small") == ["Mei Tanaka", "+1 202 555 0154"]
    voted = "document.querySelectorAll('.of-poll .count')[1]?.textContent === '1'"
    await until_answered(lambda: page.evaluate(voted))
    assert await texts(page, ".of-poll .choice") == ["Thursday", "Friday"]
    assert (await texts(page, ".mine .quote"))[0].startswith("You")
    assert "Which day?" in (await texts(page, ".bubble:not(.mine) .quote"))[0]


async def test_a_message_draws_its_own_chat_anew_and_leaves_the_others_untouched(chat: tuple[Page, list[str]]) -> None:
    page, _ = chat
    await page.locator("#chats .unread:not([hidden])").wait_for(state="detached")
    shown = "#chats li, #messages .bubble:not(.mine)"
    await page.evaluate("shown => document.querySelectorAll(shown).forEach(item => (item.drawn = 'before'))", shown)
    await page.evaluate("WPP.chat.sendTextMessage('12025550155@c.us', 'Noon?')")
    await page.locator("#chats li >> nth=1").wait_for()
    drawn = await page.evaluate(
        "shown => [...document.querySelectorAll(shown)].map(item => item.drawn ?? 'anew')", shown
    )
    assert drawn == ["anew", "before", "before"]
    assert (await texts(page, "#chats .preview"))[0] == "Noon?"


async def test_it_fits_a_phone_with_nothing_cut_off_and_nothing_failed_meanwhile(chat: tuple[Page, list[str]]) -> None:
    page, problems = chat
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 844})
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        spill = (
            "[...document.querySelectorAll('#messages .bubble')].filter(b => b.scrollWidth > b.clientWidth + 1).length"
        )
        assert await page.evaluate(spill) == 0
    assert problems == []
