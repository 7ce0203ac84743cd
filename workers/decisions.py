"""How anything is decided: load the state and what the decision needs, decide, append under conditions, else anew."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from adapters.event_store import EventStore, Item, Loaded, Verdict
from domain import catalog, content
from domain.allowance import GrantAllowance
from domain.audience import ChooseAudience, ImportAudience
from domain.direct import SubmitMessage
from domain.message import Event, Facts, Refused, Role, StreamId
from domain.ports import Files, Gather
from domain.steady import Steady
from domain.submission import ReviseJob, SubmitJob
from workers.cases import Case, cases_of, item_of, known
from workers.requests import NO_STREAM, Outcome, Request, Turned, command_key, refusal
from workers.states import StateCache

__all__ = ["Contended", "Decisions", "Outcome", "Request", "Turned", "Unstorable", "command_key", "refusal"]

# What is decided on facts that lie outside the log, each on its own; whom the vault holds is asked once for all.
GATHERED = (SubmitJob, SubmitMessage, ReviseJob, ImportAudience, ChooseAudience)
MOST_TRIES = 25  # each lost try means that somebody else got through


class Contended(Exception):
    """A decision lost its race against others too often."""


class Unstorable(Exception):
    """The log can never store this decision."""


class Decisions:
    """Makes decisions, many at once, each answered by itself; safe to call from many tasks."""

    def __init__(
        self,
        store: EventStore,
        gather: Gather,
        clock: Callable[[], datetime],
        cache: StateCache | None = None,
        files: Files | None = None,
        steady: Callable[[], Steady] | None = None,
    ) -> None:
        """`files`: without them no media is looked for, as where nobody gives commands that name some. `steady`: what
        is known of the host's clock; without it, it is believed."""
        self._store = store
        self._gather = gather
        self._clock = clock
        self._cache = cache or StateCache()
        self._files = files
        self._steady = steady

    async def one(self, request: Request) -> Outcome:
        """Make one decision."""
        return (await self.make([request]))[0]

    async def make(self, requests: Sequence[Request]) -> list[Outcome]:
        """Make decisions in order; outcomes in the same order.

        All share one append. One that writes or reads what an earlier one writes is decided on what that is about to
        do, and goes through only if it did: else it is decided anew. An exception does not say which of them were
        made: ask again.
        """
        return await self.make_all(cases_of(requests))

    async def make_all(self, cases: Sequence[Case], turned: Sequence[Turned] = ()) -> list[Outcome]:
        """Make the decisions that `cases_of` prepared, see `make`; and record refusals that need no decision.

        The outcomes of the refusals come after the others.
        """
        answers: dict[int, Outcome] = {}
        refusals: list[Outcome] = []
        for case in cases:
            case.tries, case.sure = 0, False
        waiting, turning = list(cases), [self._turned_item(one) for one in turned]
        while waiting or turning:
            found = await self._read(waiting)
            await self._look_up(waiting)
            now = self._clock()
            decided = await self._decide_all(waiting, found, now, answers)
            items = [*turning, *(item_of(case, now) for case in decided)]
            verdicts = await self._store.append(items) if items else []
            if turning:
                refusals = [turned_away(one, verdict) for one, verdict in zip(turned, verdicts, strict=False)]
            for case, verdict in zip(decided, verdicts[len(turning) :], strict=True):
                self._settle(case, verdict, answers)
            turning = []
            waiting = [case for case in waiting if case.index not in answers]
        return [*(answers[index] for index in range(len(cases))), *refusals]

    async def trace_of(self, stream: StreamId) -> str:
        """The trace that the last event of a stream belongs to; "" when it belongs to none."""
        last = await self._store.latest(stream)
        return last.envelope.traceparent if last else ""

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

    async def _read(self, cases: Sequence[Case]) -> dict[StreamId, Loaded]:
        """Read each case's own stream and the others it names, in one go.

        What begins a stream is first decided as if there were none: nearly always so, and the append would tell.
        """
        wanted = {stream: None for case in cases for stream in (*case.named, *(() if case.guessed else (case.target,)))}
        fresh = {stream for case in cases if case.sure for stream in (case.target, *case.named)}
        return await self._states(wanted, fresh)

    async def _look_up(self, cases: Sequence[Case]) -> None:
        """See which people are in the vault of the workspace that decides something of them, in one go."""
        if people := {person for case in cases if (person := case.person)}:
            held = await self._gather.held(people)
            for case in cases:
                case.held = case.person in held

    async def _decide_all(
        self, cases: Sequence[Case], found: Mapping[StreamId, Loaded], now: datetime, answers: dict[int, Outcome]
    ) -> list[Case]:
        """Decide in turn, each on what was read and on what those before it are about to do; those to be appended."""
        decided: list[Case] = []
        ahead: dict[StreamId, Case] = {}
        for case in cases:
            earlier = [ahead[stream] for stream in (case.target, *case.named) if stream in ahead] if ahead else []
            if case.sure and earlier:
                continue  # it wants to be decided on what happened
            case.look(found, earlier)
            if await self._decide(case, now, answers):
                decided.append(case)
                if case.events:
                    ahead[case.target] = case
        return decided

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
            case.decide(tuple(await self._events(case, now)))
        except Refused as refused:
            case.refused = refused.with_traceback(None)  # it would hold this frame, and with it the case: a cycle
        if case.later is not None or not case.inside:
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
        await self._check_files(request)
        states = known(case)
        facts = Facts(request.actor, now, states, case.versions, held=case.held or bool(case.own_version))
        keep = None
        if self._steady and isinstance(command, GrantAllowance):
            steady = self._steady()  # after `now`: a jump between the two is known here
            facts = replace(facts, steady_since=steady.since, settled=steady.settled)
        if isinstance(command, GATHERED):
            gathered = await self._gather(command, request.actor, {**states, case.target: case.own_state()})
            facts = replace(facts, frozen=gathered.frozen, imported=gathered.imported)
            keep = gathered.keep
        events = case.decider.decide(case.own_state(), command, facts)
        if events and case.foreign:
            raise Refused("id_taken", field=f"{case.decider.aggregate}_id")
        if events and keep is not None:
            await keep()
        return events

    async def _check_files(self, request: Request) -> None:
        """Refuse a command that names media which are not there. Outside the log: they are content, not state."""
        parts = getattr(request.command, "parts", ())
        if self._files is not None and (media := content.media_in(parts)):
            content.check_files(parts, await self._files.kinds(request.actor.workspace, media))

    def _settle(self, case: Case, verdict: Verdict, answers: dict[int, Outcome]) -> None:
        """Answer a case by the log's verdict, or leave it unanswered to be decided anew."""
        match verdict.code:
            case "ok":
                answers[case.index] = self._done(case, verdict)
            case "duplicate":
                answers[case.index] = self._repeated(case, verdict)
            case "conflict" | "condition" | "foreign":
                self._cache.forget(case.target, *case.reads)
            case "fence" | "permits":
                answers[case.index] = refusal(Refused(verdict.code, field="account_id"), case.target, verdict.version)
            case "failed":
                raise Unstorable(verdict.reason)

    def _done(self, case: Case, verdict: Verdict) -> Outcome:
        if case.refused:
            return refusal(case.refused, case.target, case.own_version)
        if case.later is not None:
            self._cache.put_later(case.target, case.later)
        return Outcome("applied", case.target, verdict.version, verdict.position, events=case.events)

    def _repeated(self, case: Case, verdict: Verdict) -> Outcome:
        self._cache.forget(case.target)
        return repeated(verdict, case.request.digest)


def turned_away(turned: Turned, verdict: Verdict) -> Outcome:
    """The outcome of a refusal that was recorded, or the older answer to its id."""
    if verdict.code == "failed":
        raise Unstorable(verdict.reason)
    return refusal(turned.refused, NO_STREAM, 0) if verdict.code == "ok" else repeated(verdict, turned.digest)


def repeated(verdict: Verdict, digest: bytes) -> Outcome:
    """The old answer; or, when the id stood for something else, that it did."""
    old = verdict.previous
    if old is None or (digest and old.digest != digest):
        return Outcome.id_reused()
    return Outcome.of(old)
