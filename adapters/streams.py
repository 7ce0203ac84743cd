"""The four streams and their consumers: declared by `migrate` and `up`; workers only ask whether they exist."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from adapters.command_limits import MAX_MESSAGE, CommandLimits

COMMANDS, SENDS, EVENTS, DEAD = "COMMANDS", "SENDS", "EVENTS", "DEAD"
INTAKE, SESSIONS = "intake", "sessions"
CONSUMERS = {COMMANDS: INTAKE, SENDS: SESSIONS}
NO_STORAGE = 10047  # the server's code: it may not take as many bytes as a stream may have
CLOSED = 1  # message that COMMANDS may have while it takes no new ones
MOST_UNACKED = 5_000  # messages a consumer may have out at once
MOST_UNANSWERED = 25_000  # the same for COMMANDS: more than twice what the intake holds, so that another one finds room
log = logging.getLogger(__name__)


class NoStorage(Exception):
    """The bus may not store as much as the streams may hold."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The bus may not store the {size:,} bytes that the streams may hold: raise its max_file_store,"
            " or lower DRUMLINE_COMMANDS_BYTES."
        )


class NotDeclared(Exception):
    """A stream or consumer is missing on the bus: run `drumline migrate`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"The bus has no stream {', '.join(names)}, or not its consumer: run `drumline migrate`.")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the streams hold and how long: bytes on disk, messages, seconds."""

    duplicate_window: float = 120.0
    ack_wait: float = 6.0  # after which an unanswered delivery is repeated; the intake says every 2 s that it is at it
    sends_ack_wait: float = 5.0  # the same for SENDS, whose workers say each second that they are at it
    commands_bytes: int = CommandLimits().stream_bytes
    commands_waiting: int = CommandLimits().waiting  # on one subject: of one key's one command
    sends_bytes: int = 256 << 20
    events_bytes: int = 1 << 30
    events_age: float = 7 * 86_400.0
    dead_bytes: int = 256 << 20


def streams(limits: Limits) -> list[StreamConfig]:
    """What is declared. A full queue refuses its publishers; a full EVENTS forgets its oldest, or it would stop.

    COMMANDS is a queue that its consumer empties (`Bus.trim`), not one of the server's work queues: under
    `sync_interval: always` those go to the disk for each acknowledgement (300 to 1,300 µs; here 5).
    """

    def stream(
        name: str, subjects: str, retention: RetentionPolicy, discard: DiscardPolicy, most: int, age: float = 0
    ) -> StreamConfig:
        return StreamConfig(
            name=name,
            subjects=[subjects],
            retention=retention,
            discard=discard,
            max_bytes=most,
            max_age=age,
            storage=StorageType.FILE,
            num_replicas=1,
            duplicate_window=limits.duplicate_window,
            allow_atomic=True,
        )

    queue, kept, new, old = RetentionPolicy.WORK_QUEUE, RetentionPolicy.LIMITS, DiscardPolicy.NEW, DiscardPolicy.OLD
    return [
        replace(
            stream(COMMANDS, "cmd.>", kept, new, limits.commands_bytes),
            max_msgs=-1,
            max_msgs_per_subject=limits.commands_waiting,
            discard_new_per_subject=True,
            max_msg_size=MAX_MESSAGE,
        ),
        stream(SENDS, "send.*", queue, new, limits.sends_bytes),
        stream(EVENTS, "evt.>", kept, old, limits.events_bytes, limits.events_age),
        stream(DEAD, "dead.>", kept, new, limits.dead_bytes),
    ]


def consumers(limits: Limits) -> list[tuple[str, ConsumerConfig]]:
    """Each queue has one consumer of all its subjects, so that nothing falls between two.

    The server repeats a delivery without end; who consumes gives up after a number of tries. Were it the server that
    gave up, a message whose last consumer was killed would stay in the queue, never delivered and never told of.
    """

    def consumer(name: str, subjects: str, ack_wait: float, most: int) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=name,
            filter_subject=subjects,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait,
            max_deliver=-1,
            max_ack_pending=most,
        )

    return [
        (COMMANDS, consumer(INTAKE, "cmd.>", limits.ack_wait, MOST_UNANSWERED)),
        (SENDS, consumer(SESSIONS, "send.*", limits.sends_ack_wait, MOST_UNACKED)),
    ]


async def declare(js: JetStreamContext, limits: Limits | None = None) -> None:
    """Make streams and consumers, or bring them to these limits; doing it twice changes nothing. Raises NoStorage."""
    limits = limits or Limits()
    try:
        await declare_streams(js, limits)
    except APIError as error:
        if error.err_code == NO_STORAGE:
            raise NoStorage(sum(config.max_bytes or 0 for config in streams(limits))) from None
        raise
    for stream, consumer in consumers(limits):
        await js.add_consumer(stream, consumer)


async def declare_streams(js: JetStreamContext, limits: Limits) -> None:
    """Make the streams, or bring them to these limits."""
    for config in streams(limits):
        try:
            present = (await js.stream_info(config.name or "")).config
        except NotFoundError:
            await js.add_stream(config)
        else:  # to add it again would ask for its room once more
            allowed = await without_loss(js, present, config)
            await js.update_stream(allowed)
            if allowed is not config:
                log.info("a stream takes messages again", extra={"stream": config.name})


async def without_loss(js: JetStreamContext, present: StreamConfig, config: StreamConfig) -> StreamConfig:
    """The configuration, with more room on a subject if more waits there than is to be allowed.

    The server throws away what exceeds a lower limit. So it takes no new messages (which one message at most makes it
    do, and it throws none away for that) until what waits is counted; the next declaration lowers the limit further.
    """
    name, wanted = config.name or "", config.max_msgs_per_subject or -1
    before = present.max_msgs_per_subject or -1
    if wanted < 1 or 0 < before <= wanted:
        return config
    closed = replace(config, max_msgs=CLOSED, max_msgs_per_subject=before, discard_new_per_subject=before > 0)
    log.info("a stream is closed while what waits is counted", extra={"stream": name})
    await js.update_stream(closed)
    waiting = (await js.stream_info(name, subjects_filter=">")).state.subjects or {}
    return replace(config, max_msgs_per_subject=max(wanted, *waiting.values(), 0))


async def missing(js: JetStreamContext, *names: str) -> list[str]:
    """Those of these streams (without names: of all) that are missing, or whose consumer is."""
    gone = []
    for name in names or (COMMANDS, SENDS, EVENTS, DEAD):
        try:
            await js.stream_info(name)
            if name in CONSUMERS:
                await js.consumer_info(name, CONSUMERS[name])
        except NotFoundError:
            gone.append(name)
    return gone


async def closed(js: JetStreamContext) -> bool:
    """Whether COMMANDS was left closed by who lowered its limits and did not come to an end."""
    return (await js.stream_info(COMMANDS)).config.max_msgs == CLOSED


async def require(js: JetStreamContext, *names: str) -> None:
    """Raise NotDeclared when one of these streams, or its consumer, is missing."""
    if names and (gone := await missing(js, *names)):
        raise NotDeclared(gone)


@contextmanager
def declared(name: str) -> Iterator[None]:
    """Raise NotDeclared when what is done within finds the stream, or its consumer, missing."""
    try:
        yield
    except NotFoundError:
        raise NotDeclared([name]) from None
