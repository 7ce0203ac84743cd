"""Reading ahead of what is decided: the server is told of all that lies here, and whoever reads is seen to live."""

import time
from collections.abc import Collection, Sequence
from uuid import UUID

import pytest
from nats.aio.msg import Msg
from psycopg import OperationalError

from adapters import heartbeats, streams
from adapters.bus_messages import delivery, stored_as
from adapters.command_limits import CommandLimits
from adapters.inbox import Inbox
from domain.message import Role
from domain.rates import Rates
from tests.workers.core import clock, core, until
from tests.workers.test_flood import flood
from workers.intake import arrivals as reading
from workers.intake.arrivals import READING, Arrivals

IMPATIENT = streams.Limits(duplicate_window=0.5, ack_wait=1.0, commands_waiting=5_000)


class Away(Inbox):
    """A table whose server is away."""

    async def waiting(self, keys: Collection[UUID]) -> set[UUID]:
        raise OperationalError


async def acknowledge(messages: Sequence[Msg]) -> None:
    """Nothing is decided here."""


async def test_who_reads_is_seen_to_live_while_a_surplus_waits_for_the_database(
    database_url: str, nats_url: str
) -> None:
    async with core(database_url, nats_url) as house:
        author = await house.principal(Role.AUTHOR)
        await flood(house, author, 20)
        pulls = house.bus.pulls(streams.COMMANDS, 100)
        await pulls.start()
        here = Arrivals(house.bus, Away(house.pool), clock, Rates(CommandLimits(rate=2).rate), acknowledge)
        try:
            async with house.running(lambda: here.fill(pulls)):
                for _ in range(3):
                    heartbeats.forget()
                    await until(lambda: READING in heartbeats.ages())
        finally:
            await pulls.stop()


async def test_what_came_and_cannot_be_read_yet_is_not_delivered_again(
    database_url: str, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The buffer is full for longer than the server waits for an answer."""
    monkeypatch.setattr(reading, "READ_AHEAD", 10)
    monkeypatch.setattr(reading, "HOLD", IMPATIENT.ack_wait / 5)
    async with core(database_url, nats_url, IMPATIENT) as house:
        author = await house.principal(Role.AUTHOR)
        await flood(house, author, 60)
        pulls = house.bus.pulls(streams.COMMANDS, 20)
        await pulls.start()
        here = Arrivals(house.bus, house.inbox, clock, None, acknowledge)
        try:
            async with house.running(lambda: here.fill(pulls), lambda: here.hold(pulls)):
                began = time.monotonic()  # and nobody takes anything
                await until(lambda: time.monotonic() - began > 3 * IMPATIENT.ack_wait)
                assert pulls.arrived()
                taken: list[Msg] = []
                while len({stored_as(one) for one in taken}) < 60:
                    taken += await here.take(100)
                assert [delivery(one.reply).times for one in taken] == [1] * 60
        finally:
            await here.give_back()
            await pulls.stop()
