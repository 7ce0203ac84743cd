"""How anything is decided: load the state and what the decision needs, decide, append under conditions, else anew."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from adapters.event_store import EventStore, Item, Lease, Loaded, Verdict

from domain import catalog
from domain.account import AllowanceGranted
from domain.audience import ImportAudience
from domain.delivery import SendIntended
from domain.job import SubmitJob
from domain.message import Command, Decider, Event, Facts, Refused, Role, StreamId, WorkspaceId
from domain.ports import Gather
from workers.requests import Outcome, Request, command_key, refusal
from workers.states import StateCache

__all__ = ["Contended", "Decisions", "Outcome", "Request", "command_key", "refusal"]

MOST_TRIES = 25  # each lost try means that somebody else got through


class Contended(Exception):
    """A decision lost its race against others too often."""


@dataclass(slots=True)
class Case:
    """A request on its way, with what was read for it."""

    index: int
    request: Request
    decider: Decider[Any]
    target: StreamId
    tries: int = 0
    sure: bool = False  # its states come from the log, not from the cache
    own: Loaded | None = None
    reads: dict[StreamId, Loaded] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    refused: Refused | None = None

    @property
    def inside(self) -> bool:
        """Whether the system decides this for itself: then only what happens is recorded, so it can be tried again."""
        return type(self.request.command) in catalog.DECISIONS

    @property
    def own_version(self) -> int:
        return self.own.version if self.own else 0

    @property
    def foreign(self) -> bool:
        """Whether its stream is another workspace's."""
        return bool(self.own and self.own.version and self.own.workspace != self.request.actor.workspace)

    def own_state(self) -> Any:
        return state_seen(self.own, self.decider.initial, self.request.actor.workspace)


def state_seen(loaded: Loaded | None, initial: Any, workspace: WorkspaceId) -> Any:
    """A stream's state as one workspace sees it: another workspace's stream does not exist."""
    if loaded is None or not loaded.version or loaded.workspace != workspace:
        return initial
    return loaded.state


