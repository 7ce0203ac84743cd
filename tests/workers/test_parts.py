"""Messages of several parts: what waits for its time holds up nobody else."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from adapters.sandbox import contents
from domain.content import LocationPart, MediaKind, MediaPart, Part, PollPart, TextPart
from domain.direct import SubmitMessage
from domain.job import Status
from domain.message import Digest, Ref
from domain.send import Rejection, SendConfirmed, SendIntended, SendRejected, delivery_id, wa_id
from domain.workspace import SetModerationPolicy
from tests.adapters.files import image
from tests.workers.sending_house import HERE, core, house, running, sessions, until
from tests.workers.sending_steps import NUMBERS, link, open_workspace, status_is, submit


def with_a_pause(refs: Sequence[Ref]) -> Sequence[Part]:
    first, second, third = refs
    return [TextPart(first), TextPart(second, delay=2), TextPart(third)]


async def test_a_pause_between_two_parts_is_kept_and_holds_up_nobody_else(
    database_url: str, nats_url: str, scratch: Path
) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        job = await submit(home, await link(home, 1), NUMBERS[:5], texts=("One", "Two", "Three"), make=with_a_pause)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        wire, log = home.wire(), await home.events()
    ids = [[wa_id(delivery_id(job.job_id, person), part) for part in range(3)] for person in job.recipients]
    sent = {entry.wa_id: number for number, entry in enumerate(wire)}
    assert sorted(sent) == sorted(one for each in ids for one in each)
    assert max(sent[first] for first, *_ in ids) < min(sent[second] for _, second, _ in ids), "nobody waits for others"
    assert all(sent[third] == sent[second] + 1 for _, second, third in ids), "what has no pause follows at once"
    told = {
        (type(one.event), one.event.wa_id): one.envelope.time
        for one in log
        if isinstance(one.event, SendIntended | SendConfirmed)
    }
    for first, second, _ in ids:
        assert (told[SendIntended, second] - told[SendConfirmed, first]).total_seconds() >= 2


async def test_every_kind_is_sent_as_it_was_written(database_url: str, nats_url: str, scratch: Path) -> None:
    picture = image("PNG")
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        file = (await home.media.put(HERE, [picture])).id
        gone = Digest("0" * 64)
        texts = (
            "Hello {{name:upper}}, ask @+12025550101",
            "For {{name}}",
            "{{name}}.png",
            "Shop",
            "When?",
            "Now",
            "Later",
        )

        def all_kinds(refs: Sequence[Ref]) -> Sequence[Part]:
            hello, caption, filename, shop, when, now, later = refs
            return [
                TextPart(hello),
                MediaPart(MediaKind.IMAGE, file, caption, reply_to=0),
                MediaPart(MediaKind.DOCUMENT, file, None, filename),
                LocationPart(52.5, 13.4, shop),
                PollPart(when, (now, later), 2),
                MediaPart(MediaKind.IMAGE, gone),
                TextPart(hello),
            ]

        accounts = await link(home, 1)
        job = await submit(home, accounts, NUMBERS[:1], texts=texts, make=all_kinds)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        ids = [wa_id(delivery_id(job.job_id, job.recipients[0]), part) for part in range(7)]
        sent = [home.world.chats.message(home.phones[accounts[0]], one) for one in ids]
        events = [recorded.event for recorded in await home.events()]
    digest = hashlib.sha256(picture).hexdigest()
    assert [message.content if message else None for message in sent] == [
        contents.Text(text="Hello PERSON 0, ask @12025550101", mentions=("+12025550101",)),
        contents.File(kind="image", media=digest, mimetype="image/png", filename="image.png", caption="For Person 0"),
        contents.File(kind="document", media=digest, mimetype="image/png", filename="Person 0.png"),
        contents.Place(latitude=52.5, longitude=13.4, name="Shop"),
        contents.Poll(question="When?", choices=("Now", "Later"), selectable=2),
        None,
        None,
    ]
    assert [message.quoted for message in sent if message] == [None, ids[0], None, None, None]
    assert [event.reason for event in events if isinstance(event, SendRejected)] == [Rejection.MEDIA_GONE]


async def test_a_direct_message_is_sent_without_a_campaign(database_url: str, nats_url: str, scratch: Path) -> None:
    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home)
        await home.give(SetModerationPolicy(1, own_approval=False, review_messages=False))
        accounts = await link(home, 1)
        known = await submit(home, accounts, NUMBERS[:2], approve=False)
        title, text = await home.contents.put_many(HERE, ["Your order", "It is here, {{name}}"])
        job_id, person = uuid4(), known.recipients[0]
        await home.give(SubmitMessage(job_id, person, tuple(accounts), title, (TextPart(text),)))
        await until(lambda: status_is(home, job_id, Status.COMPLETED))
        wire = home.wire()
    assert [(entry.chat, entry.wa_id) for entry in wire] == [(NUMBERS[0], wa_id(delivery_id(job_id, person), 0))]


async def test_parts_come_in_order_whatever_the_pace(database_url: str, nats_url: str, scratch: Path) -> None:
    def slowly(refs: Sequence[Ref]) -> Sequence[Part]:
        return [TextPart(ref, delay=1 if number else 0) for number, ref in enumerate(refs)]

    async with house(database_url, nats_url, scratch) as home, running(*core(home), *sessions(home)):
        await open_workspace(home, messages=2, seconds=1)
        job = await submit(home, await link(home, 1), NUMBERS[:3], texts=("One", "Two", "Three"), make=slowly)
        await until(lambda: status_is(home, job.job_id, Status.COMPLETED))
        wire = home.wire()
    assert len({entry.wa_id for entry in wire}) == len(wire) == 9
    for chat in NUMBERS[:3]:
        times = [entry.at for entry in wire if entry.chat == chat]
        assert all(later - earlier >= 1 for earlier, later in pairwise(times))
