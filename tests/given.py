"""Given a history, when somebody gives a command, then these events follow, or a refusal.

A decision sees only the streams its decider says it reads: a decider that forgets to name one fails its tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from domain import catalog
from domain.message import Actor, Command, Decider, Digest, Event, Facts, Frozen, Refused, StreamId
from tests.builders import AUTHOR, NOW


def decider_of(stream: StreamId) -> Decider[Any]:
    """Who decides what happens on a stream."""
    return catalog.DECIDERS[stream.partition("-")[0]]


@dataclass(frozen=True)
class Given:
    """What has happened so far, by stream, with the states that led to, and what the vault would tell."""

    history: Mapping[StreamId, tuple[Event, ...]] = field(default_factory=lambda: MappingProxyType({}))
    states: Mapping[StreamId, Any] = field(default_factory=lambda: MappingProxyType({}))
    frozen: Frozen | None = None
    imported: Digest | None = None
    held: bool = False

    def on(self, stream: StreamId, *events: Event) -> "Given":
        """The same, and these events on this stream."""
        history = {**self.history, stream: (*self.history.get(stream, ()), *events)}
        state = self.state(stream)
        for event in events:
            state = decider_of(stream).evolve(state, event)
        return replace(self, history=history, states={**self.states, stream: state})

    def vault(self, *, frozen: Frozen | None = None, imported: Digest | None = None, held: bool = False) -> "Given":
        """The same, with what the vault holds for a submission, an import or what is decided of a person."""
        return replace(self, frozen=frozen, imported=imported, held=held)

    def state(self, stream: StreamId) -> Any:
        """What a stream's events lead to."""
        return self.states.get(stream, decider_of(stream).initial)

    def when(
        self,
        command: Command,
        by: Actor = AUTHOR,
        at: datetime = NOW,
        *,
        jumped: datetime | None = None,
        settled: bool = True,
    ) -> "Outcome":
        """Let the command's decider decide, on nothing but the streams it reads; the clock jumped, if it did, then."""
        decider = catalog.decider_of(command)
        target = decider.target(command, by.workspace)
        read = [stream for stream in decider.reads(command, by.workspace) if stream in self.history]
        facts = Facts(
            actor=by,
            now=at,
            states={stream: self.state(stream) for stream in read},
            versions={stream: len(self.history[stream]) for stream in read},
            frozen=self.frozen,
            imported=self.imported,
            held=self.held,
            steady_since=jumped,
            settled=settled,
        )
        try:
            events = decider.decide(self.state(target), command, facts)
        except Refused as refusal:
            return Outcome(self, target, (), refusal)
        return Outcome(self, target, tuple(events), None)


@dataclass(frozen=True)
class Outcome:
    """What came of a command."""

    before: Given
    target: StreamId
    events: Sequence[Event]
    refusal: Refused | None

    @property
    def after(self) -> Given:
        """The history with what was decided."""
        return self.before.on(self.target, *self.events) if self.events else self.before

    def then(self, *events: Event) -> Given:
        """Exactly these events follow; the history goes on with them."""
        assert self.refusal is None, f"refused: {self.refusal}"
        assert list(self.events) == list(events)
        return self.after

    def then_nothing(self) -> Given:
        """It was accepted and changed nothing, for it already stood."""
        return self.then()

    def then_refused(self, rule: str, field: str, **detail: int | str) -> None:
        """It was refused for this, and changed nothing."""
        assert self.refusal is not None, f"accepted: {self.events}"
        assert (self.refusal.rule, self.refusal.field, self.refusal.detail) == (rule, field, detail)
