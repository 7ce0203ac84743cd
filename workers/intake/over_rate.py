"""Commands that came faster than their key's rate: refused at once, without a decision, a transaction or a row."""

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from nats.aio.msg import Msg

from adapters import cloudevents, metrics
from adapters.bus import Bus, Told, stored_as
from adapters.cloudevents import Address, Answer
from adapters.inbox import Inbox
from workers.persevering import through_outages
from workers.requests import NO_STREAM, command_key

RULE = "too_many"
Acknowledge = Callable[[Sequence[Msg]], Awaitable[None]]


class OverRate:
    """Turns away what is over a rate. What HTTP accepted before is let through: it was promised an answer.

    Nothing is recorded: the same id may be sent again later, and is decided then. What has no id that could be told of
    is passed over.
    """

    def __init__(self, bus: Bus, inbox: Inbox, clock: Callable[[], datetime], acknowledge: Acknowledge) -> None:
        self._bus = bus
        self._inbox = inbox
        self._clock = clock
        self._acknowledge = acknowledge
        self.in_hand: frozenset[str] = frozenset()  # as `stored_as` names them

    async def turn_away(self, messages: Sequence[tuple[Address | None, Msg]], rate: float) -> list[Msg]:
        """Answer and acknowledge these; returns those that HTTP accepted, which are to be decided."""
        self.in_hand = frozenset(stored_as(message) for _, message in messages)
        try:
            return await self._turn_away(messages, rate)
        finally:
            self.in_hand = frozenset()

    async def _turn_away(self, messages: Sequence[tuple[Address | None, Msg]], rate: float) -> list[Msg]:
        named: dict[UUID, list[tuple[Address, UUID, Msg]]] = {}
        away: list[Msg] = []
        for address, message in messages:
            command_id = cloudevents.command_id(message.headers or {})
            if address is None or command_id is None:
                away.append(message)
            else:
                key = command_key(address.workspace, address.principal, command_id)
                named.setdefault(key, []).append((address, command_id, message))
        metrics.OVER_RATE.inc(len(messages))
        accepted = await through_outages(partial(self._inbox.waiting, list(named)), loop="intake") if named else set()
        told: list[Told] = []
        for key, several in named.items():
            for address, command_id, message in several:
                if key not in accepted:
                    away.append(message)
                    told.append(refusal(address, command_id, message, rate))
        await through_outages(partial(self._bus.outcomes, told, self._clock()), loop="intake")
        await through_outages(partial(self._acknowledge, away), loop="intake")
        metrics.answered([(one.sender.name, "refused", RULE) for one in told])
        return [message for key, several in named.items() if key in accepted for _, _, message in several]


def refusal(address: Address, command_id: UUID, message: Msg, rate: float) -> Told:
    """The outcome of a command over its key's rate."""
    headers = message.headers or {}
    answer = Answer(command_id, "refused", RULE, "actor", {"maximum": math.floor(rate)}, NO_STREAM, 0, None, False)
    return Told(answer, address, cloudevents.reply_to(address, headers), cloudevents.traceparent(headers))
