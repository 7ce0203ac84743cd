"""Bytes of every kind on the real bus: the core lives, who can be answered is, and nobody else waits for it."""

import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import bcrypt
import orjson
import pytest

from adapters import streams
from adapters.cloudevents import Address, command_headers
from adapters.lean_client import head_of
from domain.catalog import COMMANDS
from domain.message import Role, WorkspaceId
from infra.embedded import EmbeddedNats
from infra.embedded_nats import HOST, NatsUser
from tests.raw_bus import RawBus, raw_bus
from tests.waiting import until
from tests.workers.core import HERE, Client, Core, campaign, clock, core

NAMES = sorted(COMMANDS)
BURST = 50
LASTS = 60  # seconds of the long run
MOST_WAITING = 200  # messages: what is measured is what bytes do, not how many fit
ODD = [
    b"\xff\xfe",
    b"\x00",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x85",
    b"\xa0",
    "\u2028é💥".encode(),
    b"\xed\xa0\x80",
    b"\\",
    b"%",
    b'"',
    b"'",
]
PIECES = [b"NATS/1.0", b" ", b":", b"\r\n", b"\n", b"\r", b"ce-id", b"ce-type", b"503", b"\t", b"Nats-Msg-Id", *ODD]
BODIES = [
    b"", b"null", b"[]", b"{", b"7", b"1e999", b"NaN", b'"\\ud800"', b'{"a":"\\u0000"}', b"\xff", b"[" * 5_000,
    b"[" * 300 + b"]" * 300, b'{"a":' * 1_000 + b"1" + b"}" * 1_000, b"9" * 5_000, b"{" + b'"a":1,' * 3_000 + b'"a":2}',
]  # fmt: skip


class Fuzz:
    """One key's user, or `core`, that says what the dice say; the commands that must be answered are in `owed`."""

    def __init__(self, dice: random.Random, author: Client, *, loose: bool) -> None:
        self.dice = dice
        self.author = author
        self.loose = loose  # whether subjects and replies go beyond what a key's user may say
        self.owed: set[str] = set()
        self.sent = 0

    def burst(self, bus: RawBus) -> None:
        for _ in range(BURST):
            self.dice.choice((self.command, self.spoiled, self.spoiled, self.anything))(bus)
            self.sent += 1

    def command(self, bus: RawBus) -> None:
        """A message whose sender can be told: any name, any body."""
        name = self.dice.choice((*NAMES, "job.x", "x.y"))
        command_id = str(uuid4())
        self.owed.add(command_id)
        bus.publish(self.address(name), self.body(), head_of(self.headers(name, command_id)), self.reply())

    def spoiled(self, bus: RawBus) -> None:
        """One whose headers, or the end of whose subject, something happened to."""
        name = self.dice.choice(NAMES)
        head = bytearray(head_of(self.headers(name, str(uuid4()))))
        for _ in range(self.dice.randint(0, 4)):
            place = self.dice.randrange(len(head) + 1)
            head[place : place + self.dice.choice((0, 0, 1, 7))] = self.dice.choice(PIECES)
        if self.dice.random() < 0.2:
            head += head * self.dice.randint(1, 20)
        bus.publish(self.address(self.dice.choice((name, "")), odd=True), self.body(), bytes(head), self.reply())

    def anything(self, bus: RawBus) -> None:
        """Plain messages, and headers that are none."""
        head = None if self.dice.random() < 0.5 else self.dice.randbytes(self.dice.choice((0, 1, 8, 9, 10, 12, 300)))
        bus.publish(self.address("job.x", odd=True), self.body(), head, self.reply())

    def address(self, name: str, *, odd: bool = False) -> bytes:
        prefix = f"cmd.{HERE}.{self.author.actor.id}."
        tail = name.encode()
        if odd and self.dice.random() < 0.7:
            tail += b"".join(self.dice.choice((*ODD, b"x", b".y", b".z" * 500)) for _ in range(self.dice.randint(1, 3)))
        if odd and self.loose and self.dice.random() < 0.3:
            prefix = self.dice.choice(("cmd.", "cmd.here.", "cmd.+12025550143.x.", "cmd.nobody.abcdefgh."))
        return prefix.encode() + (tail or b"x")

    def headers(self, name: str, command_id: str) -> dict[str, str]:
        headers = command_headers(
            Address(HERE, self.author.actor.id, name), uuid4(), clock(), reply_to=self.author.inbox
        )
        headers |= {"ce-id": command_id, "Nats-Msg-Id": command_id}
        if self.dice.random() < 0.2:
            headers["traceparent"] = self.dice.choice(("00", "x" * 500, "00-" + "a" * 32 + "-" + "b" * 16 + "-01"))
        return headers

    def body(self) -> bytes:
        if self.dice.random() < 0.4:
            return orjson.dumps(campaign())
        body = bytearray(self.dice.choice((*BODIES, orjson.dumps(campaign()), self.dice.randbytes(40))))
        for _ in range(self.dice.randint(0, 2)):
            place = self.dice.randrange(len(body) + 1)
            body[place : place + 1] = self.dice.choice((*ODD, b"{", b"]", b'"', b"1e400"))
        return bytes(body)

    def reply(self) -> bytes:
        """Where the server's acknowledgement goes; a key's user may name any subject."""
        there = [b"", b"", b"_INBOX.another.x", b"x\xff\xfe", b"\x0b"]
        if not self.loose:
            there += [
                b"$JS.API.STREAM.PURGE.COMMANDS",
                b"evt.here.x.y",
                b"send.x",
                b"ctl.work",
                b"cmd.here.x.job.start",
            ]
        return self.dice.choice(there)


