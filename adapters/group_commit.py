"""The only writer of the log: many callers' items in one transaction, each judged and answered by itself."""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import psycopg
from psycopg import Connection

from adapters import binary_arrays, metrics, tracing
from adapters.append_sql import APPEND, BEGIN, CHANNEL, LOCK, OLD_ANSWERS, SESSION, Entry, arrays, number
from adapters.appending import Verdict, waves
from adapters.connecting import ALIVE
from adapters.heartbeats import beat
from adapters.inbox import CommandRow
from domain.message import Recorded

logger = logging.getLogger(__name__)

MOST_ITEMS = 500
MOST_BYTES = 4 << 20
PATIENCE = 20.0  # seconds a batch waits for a database that is gone
IDLE = 5.0  # seconds without an item after which the writer says that it goes round
POISON = frozenset(("21", "22", "23", "54", "P0"))  # SQLSTATE classes that blame the values; the rest may pass later


Appended = Callable[[int, int, Callable[[], list[Recorded]]], None]
"""(first position, last position, their events made when called): told of each commit, in the writer's thread."""


class LogUnavailable(Exception):
    """The database could not be reached, or did not answer; whether the items were appended is not known."""


@dataclass(slots=True, eq=False)
class Call:
    """One `append` and what is still missing of its answer."""

    answer: asyncio.Future[list[Verdict]]
    verdicts: list[Verdict | None]
    left: int
    trace: str


@dataclass(slots=True)
class Waiting:
    """An entry in the queue, and where its verdict goes."""

    entry: Entry
    call: Call
    index: int


