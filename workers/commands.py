"""Intake: takes commands off the bus in batches, has them decided, answers their senders, then acknowledges."""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from nats.aio.msg import Msg

from adapters import metrics, tracing, wire
from adapters.bus import Bus
from adapters.cancellation import heeding
from adapters.command_limits import CommandLimits
from adapters.contents import Contents
from adapters.heartbeats import beat
from adapters.inbox import Inbox
from adapters.keys import Keys
from adapters.outages import OUTAGES, to_blame
from adapters.pulls import Pulls
from adapters.runtime.disk import Disk
from adapters.streams import COMMANDS
from domain.message import Refused, StreamId, WorkspaceId
from domain.rates import Rates
from workers.burial import Burial
from workers.cases import Case, cases_of
from workers.crashpoints import crashpoint
from workers.decisions import Decisions
from workers.intake.arrivals import READ_TOGETHER, Arrivals
from workers.intake.messages import key_of
from workers.intake.retries import Retries
from workers.intake.stuck import Stuck
from workers.intake.trimming import Trimming
from workers.memory import collecting_seldom
from workers.persevering import through_outages
from workers.received import Received, Unreadable
from workers.requests import Request

log = logging.getLogger(__name__)

BATCH = 500
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds, while a server is away
SIDE_BY_SIDE = 2  # batches being decided or stored at once
LOOP = "intake"
IDLE = 5.0  # seconds without a command after which it says that it goes round


@dataclass(slots=True)
class Batch:
    """Messages on their way together."""

    messages: Sequence[Msg]
    commands: list[Received] = field(default_factory=list)
    unreadable: list[tuple[Msg, str]] = field(default_factory=list)
    asked: list[Received] = field(default_factory=list)  # those to be decided
    cases: list[Case] = field(default_factory=list)  # in the same order
    writes: set[StreamId] = field(default_factory=set)
    reads: set[StreamId] = field(default_factory=set)
    failed: bool = False  # to be taken by key
    alone: bool = False  # one message by itself
    loop: str = LOOP  # that it holds up

    def meets(self, other: "Batch") -> bool:
        """Whether one of them may write what the other reads or writes: then the later one must wait."""
        return (
            self.failed
            or other.failed
            or not self.writes.isdisjoint(other.writes)
            or not self.writes.isdisjoint(other.reads)
            or not self.reads.isdisjoint(other.writes)
        )


