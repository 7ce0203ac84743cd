"""Messages of several parts: what waits for its time holds up nobody else."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from domain.content import Part, TextPart
from domain.direct import SubmitMessage
from domain.job import Status
from domain.message import Ref
from domain.send import SendConfirmed, SendIntended, delivery_id, wa_id
from domain.workspace import SetModerationPolicy
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
