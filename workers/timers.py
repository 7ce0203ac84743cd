"""Timers: fires decisions that are due, each once, whoever asks and how often."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from adapters.cancellation import heeding
from adapters.heartbeats import beat
from adapters.outages import OUTAGES
from adapters.timers import DueTimer, TimerTable
from domain import catalog
from domain.message import Actor, PrincipalId, Role, derive
from domain.reactors import DECISIONS, Kind
from domain.steady import Steady
from workers.crashpoints import crashpoint
from workers.decisions import Decisions, Request
from workers.persevering import through_outages

LATER = timedelta(minutes=1)  # until a decision that failed is made again
LONGEST_SLEEP = 1.0  # seconds; another process may have added a timer
log = logging.getLogger(__name__)


class Timers:
    """Makes the decisions whose time has come. `fire` may be called at any time, from any number of processes."""

    def __init__(
        self,
        table: TimerTable,
        decisions: Decisions,
        clock: Callable[[], datetime],
        steady: Callable[[], Steady] | None = None,
    ) -> None:
        """`steady`: what is known of the host's clock; without it, it is believed."""
        self._table = table
        self._decisions = decisions
        self._clock = clock
        self._steady = steady
        self._changed = asyncio.Event()
        self._firing = asyncio.Lock()

    async def run(self) -> None:
        """Fire what is due, when it is due, until cancelled."""
        await through_outages(self._run, loop="timers")

    async def _run(self) -> None:
        while True:
            beat("timers")
            self._changed.clear()
            await self._fire()
            due = await self._table.next_due()
            sleep = LONGEST_SLEEP if due is None or not self._settled() else (due - self._clock()).total_seconds()
            try:
                async with asyncio.timeout(min(max(sleep, 0.0), LONGEST_SLEEP)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def fire(self) -> None:
        """Make every decision that is due now, and look anew when the next one will be."""
        await self._fire()
        self._changed.set()

    async def _fire(self) -> None:
        async with self._firing:
            while self._settled() and (due := await self._table.due(self._clock())):
                crashpoint("before_fire")
                await self._make(due)

    def _settled(self) -> bool:
        """Whether the clock is believed."""
        return self._steady is None or self._steady().settled

    async def _make(self, due: Sequence[DueTimer]) -> None:
        """Make the decisions; one that fails is put off, and the others are made."""
        try:
            with heeding():
                outcomes = await self._decisions.make([await self._traced(request(timer)) for timer in due])
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001  # one timer's fault must not stop the others
            if len(due) > 1:
                for timer in due:
                    await self._make([timer])
                return
            failed = {"kind": due[0].kind, "subject": str(due[0].subject), "error": type(error).__name__}
            log.error("timer failed", extra=failed)  # noqa: TRY400  # its text may quote somebody
            await self._table.put_off(due[0].id, self._clock() + LATER)
            return
        crashpoint("after_fire")
        for timer, outcome in zip(due, outcomes, strict=True):
            if outcome.state == "refused":  # say, stopped before its start: nothing is left to do
                told = {"kind": timer.kind, "subject": str(timer.subject), "rule": outcome.rule}
                log.info("timer refused", extra=told)
        await self._table.done([timer.id for timer in due])

    async def _traced(self, request: Request) -> Request:
        """The decision as part of the trace of what asked for it, such as a job's approval."""
        target = catalog.decider_of(request.command).target(request.command, request.actor.workspace)
        trace = await self._decisions.trace_of(target) if target.startswith("job-") else ""
        return replace(request, traceparent=trace)


def request(timer: DueTimer) -> Request:
    """The decision that a timer stands for; its id follows from the timer's."""
    command = DECISIONS[Kind(timer.kind)](timer.subject, timer.serves, timer.accounts)
    actor = Actor(PrincipalId("system-reactors"), timer.workspace, frozenset({Role.SYSTEM}))
    return Request(command, actor, derive("fire", timer.id))
