"""How anything is decided: load the state and what the decision needs, decide, append under conditions, else anew."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime

from adapters.event_store import EventStore, Item, Loaded, Verdict
from domain import catalog
from domain.audience import ImportAudience
from domain.message import Event, Facts, Refused, Role, StreamId
from domain.ports import Gather
from domain.submission import ReviseJob, SubmitJob
from workers.cases import Case, cases_of, item_of, known
from workers.requests import NO_STREAM, Outcome, Request, Turned, command_key, refusal
from workers.states import Later, StateCache

__all__ = ["Contended", "Decisions", "Outcome", "Request", "Turned", "Unstorable", "command_key", "refusal"]

MOST_TRIES = 25  # each lost try means that somebody else got through


class Contended(Exception):
    """A decision lost its race against others too often."""


class Unstorable(Exception):
    """The log can never store this decision."""


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
        return await self.make_all(cases_of(requests))

    async def make_all(self, cases: Sequence[Case]) -> list[Outcome]:
        """Make the decisions that `cases_of` prepared; see `make`."""
        answers: dict[int, Outcome] = {}
        for case in cases:
            case.tries, case.sure = 0, False
        waiting = list(cases)
        while waiting:
            wave, waiting = await self._next_wave(waiting)
            now = self._clock()
            decided = [case for case in wave if await self._decide(case, now, answers)]
            verdicts = await self._store.append([item_of(case, now) for case in decided]) if decided else []
            for case, verdict in zip(decided, verdicts, strict=True):
                self._settle(case, verdict, answers)
            waiting = sorted([*waiting, *(c for c in wave if c.index not in answers)], key=lambda case: case.index)
        return [answers[index] for index in range(len(cases))]

    async def trace_of(self, stream: StreamId) -> str:
        """The trace that the last events of a stream belong to; "" when they belong to none."""
        traces = [recorded.envelope.traceparent for recorded in await self._store.history(stream)]
        return next((trace for trace in reversed(traces) if trace), "")

    async def refuse(self, turned: Sequence[Turned]) -> list[Outcome]:
        """Record refusals that need no decision; outcomes in the same order."""
        verdicts = await self._store.append([self._turned_item(one) for one in turned]) if turned else []
        outcomes = []
        for one, verdict in zip(turned, verdicts, strict=True):
            if verdict.code == "failed":
                raise Unstorable(verdict.reason)
            outcomes.append(
                refusal(one.refused, NO_STREAM, 0) if verdict.code == "ok" else repeated(verdict, one.digest)
            )
        return outcomes

    def _turned_item(self, turned: Turned) -> Item:
        return Item(
            key=turned.key,
            command_id=turned.command_id,
            workspace=turned.workspace,
            principal=turned.principal,
            name=turned.name,
            digest=turned.digest,
            stream=NO_STREAM,
            expected=None,
            events=(),
            conditions={},
            now=self._clock(),
            correlation=turned.command_id,
            traceparent=turned.traceparent,
            refusal=turned.refused,
        )

    async def _next_wave(self, waiting: Sequence[Case]) -> tuple[list[Case], list[Case]]:
        """The requests that can be decided together now, with their states read; and the others."""
        wave: list[Case] = []
        later: list[Case] = []
        earlier: set[StreamId] = set()
        for case in waiting:
            free = case.target not in earlier and earlier.isdisjoint(case.named)
            (wave if free else later).append(case)
            earlier.add(case.target)
        await self._read(wave)
        return wave, later

    async def _read(self, cases: Sequence[Case]) -> None:
        """Read each case's own stream and the others it names, in one go.

        What begins a stream is first decided as if there were none: nearly always so, and the append would tell.
        """
        wanted = {stream: None for case in cases for stream in (*case.named, *(() if case.guessed else (case.target,)))}
        fresh = {stream for case in cases if case.sure for stream in (case.target, *case.named)}
        found = await self._states(wanted, fresh)
        for case in cases:
            case.own = found.get(case.target)
            case.reads = {stream: found[stream] for stream in case.named}
            case.versions = {stream: found[stream].version for stream in case.named}

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

    async def _decide(self, case: Case, now: datetime, answers: dict[int, Outcome]) -> bool:
        """Decide on what was read; False when there is nothing to append (then it is answered, or to be read again)."""
        case.tries += 1
        if case.tries > MOST_TRIES:
            raise Contended(f"{case.request.known_as} lost {MOST_TRIES} races in a row.")
        case.events, case.refused = (), None
        try:
            case.events = tuple(await self._events(case, now))
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

    async def _events(self, case: Case, now: datetime) -> Sequence[Event]:
        request, command = case.request, case.request.command
        if case.inside:
            if Role.SYSTEM not in request.actor.roles:
                raise Refused("role_required", field="actor", role=Role.SYSTEM)
        else:
            catalog.may(request.actor.roles, request.known_as)
        states = known(case)
        facts = Facts(request.actor, now, states, case.versions)
        keep = None
        if isinstance(command, SubmitJob | ReviseJob | ImportAudience):
            gathered = await self._gather(command, request.actor, {**states, case.target: case.own_state()})
            facts, keep = replace(facts, frozen=gathered.frozen, imported=gathered.imported), gathered.keep
        events = case.decider.decide(case.own_state(), command, facts)
        if events and case.foreign:
            raise Refused("id_taken", field=f"{case.decider.aggregate}_id")
        if events and keep is not None:
            await keep()
        return events

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
            case "failed":
                raise Unstorable(verdict.reason)

    def _done(self, case: Case, verdict: Verdict) -> Outcome:
        if case.refused:
            return refusal(case.refused, case.target, case.own_version)
        if case.events:
            workspace = case.request.actor.workspace
            later = Later(case.decider, case.own_state(), case.events, verdict.version, workspace)
            self._cache.put_later(case.target, later)
        return Outcome("applied", case.target, verdict.version, verdict.position, events=case.events)

    def _repeated(self, case: Case, verdict: Verdict) -> Outcome:
        self._cache.forget(case.target)
        return repeated(verdict, case.request.digest)


def repeated(verdict: Verdict, digest: bytes) -> Outcome:
    """The old answer; or, when the id stood for something else, that it did."""
    old = verdict.previous
    if old is None or (digest and old.digest != digest):
        return Outcome.id_reused()
    return Outcome.of(old)