class Decisions:
    """Makes decisions, many at once, each answered by itself; safe to call from many tasks."""

    def __init__(
        self, store: EventStore, gather: Gather, clock: Callable[[], datetime], cache: StateCache | None = None
    ) -> None:
        self._store = store
        self._gather = gather
        self._clock = clock
        self._cache = cache or StateCache()

    async def one(self, request: Request) -> Outcome:
        """Make one decision."""
        return (await self.make([request]))[0]

    async def make(self, requests: Sequence[Request]) -> list[Outcome]:
        """Make decisions in order; outcomes in the same order.

        Those on different streams share an append; one that writes or reads what an earlier one writes waits for it,
        for it must be decided on what really happened. An exception does not say which of them were made: ask again.
        """
        answers: dict[int, Outcome] = {}
        waiting = [self._case(index, request) for index, request in enumerate(requests)]
        while waiting:
            wave, waiting = await self._next_wave(waiting)
            decided = [case for case in wave if await self._decide(case, answers)]
            verdicts = await self._store.append([self._item(case) for case in decided]) if decided else []
            for case, verdict in zip(decided, verdicts, strict=True):
                self._settle(case, verdict, answers)
            waiting = sorted([*waiting, *(c for c in wave if c.index not in answers)], key=lambda case: case.index)
        return [answers[index] for index in range(len(requests))]

    def _case(self, index: int, request: Request) -> Case:
        decider = catalog.decider_of(request.command)
        return Case(index, request, decider, decider.target(request.command, request.actor.workspace))

    async def _next_wave(self, waiting: Sequence[Case]) -> tuple[list[Case], list[Case]]:
        """The requests that can be decided together now, with their states read; and the others."""
        firsts: dict[StreamId, Case] = {}
        for case in waiting:
            firsts.setdefault(case.target, case)
        await self._read(list(firsts.values()))
        wave: list[Case] = []
        later: list[Case] = []
        earlier: set[StreamId] = set()
        for case in waiting:
            if firsts[case.target] is case and earlier.isdisjoint(case.reads):
                wave.append(case)
            else:
                later.append(case)
            earlier.add(case.target)
        return wave, later

    async def _read(self, cases: Sequence[Case]) -> None:
        """Read each case's own stream, then the others it names, until none names a new one."""
        found = await self._states({case.target for case in cases}, {case.target for case in cases if case.sure})
        for case in cases:
            case.own, case.reads = found.get(case.target), {}
        asking = list(cases)
        while asking:
            named = [(case, [name for name in self._names(case) if name not in case.reads]) for case in asking]
            wanted = {name for _, names in named for name in names}
            fresh = {name for case, names in named for name in names if case.sure}
            found = await self._states(wanted, fresh)
            for case, names in named:
                case.reads |= {name: found.get(name) or Loaded(None, 0, None) for name in names}
            asking = [case for case, names in named if names]

    def _names(self, case: Case) -> Sequence[StreamId]:
        workspace = case.request.actor.workspace
        return case.decider.reads(case.request.command, case.own_state(), known(case), workspace)

    async def _states(self, streams: Collection[StreamId], fresh: Collection[StreamId]) -> dict[StreamId, Loaded]:
        found: dict[StreamId, Loaded] = {}
        for stream in streams:
            cached = None if stream in fresh else self._cache.get(stream)
            if cached is not None:
                found[stream] = cached
        missing = [stream for stream in streams if stream not in found]
        if missing:
            for stream, loaded in (await self._store.load(missing)).items():
                found[stream] = loaded
                self._cache.put(stream, loaded)
        return found

    async def _decide(self, case: Case, answers: dict[int, Outcome]) -> bool:
        """Decide on what was read; False when there is nothing to append (then it is answered, or to be read again)."""
        case.tries += 1
        if case.tries > MOST_TRIES:
            raise Contended(f"{case.request.known_as} lost {MOST_TRIES} races in a row.")
        case.events, case.refused = (), None
        try:
            case.events = tuple(await self._events(case))
        except Refused as refused:
            case.refused = refused
        if case.events or not case.inside:
            return True
        if not case.sure:  # nothing is appended, so no condition would catch a stale state
            case.sure = True
            return False
        answers[case.index] = (
            refusal(case.refused, case.target, case.own_version)
            if case.refused
            else Outcome("applied", case.target, case.own_version)
        )
        return False

    async def _events(self, case: Case) -> Sequence[Event]:
        request, command = case.request, case.request.command
        if case.inside:
            if Role.SYSTEM not in request.actor.roles:
                raise Refused("role_required", field="actor", role=Role.SYSTEM)
        else:
            catalog.may(request.actor.roles, request.known_as)
        states = known(case)
        facts = Facts(
            request.actor, self._clock(), states, {stream: loaded.version for stream, loaded in case.reads.items()}
        )
        keep = None
        if isinstance(command, SubmitJob | ImportAudience):
            gathered = await self._gather(command, request.actor, states)
            facts, keep = replace(facts, frozen=gathered.frozen, imported=gathered.imported), gathered.keep
        events = case.decider.decide(case.own_state(), command, facts)
        if events and case.foreign:
            raise Refused("id_taken", field=f"{case.decider.aggregate}_id")
        if events and keep is not None:
            await keep()
        return events

    def _item(self, case: Case) -> Item:
        request = case.request
        return Item(
            key=request.key,
            command_id=request.command_id,
            workspace=request.actor.workspace,
            principal=request.actor.id,
            name=request.known_as,
            digest=request.digest,
            stream=case.target,
            expected=case.own_version,
            events=case.events,
            conditions={stream: loaded.version for stream, loaded in case.reads.items()},
            now=self._clock(),
            correlation=request.correlation or request.command_id,
            traceparent=request.traceparent,
            refusal=case.refused,
            lease=lease_of(request.lease, case.events, request.command),
        )

    def _settle(self, case: Case, verdict: Verdict, answers: dict[int, Outcome]) -> None:
        """Answer a case by the log's verdict, or leave it unanswered to be decided anew."""
        match verdict.code:
            case "ok":
                answers[case.index] = self._done(case, verdict)
            case "duplicate":
                answers[case.index] = self._repeated(case, verdict)
            case "conflict" | "condition":
                self._cache.forget(case.target, *case.reads)
            case "fence" | "permits":
                answers[case.index] = refusal(Refused(verdict.code, field="account_id"), case.target, verdict.version)
            case code:
                raise ValueError(f"The log answered {code}.")

    def _done(self, case: Case, verdict: Verdict) -> Outcome:
        if case.refused:
            return refusal(case.refused, case.target, case.own_version)
        if case.events:
            state = case.own_state()
            for event in case.events:
                state = case.decider.evolve(state, event)
            self._cache.put(case.target, Loaded(state, verdict.version, case.request.actor.workspace))
        return Outcome("applied", case.target, verdict.version, verdict.position, events=case.events)

    def _repeated(self, case: Case, verdict: Verdict) -> Outcome:
        """The old answer; or, when the id stood for something else, that it did."""
        self._cache.forget(case.target)
        old = verdict.previous
        if old is None or (case.request.digest and old.digest != case.request.digest):
            reused = refusal(Refused("id_reused", field="command_id"), case.target, verdict.version)
            return replace(reused, repeated=True)
        return Outcome(
            old.state,
            StreamId(old.stream or case.target),
            old.version or 0,
            old.position,
            old.rule,
            old.field,
            old.detail or {},
            repeated=True,
        )


def known(case: Case) -> dict[StreamId, Any]:
    """The other streams' states that a case may see."""
    workspace = case.request.actor.workspace
    return {name: one.state for name, one in case.reads.items() if one.version and one.workspace == workspace}


def lease_of(lease: Lease | None, events: Sequence[Event], command: Command) -> Lease | None:
    """The account's lease as this append takes part in it: a send spends a permit, a grant sets them."""
    for event in events:
        if isinstance(event, AllowanceGranted):
            return replace(lease or Lease(getattr(command, "account_id")), grant=event.permits)  # noqa: B009
    if lease is not None and any(isinstance(event, SendIntended) for event in events):
        return replace(lease, spend=1)
    return lease