def frames(dice: random.Random) -> bytes:
    """Bytes that are hardly the protocol's."""
    words = [
        b"PUB",
        b"HPUB",
        b"SUB",
        b"MSG",
        b"PING",
        b"CONNECT {}",
        b" ",
        b" x ",
        b"0",
        b"7",
        b"-1",
        b"99999999",
        b"\r\n",
        *ODD,
    ]
    return b"".join(dice.choice(words) for _ in range(dice.randint(1, 40))) + b"\r\n"


@pytest.fixture
async def house(database_url: str, nats_url: str) -> AsyncIterator[Core]:
    async with core(
        database_url, nats_url, streams.Limits(duplicate_window=0.5, ack_wait=10.0, commands_waiting=5_000)
    ) as made:
        yield made


async def attacked(house: Core, server: EmbeddedNats, seed: int, goes_on: Callable[[int], bool]) -> list[float]:
    """Attack while this holds; how many seconds each command of another workspace took meanwhile."""
    dice = random.Random(seed)
    there = WorkspaceId("there")
    await house.make_workspace(there)
    author = await Client(house, await house.principal(Role.AUTHOR)).listen()
    other = await Client(house, await house.principal(Role.AUTHOR, workspace=there)).listen()
    key = author.actor.id
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    server.reload_users([NatsUser(key, hashed, [f"cmd.{HERE}.{key}.>"], [f"_INBOX.{key}.>"])])
    as_key = f"nats://{key}:secret@{HOST}:{server.port}"
    took: list[float] = []
    attackers = [Fuzz(dice, author, loose=False), Fuzz(dice, author, loose=True)]
    async with house.running(house.intake().run), raw_bus(as_key) as tenant, raw_bus(server.url) as loose:
        rounds = 0
        while goes_on(rounds):
            rounds += 1
            for fuzz, bus in zip(attackers, (tenant, loose), strict=True):
                fuzz.burst(bus)
                await bus.flush()
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with raw_bus(as_key) as broken:
                    broken.say(frames(dice))
                    await broken.flush()
            began = time.monotonic()
            assert (await other.ask("campaign.create", campaign()))["state"] == "applied"
            took.append(time.monotonic() - began)
            await until(lambda: shorter_than(house, MOST_WAITING))
        owed = set.union(*(fuzz.owed for fuzz in attackers))
        while owed:
            owed.discard((await author.outcome())["command_id"])
        await until(lambda: shorter_than(house, 1))
    assert house.bus.nc.stats["reconnects"] == 0
    return took


async def shorter_than(house: Core, most: int) -> bool:
    return await house.bus.length(streams.COMMANDS) < most


def wrongs(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What went wrong in handling what came, as the log has it: each is a mistake of ours."""
    return [f"{record.name}: {record.getMessage()}" for record in caplog.records if record.levelno >= logging.ERROR]


async def test_bytes_of_every_kind_end_nothing(
    house: Core, nats_server: EmbeddedNats, caplog: pytest.LogCaptureFixture
) -> None:
    seed = random.randrange(1_000_000)
    assert await attacked(house, nats_server, seed, lambda rounds: rounds < 5)
    assert (seed, wrongs(caplog)) == (seed, [])


@pytest.mark.security
@pytest.mark.timeout(300)
async def test_bytes_of_every_kind_for_long_hold_up_nobody(
    house: Core, nats_server: EmbeddedNats, caplog: pytest.LogCaptureFixture
) -> None:
    seed, end = random.randrange(1_000_000), time.monotonic() + LASTS
    took = sorted(await attacked(house, nats_server, seed, lambda _rounds: time.monotonic() < end))
    assert (seed, wrongs(caplog)) == (seed, [])
    assert took[len(took) * 99 // 100] <= 1.0
    assert took[-1] <= 2.0
