"""The raw limits beside the pipeline: the same payload, durability and clients, and nothing of ours in between."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import psycopg
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

from adapters import binary_arrays
from adapters.binary_arrays import Blobs, Int8s, Texts
from adapters.bus import Bus, Message
from adapters.cloudevents import Address
from adapters.pulls import Pulls
from adapters.streams import COMMANDS
from domain.message import PrincipalId, WorkspaceId
from infra.bench_client import create

STREAM, CONSUMER = "BENCH", "raw"
BATCH = 500
TABLE = "CREATE TABLE bench_events (LIKE stored_events INCLUDING ALL)"
SAMPLE = "SELECT topic, state FROM stored_events WHERE topic = 'campaign.created' LIMIT %s"
INSERT = b"""
INSERT INTO bench_events (originator_id, originator_version, topic, state) SELECT * FROM unnest(%b, %b, %b, %b)
"""


@dataclass(frozen=True, slots=True)
class Raw:
    """What each server and client can do at most, a second."""

    insert_per_s: float
    publish_per_s: float
    consume_per_s: float

    @property
    def least(self) -> float:
        return min(self.insert_per_s, self.publish_per_s, self.consume_per_s)


async def measure(database_url: str, bus: Bus, count: int) -> Raw:
    """Insert, publish and consume about `count` of what the pipeline moves, in whole batches."""
    count = max(count // BATCH, 1) * BATCH
    inserted = insert(database_url, count)
    published, consumed = await through_stream(bus, count)
    return Raw(inserted, published, consumed)


def insert(database_url: str, count: int) -> float:
    """Events as the pipeline stored them, by four arrays in transactions of 500."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        binary_arrays.register(connection)
        sample = connection.execute(SAMPLE, [BATCH]).fetchall()
        connection.execute(TABLE)
        try:
            began = time.monotonic()
            for _ in range(count // BATCH):
                insert_batch(connection, sample)
            return count / (time.monotonic() - began)
        finally:
            connection.execute("DROP TABLE bench_events")


def insert_batch(connection: psycopg.Connection, sample: Sequence[tuple[str, bytes]]) -> None:
    """One transaction: 500 events, each of a stream of its own."""
    rows = [sample[number % len(sample)] for number in range(BATCH)]
    streams = Texts.of([f"campaign-{uuid4()}" for _ in rows])
    topics, states = Texts.of([row[0] for row in rows]), Blobs.of([row[1] for row in rows])
    connection.execute(INSERT, [streams, Int8s.of([1] * BATCH), topics, states], prepare=True)


async def through_stream(bus: Bus, count: int) -> tuple[float, float]:
    """Commands into a stream configured like COMMANDS, in atomic batches of 500, and out again, each acknowledged."""
    like = (await bus.js.stream_info(COMMANDS)).config
    await bus.js.add_stream(
        StreamConfig(
            name=STREAM,
            subjects=["bench.>"],
            retention=like.retention,
            max_bytes=like.max_bytes,
            storage=like.storage,
            duplicate_window=like.duplicate_window,
            allow_atomic=True,
        )
    )
    await bus.js.add_consumer(
        STREAM, ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=5_000)
    )
    try:
        address = Address(WorkspaceId("bench"), PrincipalId("raw"), "campaign.create")
        began = time.monotonic()
        for _ in range(count // BATCH):
            made = [create().message(address) for _ in range(BATCH)]
            await bus.batch(STREAM, [Message(f"bench.{m.subject}", m.body, m.headers) for m in made])
        published = count / (time.monotonic() - began)
        return published, await consume(bus, count)
    finally:
        await bus.js.delete_stream(STREAM)


async def consume(bus: Bus, count: int) -> float:
    """Take and acknowledge what lies in the stream."""
    pulls = Pulls(bus.nc, bus.js, STREAM, CONSUMER, BATCH)
    began = time.monotonic()
    await pulls.start()
    left = count
    while left > 0:
        messages = await pulls.next()
        await bus.ack(messages)
        left -= len(messages)
    await bus.nc.flush()
    taken = count / (time.monotonic() - began)
    await pulls.stop()
    return taken