class Intake:
    """The consumer of COMMANDS. While one batch is decided, the next one is read."""

    def __init__(
        self,
        bus: Bus,
        decisions: Decisions,
        inbox: Inbox,
        keys: Keys,
        contents: Contents,
        clock: Callable[[], datetime],
        *,
        disk: Disk | None = None,
        retry: float = 1.0,  # seconds before a failed message is tried again; doubled each time
        limits: CommandLimits | None = None,  # of each key; without them nobody gives too many
        stuck: float = 60.0,  # seconds after which a message that the queue brings in vain is read by itself
    ) -> None:
        self._bus = bus
        self._decisions = decisions
        self._inbox = inbox
        self._keys = keys
        self._contents = contents
        self._clock = clock
        self._disk = disk or Disk()
        self._burial = Burial(bus, inbox, keys, contents, clock)
        self._trimming = Trimming(bus, (limits or CommandLimits()).waiting)
        self._arrivals = Arrivals(bus, inbox, clock, Rates(limits.rate) if limits else None, self._ack)
        self._retries = Retries(bus, inbox, self._alone, self._crash, self._arrivals.done, pause=retry)
        self._stuck = Stuck(bus, self._retries.alone, self._arrivals.refusing, clock, stuck)

    async def run(self) -> None:
        """Until cancelled; what is not acknowledged then is delivered again and answered from the table."""
        pulls = self._bus.pulls(COMMANDS, READ_TOGETHER)
        await through_outages(
            partial(self._stuck.look, LOOP), loop=LOOP
        )  # before the queue is read, which may have killed us
        await through_outages(self._trimming.begin, loop=LOOP)
        await pulls.start()
        prepared: asyncio.Queue[Batch] = asyncio.Queue(1)
        try:
            with collecting_seldom():
                await self._loops(pulls, prepared)
        finally:
            await pulls.stop()
            await self._arrivals.give_back()
            await self._retries.give_back()

    async def _loops(self, pulls: Pulls, prepared: asyncio.Queue[Batch]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._arrivals.fill(pulls), name="intake-fill")
            tasks.create_task(self._arrivals.hold(pulls), name="intake-hold")
            tasks.create_task(self._arrivals.refuse(), name="intake-refuse")
            tasks.create_task(self._read(prepared), name="intake-read")
            tasks.create_task(self._handle(prepared, tasks), name="intake-handle")
            tasks.create_task(self._trimming.run(), name="intake-trim")
            tasks.create_task(self._retries.run(), name="intake-retries")
            tasks.create_task(self._stuck.run(), name="intake-stuck")

    async def _read(self, prepared: asyncio.Queue[Batch]) -> None:
        while True:
            batch = Batch(await self._retries.divert(await self._arrivals.take(BATCH)))
            if batch.messages:
                batch.failed = not await self._survives(batch, partial(self._prepare, batch))
                await prepared.put(batch)

    async def _handle(self, prepared: asyncio.Queue[Batch], tasks: asyncio.TaskGroup) -> None:
        """Finish batches in order; those that do not meet side by side, so that one is decided while one is stored."""
        running: list[tuple[asyncio.Task[None], Batch]] = []
        while True:
            beat(LOOP)
            try:
                async with asyncio.timeout(IDLE):
                    batch = await prepared.get()
            except TimeoutError:
                continue
            while len(running) >= SIDE_BY_SIDE or any(batch.meets(other) for _, other in running):
                await asyncio.wait([running.pop(0)[0]])
            running.append((tasks.create_task(self._settle(batch)), batch))

    async def _settle(self, batch: Batch) -> None:
        if batch.failed or not await self._survives(batch, partial(self._finish, batch)):
            await self._by_key(batch)

    async def _by_key(self, batch: Batch) -> None:
        """Those of one key together, so that no key waits for the one at fault; what fails then is handled alone."""
        by_key: dict[str, list[Msg]] = defaultdict(list)
        for message in batch.messages:
            by_key[key_of(message)].append(message)
        for messages in by_key.values():
            ours = Batch(messages)
            if len(by_key) == 1 or not await self._survives(ours, partial(self._both, ours)):
                await self._retries.add(messages)

    async def _survives(self, batch: Batch, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work, waiting for as long as a server is away; whether it went through."""
        pause = SHORTEST_PAUSE
        while True:
            try:
                with heeding():
                    await work()
            except Exception as error:  # noqa: BLE001  # one message's fault must not stop the others
                kind, count = type(error).__name__, len(batch.messages)
                if not isinstance(error, OUTAGES) or to_blame(error):
                    log.error("intake: a batch of %d failed: %s", count, kind)  # noqa: TRY400  # its text may quote somebody
                    return False
                log.warning("intake waits: %s", kind)
                beat(batch.loop)
                await self._wait(batch.messages, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return True

    async def _alone(self, message: Msg, loop: str) -> bool:
        batch = Batch([message], alone=True, loop=loop)
        return await self._survives(batch, partial(self._both, batch))

    async def _both(self, batch: Batch) -> None:
        await self._prepare(batch)
        await self._finish(batch)

    async def _prepare(self, batch: Batch) -> None:
        """Read, check and seal: everything that needs no state."""
        batch.commands, batch.unreadable = [], []
        for message in batch.messages:
            try:
                batch.commands.append(Received.read(message))
            except Unreadable as error:
                batch.unreadable.append((message, str(error)))
        principals = {command.address.principal for command in batch.commands}
        actors = {principal: await self._keys.actor(principal) for principal in principals}
        for command in batch.commands:
            command.belongs_to(actors[command.address.principal])
        # The append tells what was answered before; but what crashed, and comes again, must not be tried again.
        keys = [command.key for command in batch.commands] if batch.alone or self._disk.full else []
        rows = await self._inbox.find(keys) if keys else {}
        drafts: list[tuple[Received, wire.Draft]] = []
        for command in batch.commands:
            row = rows.get(command.key)
            if not command.answered_by(row) and not (row is None and self._disk.full and command.put_off()):
                try:
                    drafts.append((command, command.checked()))
                except Refused as refused:
                    command.turn_away(refused.with_traceback(None))  # it would hold the whole batch until collected
        await self._seal(drafts)
        batch.asked = [command for command in batch.commands if command.request]
        batch.cases = cases_of([command.request for command in batch.asked if command.request])
        batch.writes = {case.target for case in batch.cases}
        batch.reads = {stream for case in batch.cases for stream in case.named}

    async def _seal(self, drafts: Collection[tuple[Received, wire.Draft]]) -> None:
        """Put the texts into the content store and make requests of the drafts."""
        by_workspace: dict[WorkspaceId, list[tuple[Received, wire.Draft]]] = defaultdict(list)
        for command, draft in drafts:
            by_workspace[command.sender.workspace].append((command, draft))
        for workspace, ours in by_workspace.items():
            personal = [(one, text) for _, draft in ours if (one := whose(draft)) for text in draft.texts]
            others = [text for _, draft in ours if whose(draft) is None for text in draft.texts]
            of_people = iter(await self._contents.put_personal(workspace, personal))
            shared = iter(await self._contents.put_many(workspace, others))
            for command, draft in ours:
                assert command.actor is not None
                command.request = Request(
                    draft.command([next(shared if whose(draft) is None else of_people) for _ in draft.texts]),
                    command.actor,
                    command.command_id,
                    command.address.name,
                    command.digest,
                    traceparent=command.traceparent,
                    known_key=command.key,
                )

    async def _finish(self, batch: Batch) -> None:
        """Decide, answer, acknowledge, under one span."""
        told = tracing.messaging("process", COMMANDS, len(batch.messages))
        traces = (command.traceparent for command in batch.commands)
        with tracing.span("process COMMANDS", tracing.CONSUMER, told, traces):
            await self._answer(batch)

    async def _answer(self, batch: Batch) -> None:
        began = time.monotonic()
        await self._burial.bury_all(batch.unreadable)
        turned = [command for command in batch.commands if command.turned]
        refused = [command.turned for command in turned if command.turned]
        crashpoint("before_append")
        outcomes = await self._decisions.make_all(batch.cases, refused)
        crashpoint("after_append")
        for command, outcome in zip([*batch.asked, *turned], outcomes, strict=True):
            command.outcome = outcome
        await self._bus.outcomes([command.told() for command in batch.commands], self._clock())
        crashpoint("after_outcome_told")
        await self._ack(batch.messages)
        metrics.INTAKE_ITEMS.observe(len(batch.messages))
        metrics.INTAKE_SECONDS.observe(time.monotonic() - began)
        metrics.answered([command.counted() for command in batch.commands])

    async def _ack(self, messages: Sequence[Msg]) -> None:
        self._arrivals.done(messages)
        await self._trimming.acknowledge(messages)

    async def _crash(self, message: Msg, loop: str) -> bool:
        return await self._survives(Batch([message], alone=True, loop=loop), partial(self._bury, message))

    async def _bury(self, message: Msg) -> None:
        await self._burial.crash(message)
        crashpoint("after_burial")
        await self._ack([message])

    async def _wait(self, messages: Sequence[Msg], pause: float) -> None:
        """Pause, telling the server meanwhile that these are being worked on."""
        if pause == LONGEST_PAUSE:
            with contextlib.suppress(*OUTAGES):
                for message in messages:
                    await self._bus.working(message)
        await asyncio.sleep(pause)


def whose(draft: wire.Draft) -> UUID | None:
    """The person whom a command's texts are about, if it names one."""
    return vars(draft.body).get("recipient_id")  # getattr of what a model lacks takes 20 times as long
