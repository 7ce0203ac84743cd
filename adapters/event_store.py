"""The event log: appends through the group commit; reads through `eventsourcing`'s recorders, with our own mapper."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    JSONTranscoder,
    Mapper,
    Notification,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresAggregateRecorder, PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import retry
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.sql import SQL, Identifier

from adapters import binary_arrays
from adapters.append_sql import CHANNEL, LOCK, Entry, prepared
from adapters.appending import Item, Lease, Verdict, envelopes
from adapters.binary_arrays import Blobs, Int8s, Texts
from adapters.codec import Codec, StateCodec
from adapters.connecting import ALIVE, RECONNECT
from adapters.group_commit import PATIENCE, GroupCommit, LogUnavailable
from adapters.log_tail import LogTail
from adapters.read_sql import HISTORIES, INSERT, MOST_AT_ONCE, PAGE, READING, STREAM, STREAMS
from domain import catalog
from domain.message import Envelope, Event, Recorded, StreamId, WorkspaceId

__all__ = ["EventStore", "Item", "Lease", "Loaded", "LogUnavailable", "Verdict"]

R = TypeVar("R")

READERS = 3
POOL_PATIENCE = 2.0  # seconds for a connection
HEAD = b"SELECT max(notification_id) FROM stored_events"
SNAPSHOT_EVERY = 200  # events of one stream
EVERY_VERSION = 2**62


@dataclass(frozen=True, slots=True)
class Loaded:
    """A stream's state and where it stands; version 0 and no workspace: there is no such stream."""

    state: Any
    version: int
    workspace: WorkspaceId | None


@dataclass(slots=True)
class Fact:
    """An event as the library's mapper handles it."""

    originator_id: str
    originator_version: int
    event: Event
    envelope: Envelope


class FactMapper(Mapper[str]):
    """Stores events as plain JSON under permanent names; the library's own ties them to module paths."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(JSONTranscoder())
        self._codec = codec

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        assert isinstance(domain_event, Fact)
        name, state = self._codec.encode(domain_event.event, domain_event.envelope)
        return StoredEvent(domain_event.originator_id, domain_event.originator_version, name, state)

    def to_domain_event(self, stored_event: StoredEvent) -> Fact:
        event, envelope = self._codec.decode(stored_event.topic, stored_event.state)
        return Fact(str(stored_event.originator_id), stored_event.originator_version, event, envelope)


class Datastore(PostgresDatastore):
    """The library's connection pool, on a URL."""

    def __init__(self, database_url: str) -> None:
        super().__init__(
            "", "", "", "", "", pool_size=READERS, connect_timeout=POOL_PATIENCE, originator_id_type="text"
        )
        self.pool.reconnect_timeout = RECONNECT  # else a pool is the slower to come back the longer the server was away
        self.pool.conninfo = database_url
        self.pool.kwargs = {"row_factory": dict_row, "application_name": "drumline-log-reader", **ALIVE}

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        configure = super().after_connect_func()

        def after_connect(connection: Connection[Any]) -> None:
            configure(connection)
            binary_arrays.register(connection)
            connection.execute(READING)

        return after_connect

    def register_type_adapters(self) -> None:
        """We send arrays; there are no composite types to look up."""


class ArrayRecorder(PostgresAggregateRecorder):
    """A recorder that inserts by four arrays: more than twice as fast as the library's composites."""

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.insert_events_statement = SQL(INSERT).format(Identifier(events_table_name))

    def _insert_stored_events(self, curs: Cursor[DictRow], stored_events: Sequence[StoredEvent], **_: Any) -> None:
        rows = [(e.originator_id, e.originator_version, e.topic, e.state) for e in stored_events]
        ids, versions, topics, states = zip(*rows, strict=True)
        curs.execute(
            self.insert_events_statement, [Texts.of(ids), Int8s.of(versions), Texts.of(topics), Blobs.of(states)]
        )


