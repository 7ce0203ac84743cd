"""Every kind of message as it reaches a phone, and what comes back; in memory and by a real browser alike."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox.contents import hashed
from adapters.sandbox.memory import content_of
from adapters.sandbox.nouns import lid_of
from domain.content import MediaKind
from domain.outgoing import Contact, Location, Media, Outgoing, Poll, Text
from domain.ports import Ack, Arrived, MessageArrived, SendRejected
from tests.adapters.whatsapp.rig import ACCOUNT, Rig
from tests.adapters.whatsapp.running import new_id, until, until_answered

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOBODY = "+46701740607"  # no other test has it: faults outlast theirs
MEDIA = {
    MediaKind.IMAGE: ("image/png", "harbour.png", "The *harbour* at noon, @12025550177"),
    MediaKind.VIDEO: ("video/mp4", "harbour.mp4", "One minute of it"),
    MediaKind.AUDIO: ("audio/mpeg", "waves.mp3", ""),
    MediaKind.VOICE: ("audio/ogg; codecs=opus", "voice.ogg", ""),
    MediaKind.DOCUMENT: ("application/pdf", "Größe & Menü.pdf", "See page 2"),
    MediaKind.STICKER: ("image/webp", "wave.webp", ""),
}
PLAIN: list[Outgoing] = [
    Text("Grüße, *bold* _italic_ ~gone~ ```code```\nline two"),
    Text("Ask @12025550177", mentions=("+12025550177",)),
    Location(-22.951_916, -43.210_487, "Cristo Redentor", "Parque Nacional da Tijuca, Rio de Janeiro"),
    Location(10, 20),
    Contact("Amara Osei", "+12025550177"),
    Poll("Which day?", ("Monday", "Tuesday", "No day"), selectable=1),
    Poll("Which of these?", ("Tea", "Coffee"), selectable=0),
]


async def on_the_phone(rig: Rig, number: str, wa_id: str) -> dict[str, Any]:
    shown = await until_answered(lambda: rig.far.shown(number, ACCOUNT, wa_id))
    assert shown is not None
    return shown


async def reaches(rig: Rig, number: str, message: Outgoing) -> None:
    wa_id, said = new_id(), content_of(message)
    assert await rig.messenger.send(number, message, wa_id, 20) is not Ack.PENDING
    [entry] = rig.wire(wa_id)
    assert entry.kind == said.kind
    assert entry.sha256 == hashlib.sha256(hashed(said).encode()).hexdigest()
    assert (await on_the_phone(rig, number, wa_id))["content"] == said.model_dump(mode="json")


@pytest.mark.parametrize("message", PLAIN, ids=[f"{type(message).__name__}-{i}" for i, message in enumerate(PLAIN)])
async def test_what_is_said_reaches_the_phone_with_every_field(linked: Rig, message: Outgoing) -> None:
    await reaches(linked, "+12025550131", message)


@pytest.mark.parametrize("kind", list(MediaKind))
async def test_a_file_reaches_the_phone_byte_for_byte_under_its_name_and_caption(
    linked: Rig, tmp_path: Path, kind: MediaKind
) -> None:
    mimetype, filename, caption = MEDIA[kind]
    file = tmp_path / hashlib.sha256(kind.encode()).hexdigest()
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + kind.encode() * 50_000)
    called = ("+12025550177",) if kind is MediaKind.IMAGE else ()
    await reaches(linked, "+12025550132", Media(kind, file, mimetype, filename, caption, called))


async def test_a_file_that_is_gone_is_refused_and_nothing_is_on_the_wire(linked: Rig, tmp_path: Path) -> None:
    wa_id, gone = new_id(), Media(MediaKind.IMAGE, tmp_path / "gone", "image/png", "gone.png")
    with pytest.raises(SendRejected, match="file_missing"):
        await linked.messenger.send("+12025550132", gone, wa_id, 10)
    assert linked.wire(wa_id) == []


async def test_an_answer_quotes_what_we_sent_before(linked: Rig) -> None:
    number, first, second = "+12025550133", new_id(), new_id()
    await linked.messenger.send(number, Text("Shall we?"), first, 10)
    await linked.messenger.send(number, Text("At seven, I mean."), second, 10, quoted=first)
    assert (await on_the_phone(linked, number, second))["quoted"] == first


async def test_an_answer_to_what_nobody_sent_is_refused_and_nothing_is_on_the_wire(linked: Rig) -> None:
    wa_id = new_id()
    with pytest.raises(SendRejected, match="quoted_not_found"):
        await linked.messenger.send("+12025550133", Text("As I said"), wa_id, 10, quoted=new_id())
    assert linked.wire(wa_id) == []


async def arrival(rig: Rig, number: str, act: Callable[[], Awaitable[object]]) -> MessageArrived:
    before = len(rig.arrived(number))
    await act()
    await until(lambda: len(rig.arrived(number)) > before)
    return rig.arrived(number)[-1]


async def test_what_a_person_answers_tells_what_it_answers(linked: Rig) -> None:
    number, wa_id = "+12025550134", new_id()
    await linked.messenger.send(number, Text("Shall we?"), wa_id, 10)
    told = await arrival(linked, number, lambda: linked.far.write(number, ACCOUNT, "Yes!", wa_id))
    assert (told.kind, told.text, told.answers) == (Arrived.TEXT, "Yes!", wa_id)


async def test_a_vote_arrives_with_the_choices_and_another_one_as_another(linked: Rig) -> None:
    number, wa_id = "+12025550135", new_id()
    await linked.messenger.send(number, Poll("Which?", ("Tea", "Coffee", "Water"), selectable=2), wa_id, 10)
    await on_the_phone(linked, number, wa_id)
    first = await arrival(linked, number, lambda: linked.far.vote(number, ACCOUNT, wa_id, [2, 0]))
    assert (first.kind, first.text, first.answers) == (Arrived.VOTE, "Tea\nWater", wa_id)
    await until(lambda: time.time() > first.at + 0.002)  # WhatsApp tells votes apart by their milliseconds
    second = await arrival(linked, number, lambda: linked.far.vote(number, ACCOUNT, wa_id, []))
    assert (second.text, second.answers) == ("", wa_id)
    assert first.wa_id != second.wa_id


async def test_a_number_without_whatsapp_is_told_from_one_with_it(linked: Rig) -> None:
    await linked.far.arm("not_on_whatsapp", NOBODY)
    assert not await linked.messenger.exists(NOBODY)
    assert await linked.messenger.exists("+12025550137")


async def test_an_account_knows_its_own_number_and_linked_id(linked: Rig) -> None:
    own = await linked.messenger.own()
    assert (own.number, own.lid) == (ACCOUNT, lid_of(ACCOUNT))
    assert ACCOUNT not in repr(own)


async def test_contacts_are_searched_and_come_in_pages(linked: Rig) -> None:
    names = {
        "+12025550141": "Élan Ba",
        "+12025550142": "Zoë Page",
        "+12025550143": "Adam Page",
        "+12025550144": "Bo Page",
    }
    await linked.far.names(names)
    first = await linked.messenger.contacts("page", limit=2)
    assert (first.total, [person.name for person in first.items]) == (3, ["Adam Page", "Bo Page"])
    rest = await linked.messenger.contacts("page", offset=2, limit=2)
    assert [(p.number, p.lid, p.name) for p in rest.items] == [("+12025550142", lid_of("+12025550142"), "Zoë Page")]


async def test_groups_are_searched_and_list_their_members(linked: Rig) -> None:
    people = (ACCOUNT, "+12025550145", "+12025550146")
    group = await linked.far.group("Rowing on Sundays", people)
    await linked.far.group("Somebody else's rowing", ("+12025550145",))
    found = await linked.messenger.groups("rowing")
    assert [(g.id, g.name, g.members) for g in found.items] == [(f"{group}@g.us", "Rowing on Sundays", 3)]
    members = await linked.messenger.members(f"{group}@g.us", offset=1)
    assert (members.total, [person.number for person in members.items]) == (3, list(people[1:]))


async def test_one_shows_as_typing_for_a_while_and_to_nobody_without_whatsapp(linked: Rig) -> None:
    await linked.far.arm("not_on_whatsapp", NOBODY)
    await linked.messenger.typing(NOBODY, 0.05)
    assert not await linked.far.typing(NOBODY, ACCOUNT)
    number = "+12025550139"
    typing = asyncio.create_task(linked.messenger.typing(number, 1.0))
    await until_answered(lambda: linked.far.typing(number, ACCOUNT))
    await typing

    async def over() -> bool:
        return not await linked.far.typing(number, ACCOUNT)

    await until_answered(over)


@pytest.mark.parametrize("linked", ["browser"], indirect=True)
async def test_a_file_whose_promise_never_comes_is_sent_once_its_receipt_comes(linked: Rig, tmp_path: Path) -> None:
    number, wa_id, file = "+46701740609", new_id(), tmp_path / "file"
    file.write_bytes(b"%PDF-1.4\n")
    await linked.far.arm("hang_after_wire", number)
    sent = Media(MediaKind.DOCUMENT, file, "application/pdf", "menu.pdf")
    assert await linked.messenger.send(number, sent, wa_id, 20) in (Ack.DELIVERED, Ack.READ)
    assert len(linked.wire(wa_id)) == 1


@pytest.mark.parametrize("linked", ["browser"], indirect=True)
async def test_a_file_that_takes_long_is_waited_for(linked: Rig, tmp_path: Path) -> None:
    number, wa_id, file = "+46701740610", new_id(), tmp_path / "file"
    file.write_bytes(b"%PDF-1.4\n")
    await linked.far.arm("slow_media", number)
    sent, begun = Media(MediaKind.DOCUMENT, file, "application/pdf", "menu.pdf"), time.monotonic()
    assert await linked.messenger.send(number, sent, wa_id, 20) is not Ack.PENDING
    assert time.monotonic() - begun >= 1  # what conftest.py tells the sandbox
    assert len(linked.wire(wa_id)) == 1
