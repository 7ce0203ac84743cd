"""Commands that came faster than their key's rate: refused without a decision, a transaction or a row."""

import asyncio
import math
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from uuid import UUID

from nats.aio.msg import Msg

from adapters import cloudevents, metrics
from adapters.bus import Bus, Told, stored_as
from adapters.cloudevents import Address, Answer
from adapters.heartbeats import beat
from adapters.inbox import Inbox
from workers.persevering import through_outages
from workers.requests import NO_STREAM, command_key

RULE = "too_many"
LOOP = "intake-over-rate"
PACE = 0.1  # seconds between two rounds
LATELY = 10.0  # seconds
MOST_HELD = 16 << 20  # bytes of bodies, of all keys together
Acknowledge = Callable[[Sequence[Msg]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Surplus:
    """A message over its key's rate; without an address and an id there is nobody to tell of it."""

    message: Msg
    told: Told | None


class OverRate:
    """Turns away what is over a rate. What HTTP accepted before is let through: it was promised an answer.

    Nothing is recorded: the same id may be sent again later, and is decided then. A key is refused no faster than its
    rate: until then its commands wait on the bus, where the server refuses more of them at no cost to others. Refused
    at once, they would make room for as many again, and each that the server takes goes to the disk before others'.
    """

    def __init__(
        self, bus: Bus, inbox: Inbox, clock: Callable[[], datetime], acknowledge: Acknowledge, rate: float
    ) -> None:
        self._bus = bus
        self._inbox = inbox
        self._clock = clock
        self._acknowledge = acknowledge
        self._rate = rate
        self._held: dict[str, deque[Surplus]] = defaultdict(deque)  # by key
        self._bytes = 0
        self._in_hand: dict[str, float] = {}  # as `stored_as` names them: until when they are known here

    def has(self, message: Msg) -> bool:
        """Whether this one is here, or just being looked up or refused."""
        return stored_as(message) in self._in_hand

    def held(self) -> list[Msg]:
        """What waits here to be refused."""
        return [one.message for one in chain.from_iterable(self._held.values())]

    async def turn_away(self, messages: Sequence[tuple[Address | None, Msg]], loop: str) -> list[Msg]:
        """Take these to be refused; returns those that HTTP accepted, which are to be decided.

        It waits for servers that are away, and beats for the loop that waits for it meanwhile.
        """
        self._in_hand |= {stored_as(message): math.inf for _, message in messages}
        try:
            return await self._taken(messages, loop)
        finally:
            held = {stored_as(message) for message in self.held()}
            self._known_lately(name for _, message in messages if (name := stored_as(message)) not in held)

    async def _taken(self, messages: Sequence[tuple[Address | None, Msg]], loop: str) -> list[Msg]:
        named: dict[UUID, list[tuple[str, Surplus]]] = {}
        found: list[tuple[str, Surplus]] = []
        for address, message in messages:
            command_id = cloudevents.command_id(message.headers or {})
            if address is None or command_id is None:
                found.append((address.principal if address else "", Surplus(message, None)))
            else:
                key = command_key(address.workspace, address.principal, command_id)
                one = Surplus(message, refusal(address, command_id, message, self._rate))
                named.setdefault(key, []).append((address.principal, one))
        metrics.OVER_RATE.inc(len(messages))
        accepted = await through_outages(partial(self._inbox.waiting, list(named)), loop=loop) if named else set()
        for key, several in named.items():
            if key not in accepted:
                found += several
        await self._refuse([one for principal, one in found if not self._hold(principal, one)], loop)
        return [one.message for key, several in named.items() if key in accepted for _, one in several]

    async def run(self) -> None:
        """Refuse what is held, each key's at its rate, until cancelled."""
        share = max(math.floor(self._rate * PACE), 1)
        while True:
            beat(LOOP)
            await asyncio.sleep(max(PACE, share / self._rate))
            due: list[Surplus] = []
            for principal in list(self._held):
                waiting = self._held[principal]
                due += [waiting.popleft() for _ in range(min(share, len(waiting)))]
                if not waiting:
                    del self._held[principal]
            self._bytes -= sum(len(one.message.data) for one in due)
            await self._refuse(due, LOOP)
            self._known_lately(stored_as(one.message) for one in due)
            now = time.monotonic()
            for name in [name for name, until in self._in_hand.items() if until < now]:
                del self._in_hand[name]

    def drain(self) -> list[Msg]:
        """What was not refused yet, for another reader."""
        left = self.held()
        self._held.clear()
        self._bytes = 0
        self._in_hand.clear()
        return left

    def _hold(self, principal: str, one: Surplus) -> bool:
        """Keep it to be refused later; whether there is room."""
        if self._bytes + len(one.message.data) > MOST_HELD:
            return False
        self._held[principal].append(one)
        self._bytes += len(one.message.data)
        return True

    def _known_lately(self, names: Iterable[str]) -> None:
        """These are done with; whoever read them before the server knew of it may still ask for a while."""
        self._in_hand |= dict.fromkeys(names, time.monotonic() + LATELY)

    async def _refuse(self, several: Sequence[Surplus], loop: str) -> None:
        if not several:
            return
        told = [one.told for one in several if one.told is not None]
        await through_outages(partial(self._bus.outcomes, told, self._clock()), loop=loop)
        await through_outages(partial(self._acknowledge, [one.message for one in several]), loop=loop)
        metrics.answered([(one.sender.name, "refused", RULE) for one in told])


def refusal(address: Address, command_id: UUID, message: Msg, rate: float) -> Told:
    """The outcome of a command over its key's rate."""
    headers = message.headers or {}
    answer = Answer(command_id, "refused", RULE, "actor", {"maximum": math.floor(rate)}, NO_STREAM, 0, None, False)
    return Told(answer, address, cloudevents.reply_to(address, headers), cloudevents.traceparent(headers))
