"""The pages that lead by the hand, run line by line as a reader runs them."""

import hashlib
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from adapters.sandbox.client import SandboxControl, SandboxPhone
from adapters.wire import parse
from domain.content import KINDS
from domain.wording import malformed
from tests.adapters.whatsapp.running import until_answered
from tests.adapters.whatsapp.tabs import running_browser
from tests.adapters.whatsapp.test_phone_page import violations
from tests.e2e.doc_shell import LONGEST, ROOT, blocks, checkout
from tests.e2e.phone_shots import SCHEMES, SIZES, make_tall, open_chat

ALL_KINDS = "how-to-send-each-kind"
ACCOUNT, PERSON = "+12025550100", "+12025550142"
MESSAGE = re.compile(r"\$API/messages -d @- <<END[^\n]*\n(.*?)\nEND$", re.MULTILINE | re.DOTALL)
STANDS_FOR = {"PERSON": str(UUID(int=1)), "ACCOUNT": str(UUID(int=2)), "TEMPLATE": str(UUID(int=3))}
SAYS = "Hello *Ada*, your table in _Lisbon_ is kept for 01.03.2027, ~six~ 19:00, in the garden.\nCode `ADA LOVELACE`."
MENTIONED = {"image": ["+12025550143"]}
FILES = {
    "image": ("spring-workshop.jpg", "image/jpeg", "The *spring workshop*, Ada, with @12025550143"),
    "video": ("harbour.mp4", "video/mp4", "The harbour at 19:00"),
    "document": ("programme.pdf", "application/pdf", "See page 1"),
    "audio": ("chime.mp3", "audio/mpeg", ""),
    "voice": ("voice-note.ogg", "audio/ogg", ""),
    "sticker": ("wave.webp", "image/webp", ""),
}


def test_the_page_of_all_kinds_leaves_none_out_and_what_it_sends_is_taken() -> None:
    kinds = set()
    for said in MESSAGE.findall("\n".join(blocks(ALL_KINDS))):
        body = re.sub(r"\$([A-Z]+)", lambda name: STANDS_FOR.get(name[1], "0" * 64), said).replace("\\`", "`")
        draft = parse("job.submit-message", orjson.dumps(orjson.loads(body) | {"job_id": str(UUID(int=4))}))
        kinds |= {part["kind"] for part in orjson.loads(body).get("parts", [])}
        assert not any(malformed(text) for text in draft.texts)
    assert kinds == set(KINDS)


def file_of(kind: str) -> dict[str, Any]:
    """What a phone tells of a file of the examples."""
    name, mimetype, caption = FILES[kind]
    digest = hashlib.sha256((ROOT / "examples" / name).read_bytes()).hexdigest()
    shown = "Programme for Ada Lovelace.pdf" if kind == "document" else f"{kind}{Path(name).suffix}"
    return {
        "kind": kind,
        "media": digest,
        "mimetype": mimetype,
        "filename": shown,
        "caption": caption,
        "mentions": MENTIONED.get(kind, []),
    }


EXPECTED: list[dict[str, Any]] = [
    {"kind": "text", "text": f"{SAYS} Ask @12025550143.", "mentions": ["+12025550143"]},
    *(file_of(kind) for kind in FILES),
    {
        "kind": "location",
        "latitude": 38.7075,
        "longitude": -9.1364,
        "name": "Harbour Kitchen",
        "address": "Mill Street 4, Lisbon",
    },
    {"kind": "contact", "name": "Grace Hopper", "number": "+12025550143"},
    {"kind": "poll", "question": "What will you have, Ada?", "choices": ["Fish", "Soup", "Both"], "selectable": 2},
]
REMINDER: list[dict[str, Any]] = [
    {"kind": "text", "text": "Ada, we look forward to 01.03.2027.", "mentions": []},
    {"kind": "location", "latitude": 38.7075, "longitude": -9.1364, "name": "Harbour Kitchen", "address": ""},
    {"kind": "text", "text": "Until then, in Lisbon!", "mentions": []},
]


async def all_of(phone: SandboxPhone, desk: SandboxPhone) -> list[dict[str, Any]]:
    """The chat, once all that was sent is in it."""

    async def whole() -> list[dict[str, Any]] | None:
        shown = await phone.chat(desk)
        return shown if len(shown) > len(EXPECTED + REMINDER) else None

    return await until_answered(whole) or []


@pytest.mark.long
@pytest.mark.timeout(2 * LONGEST)
async def test_each_kind_reaches_the_phone_as_its_page_says(scratch: Path, tmp_path: Path) -> None:
    with checkout(scratch) as here:
        printed = here.run(ALL_KINDS)
        assert '"rule"' not in printed
        assert '"lacking":[]' in printed
        async with SandboxControl(here.phones) as control:
            phone, desk = await control.phone(PERSON), await control.phone(ACCOUNT)
            shown = await all_of(phone, desk)
        assert [one["body"] for one in shown if one["mine"]] == ["Looking forward!"]
        sent = [one for one in shown if not one["mine"]]
        assert [one["content"] for one in sent] == EXPECTED + REMINDER
        first, place, last = sent[-3:]
        assert (place["quoted"], last["quoted"]) == (None, first["id"])
        assert last["at"] - first["at"] >= 3
        async with running_browser() as browser:
            for size, pixels in SIZES.items():
                for scheme in SCHEMES:
                    address = f"{here.phones}/phone/{phone.id}"
                    async with open_chat(browser, address, pixels, scheme) as page:
                        assert await violations(page) == []
                        assert await page.evaluate("document.documentElement.scrollWidth") <= pixels[0]
                        await page.screenshot(path=tmp_path / f"{size}-{scheme}.png")
                        if size == "narrow":
                            await make_tall(page)
                            await page.screenshot(path=tmp_path / f"all-{scheme}.png")


TUTORIAL = (  # in this order, among what it prints
    '"messages":1,"seconds":30',
    '"name":"workspace.set-sending-policy","state":"applied"',
    '"rule":"role_required"',
    "2@",
    '{"device":"',
    '"status":"ready"',
    "line 5: number_invalid (number)",
    '"recipients": 3',
    '"review_hash":"',
    '"rule":"own_job"',
    '"rule":"not_what_was_reviewed"',
    '"name":"job.approve","state":"applied"',
    '"status":"completed"',
    '"reason":"no_consent"',
    "Hello Ada Lovelace, we open in Lisbon on Saturday.",
    '"entries":2,"distinct":2',
    "job.submitted",
    "job.completed",
    "delivery.send-intended",
    "delivery.read",
)


@pytest.mark.long
@pytest.mark.timeout(2 * LONGEST)
def test_the_tutorial_goes_as_it_says(scratch: Path) -> None:
    with checkout(scratch) as here:
        printed = here.run("tutorial")
    place = 0
    for told in TUTORIAL:
        place = printed.find(told, place)
        assert place >= 0, f"{told} is not where it should be in {printed}"