class LogRecorder(PostgresApplicationRecorder, ArrayRecorder):
    """The log's recorder: takes our lock instead of the table's, and reads by binary cursors (4 times as fast)."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore, events_table_name="stored_events")
        self.lock_table_statements = [SQL(LOCK)]
        self.channel_name = CHANNEL

    def select_events(
        self,
        originator_id: Any,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[Notification]:
        order = f" ORDER BY originator_version {'DESC' if desc else 'ASC'} LIMIT %b"
        return self._select(STREAM + order, [originator_id, gt or 0, EVERY_VERSION if lte is None else lte, limit])

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        if stop is not None or topics:
            rest: Sequence[Notification] = super().select_notifications(
                start, limit, stop, topics, inclusive_of_start=inclusive_of_start
            )
            return rest
        return self._select(PAGE, [(start or 0) - inclusive_of_start, limit])

    def select_streams(self, snapshots: dict[StreamId, str]) -> Sequence[Notification]:
        """Several streams, each from its newest snapshot of the given name on; a snapshot has the id 0."""
        return self._select(STREAMS, [Texts.of(snapshots), Texts.of(snapshots.values())])

    def select_histories(self, streams: Collection[StreamId], upto: int) -> Sequence[Notification]:
        """Several streams, each up to a position of the log."""
        return self._select(HISTORIES, [Texts.of(streams), upto])

    def _select(self, query: str, values: Sequence[Any]) -> list[Notification]:
        return [Notification(*row) for row in self._rows(query.encode(), values)]

    def max_notification_id(self) -> int | None:
        ((last,),) = self._rows(HEAD, [])
        found: int | None = last
        return found

    # Each connection of the pool may turn out to be a dead one.
    @retry((InterfaceError, OperationalError), max_attempts=READERS + 1, wait=0.1)
    def _rows(self, query: bytes, values: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
        with self.datastore.get_connection() as connection:
            cursor = connection.cursor(binary=True, row_factory=tuple_row)
            return cursor.execute(query, values, prepare=True).fetchall()


class EventStore:
    """The log. Many callers may append at once; reads run in a few threads of their own."""

    def __init__(self, database_url: str, *, codec: Codec | None = None, patience: float = PATIENCE) -> None:
        self._datastore = Datastore(database_url)
        self._log = LogRecorder(self._datastore)
        self._snapshots = ArrayRecorder(self._datastore, events_table_name="snapshots")
        self._codec = codec or Codec()
        self._mapper = FactMapper(self._codec)
        self._states = {aggregate: StateCodec(decider) for aggregate, decider in catalog.DECIDERS.items()}
        self._tail = LogTail(self.page)
        self._commits = GroupCommit(database_url, patience, self._tail.appended)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="log-reader")

    def start(self) -> None:
        """Begin to take appends."""
        self._commits.start()

    async def stop(self) -> None:
        """Append what has queued, then close every connection."""
        await self._commits.stop()
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._datastore.close)

    async def append(self, items: Sequence[Item]) -> list[Verdict]:
        """Append decisions, each under its own conditions and answered by itself, in order.

        Raises LogUnavailable when the database stays away: then append the same items again to learn what became of
        them, for a decision's key is taken once.
        """
        ready = [self._prepared(item) for item in items]
        verdicts = iter(await self._commits.append([entry for entry in ready if isinstance(entry, Entry)]))
        return [next(verdicts) if isinstance(e, Entry) else Verdict("failed", 0, reason=e) for e in ready]

    async def load(self, streams: Collection[StreamId]) -> dict[StreamId, Loaded]:
        """The states of these streams, in one round trip, all as of one moment unless a fold is over 1,000 events."""
        return await self._read(lambda: self._fold(streams))

    async def page(self, after: int, limit: int = 500) -> list[Recorded]:
        """The events after a position, in order; nothing is ever added behind what a page has shown."""
        return await self._read(lambda: self._recorded(self._log.select_notifications(after + 1, limit)))

    async def tail(self, after: int, limit: int = 500) -> list[Recorded]:
        """Like `page`, for who follows the log: decoded once for all of them, so a short page need not be the last."""
        return await self._tail.page(after, limit)

    async def history(self, stream: StreamId, upto: int | None = None) -> list[Recorded]:
        """The events of a stream, up to a version of it."""
        return await self._read(lambda: self._recorded(self._log.select_events(stream, lte=upto)))

    async def latest(self, stream: StreamId) -> Recorded | None:
        """The last event of a stream."""
        found = await self._read(lambda: self._recorded(self._log.select_events(stream, desc=True, limit=1)))
        return found[0] if found else None

    async def histories(self, streams: Collection[StreamId], upto: int) -> list[Recorded]:
        """The events of several streams up to a position, each stream's together and in order."""
        return await self._read(lambda: self._recorded(self._log.select_histories(streams, upto)))

    async def head(self) -> int:
        """The last position; 0 in an empty log."""
        return await self._read(lambda: self._log.max_notification_id() or 0)

    async def _read(self, work: Callable[[], R]) -> R:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, work)
        except (InterfaceError, OperationalError) as error:  # the library's own, after it tried a few times
            raise LogUnavailable(type(error).__name__) from error

    def _prepared(self, item: Item) -> Entry | str:
        around = envelopes(item)
        encode = self._codec.encode
        return prepared(item, around, [encode(*one) for one in zip(item.events, around, strict=True)])

    def _recorded(self, notifications: Sequence[Notification]) -> list[Recorded]:
        return [self._record(notification) for notification in notifications]

    def _record(self, row: Notification) -> Recorded:
        fact = self._mapper.to_domain_event(row)
        return Recorded(row.id, StreamId(fact.originator_id), fact.originator_version, fact.event, fact.envelope)

    def _fold(self, streams: Collection[StreamId]) -> dict[StreamId, Loaded]:
        found: dict[StreamId, Loaded] = {}
        while streams:
            folded = self._fold_on(streams)
            self._keep({stream: loaded for stream, (loaded, read) in folded.items() if read > SNAPSHOT_EVERY})
            found |= {stream: loaded for stream, (loaded, _) in folded.items()}
            # The rest of a very long stream follows from the snapshot just kept, so that memory stays bounded.
            streams = [stream for stream, (_, read) in folded.items() if read == MOST_AT_ONCE]
        return found

    def _fold_on(self, streams: Collection[StreamId]) -> dict[StreamId, tuple[Loaded, int]]:
        """Each stream's state, from its newest snapshot on, and how many events were read for it."""
        deciders = {stream: catalog.DECIDERS[stream.partition("-")[0]] for stream in streams}
        names = {stream: self._states[decider.aggregate].name for stream, decider in deciders.items()}
        found = {stream: (Loaded(decider.initial, 0, None), 0) for stream, decider in deciders.items()}
        for row in self._log.select_streams(names):
            stream = StreamId(str(row.originator_id))
            decider, (before, read) = deciders[stream], found[stream]
            if row.id:
                fact = self._mapper.to_domain_event(row)
                state, read = decider.evolve(before.state, fact.event), read + 1
                workspace = before.workspace or fact.envelope.workspace
            else:
                state, workspace = self._states[decider.aggregate].decode(row.state)
            found[stream] = Loaded(state, row.originator_version, workspace), read
        return found

    def _keep(self, folded: Mapping[StreamId, Loaded]) -> None:
        """Store snapshots, so that the next fold of a long stream is a short one."""
        for stream, loaded in folded.items():
            states = self._states[stream.partition("-")[0]]
            row = StoredEvent(stream, loaded.version, states.name, states.encode(loaded.state, loaded.workspace))
            with suppress(IntegrityError):  # another reader has just stored it
                self._snapshots.insert_events([row])
