"""Whatever bytes a publisher chooses for subject, headers and body: that message is put aside, and nothing else."""

from uuid import uuid4

from adapters.cloudevents import command_headers
from adapters.lean_client import head_of
from tests.raw_bus import raw_bus
from tests.workers.core import HERE, Client, Core, campaign, clock, drained, until

VERBS = [
    b"job.\xff\xfe",
    b"job.\x0bapprove",
    b"job.\x0c7",
    b"job.\x00",
    b"job.\xe2\x80\xa8",
    b"\xc3\xa9.\xa0",
    b"a.\x1c",
]
HEADS = [
    b"",
    b"x",
    b"NATS/1.0",
    b"NATS/1.0\r\n",
    b"NATS/1.0 \xff\xff\xff \xfe\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/9.9\r\nce-id: 1\r\n\r\n",
    b"NATS/1.0\r\nce-id\xff: \xff\xfe\x00\r\n\r\n",
    b"NATS/1.0\r\n\r\r\n\n:\r\n::\r\nce-id\r\n",
    b"NATS/1.0\r\n" + b"ce-id: x\r\n" * 3_000 + b"\r\n",
    b"NATS/1.0\r\nce-id: " + b"9" * 30_000 + b"\r\n\r\n",
]


async def test_no_bytes_of_a_message_end_the_connection_or_hold_up_others(
    house: Core, author: Client, nats_url: str
) -> None:
    prefix = f"cmd.{HERE}.{author.actor.id}.".encode()
    readable = {verb: uuid4() for verb in VERBS}
    async with house.running(house.intake().run), raw_bus(nats_url) as raw:
        for verb, command_id in readable.items():
            raw.publish(prefix + verb, b"{}")
            told = command_headers(author.actor_address("job.approve"), command_id, clock(), reply_to=author.inbox)
            raw.publish(prefix + verb, b"{}", head_of(told))
        for head in HEADS:
            raw.publish(prefix + b"campaign.create", b"{}", head)
        await raw.flush()
        refused = [await author.outcome() for _ in readable]
        assert (await author.ask("campaign.create", campaign()))["state"] == "applied"
        await until(lambda: drained(house))
    assert {(one["command_id"], one["rule"]) for one in refused} == {
        (str(command_id), "unknown_command") for command_id in readable.values()
    }
    letters = await house.dead.page(None)
    assert [letter.reason for letter in letters] == ["no_command_id"] * (len(VERBS) + len(HEADS))
    assert house.bus.nc.stats["reconnects"] == 0