class GroupCommit:
    """A thread with a connection of its own that appends whatever has queued, up to 500 items at a time."""

    def __init__(self, database_url: str, patience: float = PATIENCE, appended: Appended | None = None) -> None:
        self._url = database_url
        self._patience = patience
        self._appended = appended
        self._queue: deque[Waiting] = deque()
        self._ready = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._connection: Connection[Any] | None = None
        self._random = random.SystemRandom()

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Append what has queued, then end."""
        with self._ready:
            self._stopping.set()
            self._ready.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def append(self, entries: Sequence[Entry]) -> list[Verdict]:
        """The verdicts in order. Raises LogUnavailable when the database stays away or does not answer."""
        if not entries:
            return []
        number(entries, self._random.getrandbits(52) << 10)
        answer = asyncio.get_running_loop().create_future()
        call = Call(answer, [None] * len(entries), len(entries), tracing.traceparent())
        with self._ready:
            if self._stopping.is_set():
                raise LogUnavailable("The log's writer has stopped.")
            self._queue.extend(Waiting(entry, call, index) for index, entry in enumerate(entries))
            self._ready.notify()
        try:
            async with asyncio.timeout(2 * self._patience):  # one for those before it in the queue
                return await call.answer
        except TimeoutError as error:
            raise LogUnavailable("The log's database does not answer.") from error

    def _run(self) -> None:
        batch: list[Waiting] = []
        try:
            while batch := self._take():
                self._settle(batch)
        finally:  # whatever ended us: nobody is left waiting, and nobody waits from now on
            with self._ready:
                self._stopping.set()
                left = [*batch, *self._queue]
                self._queue.clear()
            self._answer([(waiting, LogUnavailable("The log's writer has stopped.")) for waiting in left])
            self._close()

    def _take(self) -> list[Waiting]:
        """What has queued, without waiting for more; nothing when there is nothing left and we are to stop."""
        batch, size = list[Waiting](), 0
        with self._ready:
            while not self._ready.wait_for(lambda: self._queue or self._stopping.is_set(), IDLE):
                beat("log-writer")
            while self._queue and len(batch) < MOST_ITEMS and size < MOST_BYTES:
                batch.append(self._queue.popleft())
                size += batch[-1].entry.size
        return batch

    def _settle(self, batch: Sequence[Waiting]) -> None:
        entries = [waiting.entry for waiting in batch]
        began = time.monotonic()
        try:
            told = tracing.statement("INSERT", "stored_events", len(batch))
            with tracing.span("INSERT stored_events", tracing.CLIENT, told, (one.call.trace for one in batch)):
                verdicts = self._decide(entries)
        except LogUnavailable as error:
            self._answer([(waiting, error) for waiting in batch])
        else:
            self._answer(list(zip(batch, verdicts, strict=True)))
            metrics.appended([verdict.code for verdict in verdicts], time.monotonic() - began)

    def _decide(self, entries: Sequence[Entry]) -> list[Verdict]:
        """The batch's verdicts; when the database refuses the whole of it, each item's, appended alone."""
        try:
            return self._patiently(entries)
        except psycopg.Error as error:
            if len(entries) > 1:
                logger.warning("The log's database refuses a batch (%s): its items one by one", type(error).__name__)
                return [self._decide([entry])[0] for entry in entries]
            logger.error("The log cannot store an item: %s", type(error).__name__)  # noqa: TRY400  # its text quotes values
            return [Verdict("failed", 0, reason=type(error).__name__)]

    def _patiently(self, entries: Sequence[Entry]) -> list[Verdict]:
        """The verdicts, tried again for as long as the database is away. The tickets stay the same, so what a lost
        COMMIT reply had stored is found again as ours."""
        deadline = time.monotonic() + self._patience
        for pause in pauses():
            beat("log-writer")
            try:
                return self._transaction(entries)
            except psycopg.Error as error:
                if (error.sqlstate or "")[:2] in POISON:
                    raise
                self._close()
                if self._stopping.is_set() or time.monotonic() + pause > deadline:
                    raise LogUnavailable(type(error).__name__) from error
                logger.warning("The log's writer cannot commit (%s), tries again", type(error).__name__)
                self._stopping.wait(pause)
        raise AssertionError("pauses never end")

    def _transaction(self, entries: Sequence[Entry]) -> list[Verdict]:
        connection = self._connect()
        answered = []
        try:
            with connection.pipeline():
                connection.execute(BEGIN)
                connection.execute(LOCK)
                for wave in waves([entry.item for entry in entries]):
                    cursor = connection.cursor(binary=True)
                    cursor.execute(APPEND, arrays([entries[index] for index in wave]))
                    answered.append((wave, cursor))
                connection.execute(f"NOTIFY {CHANNEL}")
                connection.execute("COMMIT")
        except psycopg.Error:
            if not connection.broken:
                connection.rollback()
            raise
        verdicts = dict[int, Verdict]()
        for wave, cursor in answered:
            for place, code, version, position in cursor.fetchall():
                verdicts[wave[place - 1]] = Verdict(code, version, position)
        found = [verdicts[index] for index in range(len(entries))]
        self._tell(entries, found)
        if any(verdict.code == "duplicate" for verdict in found):
            return self._with_old_answers(connection, entries, found)
        return found

    def _tell(self, batch: Sequence[Entry], verdicts: Sequence[Verdict]) -> None:
        """Hand on what was just appended, if nobody else's events can lie in between."""
        new = [
            (verdict.position, verdict.version, entry)
            for entry, verdict in zip(batch, verdicts, strict=True)
            if verdict.code == "ok" and verdict.position is not None
        ]
        if new and self._appended is not None:
            new.sort(key=itemgetter(0))
            count = sum([len(entry.events) for _, _, entry in new])
            last = new[-1][0]
            first = new[0][0] + 1 - len(new[0][2].events)
            if last + 1 - first == count:
                self._appended(
                    first, last, lambda: [one for place, at, entry in new for one in entry.recorded(place, at)]
                )

    def _with_old_answers(
        self, connection: Connection[Any], entries: Sequence[Entry], verdicts: Sequence[Verdict]
    ) -> list[Verdict]:
        """Give each duplicate its old answer; one that bears our own ticket is no duplicate but a lost reply."""
        keys = [e.item.key for e, v in zip(entries, verdicts, strict=True) if v.code == "duplicate"]
        old = {row[1]: (row[0], CommandRow(*row[1:])) for row in connection.execute(OLD_ANSWERS, [keys])}
        answers = []
        for entry, verdict in zip(entries, verdicts, strict=True):
            if verdict.code == "duplicate" and entry.item.key in old:
                theirs, row = old[entry.item.key]
                ours = Verdict("ok", row.version or 0, row.position)
                answers.append(ours if theirs == entry.ticket else replace(verdict, previous=row))
            else:
                answers.append(verdict)
        return answers

    def _connect(self) -> Connection[Any]:
        if self._connection is None:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                prepare_threshold=0,
                application_name="drumline-log",
                **ALIVE,
            )
            self._connection = connection
            connection.execute(SESSION, prepare=False)  # several statements
            binary_arrays.register(connection)
        return self._connection

    def _close(self) -> None:
        """Drop the connection; the next batch opens another."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _answer(self, answers: Sequence[tuple[Waiting, Verdict | LogUnavailable]]) -> None:
        loops = {waiting.call.answer.get_loop() for waiting, _ in answers}
        for loop in loops:
            with contextlib.suppress(RuntimeError):  # a loop that was closed meanwhile waits for nothing
                loop.call_soon_threadsafe(deliver, [a for a in answers if a[0].call.answer.get_loop() is loop])


def deliver(answers: Sequence[tuple[Waiting, Verdict | LogUnavailable]]) -> None:
    """Put verdicts where they belong, in the callers' own thread."""
    for waiting, verdict in answers:
        call = waiting.call
        if call.answer.done():
            continue
        if isinstance(verdict, LogUnavailable):
            call.answer.set_exception(verdict)
            continue
        call.verdicts[waiting.index] = verdict
        call.left -= 1
        if not call.left:
            call.answer.set_result([verdict for verdict in call.verdicts if verdict is not None])


def pauses() -> Iterator[float]:
    """Seconds to wait before each further try."""
    pause = 0.05
    while True:
        yield pause
        pause = min(pause * 2, 2.0)
