"""An account against a model on paper: whatever people, its session and the clock do, both say the same."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.account import (
    DECIDER,
    Account,
    LogOutAccount,
    PauseAccount,
    RegisterAccount,
    RemoveAccount,
    ReportLinked,
    ReportReady,
    ReportTrouble,
    ResumeAccount,
    Status,
    Trouble,
)
from domain.allowance import AllowanceDeferred, AllowanceGranted, GrantAllowance
from domain.message import Actor, Command, Event
from domain.workspace import SendingPolicySet
from tests.builders import CREATED, NORTH, NORTH_STREAM, NOW, OPERATOR, RULES_STREAM, SECOND, SYSTEM, a_ref
from tests.given import Given

HARD = (Trouble.CAPPED, Trouble.BANNED)
BLOCK, LASTS = 3, 9 * SECOND  # of permits, at twenty a minute
COUNTS = timedelta(minutes=2, seconds=30)  # from a block's end: the window, and a send that takes its time
SELDOM = st.integers(0, 9).map(lambda number: number == 0)  # else most histories would be over before they began


@dataclass
class Block:
    """So many permits; until then they may be spent, and those that were not are crossed out."""

    since: datetime
    until: datetime
    permits: int


@dataclass
class Model:
    """What a person would note on paper: how the session is, what people said, which permits were handed out."""

    session: str = "registered"  # what it last said
    linked: bool = False
    restricted: bool = False
    leaving: bool = False
    paused: bool = False
    removed: bool = False
    blocks: list[Block] = field(default_factory=list)
    given_back: bool = False  # the last one's rest
    told: datetime | None = None  # that there are none before then

    @property
    def shown(self) -> str:
        if self.removed or self.restricted:
            return "removed" if self.removed else "restricted"
        return "logging_out" if self.leaving else self.session

    @property
    def may_send(self) -> bool:
        return self.shown == "ready" and not self.paused

    def used(self, now: datetime) -> list[Block]:
        """The blocks that count in the minute's cap."""
        return [block for block in self.blocks if now < block.until + COUNTS]


class AccountMachine(RuleBasedStateMachine):
    """Registers one account; then its session says anything at any time, and so do people."""

    @initialize(cap=st.sampled_from([None, 4, 7]), ready=st.booleans(), trouble=st.none() | st.sampled_from(HARD))
    def register(self, cap: int | None, ready: bool, trouble: Trouble | None) -> None:
        self.now, self.model, self.cap = NOW, Model(), cap
        self.world = Given().on(RULES_STREAM, CREATED, SendingPolicySet(20, 60, per_minute=cap))
        assert self.give(RegisterAccount(NORTH, a_ref("label")), OPERATOR)
        if ready:
            self.get_ready()
        if trouble:
            self.get_into_trouble(trouble)

    def give(self, command: Command, by: Actor = SYSTEM) -> tuple[Event, ...]:
        """What happened."""
        outcome = self.world.when(command, by=by, at=self.now)
        self.world = outcome.after
        return tuple(outcome.events)

    @property
    def account(self) -> Account:
        state: Account = self.world.state(NORTH_STREAM)
        return state

    @rule(seconds=st.sampled_from([1, 8, 9, 10, 30, 60, 149, 150, 159, -5, -200]))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule()
    def register_again(self) -> None:
        assert not self.give(RegisterAccount(NORTH, a_ref("label")), OPERATOR)

    @rule()
    def pause(self) -> None:
        news = not self.model.paused and not self.model.removed
        assert bool(self.give(PauseAccount(NORTH), OPERATOR)) == news
        self.model.paused = self.model.paused or news

    @rule()
    def resume(self) -> None:
        model = self.model
        news = (model.paused or model.restricted) and not model.removed
        assert bool(self.give(ResumeAccount(NORTH), OPERATOR)) == news
        if news:  # a person answers for it: then it is what its session says
            model.paused = model.restricted = False

    @rule(seldom=SELDOM)
    def remove(self, seldom: bool) -> None:
        if seldom:
            news = not self.model.may_send and not self.model.removed
            assert bool(self.give(RemoveAccount(NORTH), OPERATOR)) == news
            self.model.removed = self.model.removed or news

    @rule(seldom=SELDOM)
    def log_out(self, seldom: bool) -> None:
        if seldom:
            model = self.model
            news = model.linked and not model.leaving and not model.removed
            assert bool(self.give(LogOutAccount(NORTH), OPERATOR)) == news
            model.leaving = model.leaving or news

    @rule()
    def link(self) -> None:
        model = self.model
        news = not model.linked and not model.removed
        assert bool(self.give(ReportLinked(NORTH))) == news
        if news:
            model.linked, model.session = True, "linked"

    @rule()
    def get_ready(self) -> None:
        model = self.model
        news = model.session != "ready" and not model.removed and not model.leaving
        assert bool(self.give(ReportReady(NORTH))) == news
        if news:
            model.linked, model.session = True, "ready"

    @rule(reason=st.sampled_from(Trouble))
    def get_into_trouble(self, reason: Trouble) -> None:
        model = self.model
        if reason is Trouble.LOGGED_OUT:
            news = model.linked
        elif reason in HARD:
            news = not model.restricted or model.session == "ready"
        else:
            news = model.session == "ready"
        news = news and not model.removed
        assert bool(self.give(ReportTrouble(NORTH, reason))) == news
        if news and reason is Trouble.LOGGED_OUT:
            model.linked, model.leaving, model.session = False, False, "logged_out"
        elif news:
            model.restricted = model.restricted or reason in HARD
            model.session = "degraded" if model.session == "ready" else model.session

    @rule(spent=st.integers(0, BLOCK))
    def ask_for_permits(self, spent: int) -> None:
        """Permits come only to who may send, when the last ones are over, as many as the minute has left."""
        model, last = self.model, self.model.blocks[-1] if self.model.blocks else None
        left = max(last.permits - spent, 0) if last and not model.given_back else 0
        running = last is not None and self.now < (last.since if model.given_back else last.until)
        events = self.give(GrantAllowance(NORTH, left))
        if not model.may_send or running:
            assert not events
            return
        if last and left:
            last.permits -= left
            model.given_back = True
        counted = model.used(self.now)
        room = BLOCK if self.cap is None else self.cap - sum(block.permits for block in counted)
        granted = [event for event in events if isinstance(event, AllowanceGranted)]
        deferred = [event for event in events if isinstance(event, AllowanceDeferred)]
        if room > 0:
            [block] = granted
            assert (block.permits, block.since) == (min(room, BLOCK), self.now)
            assert block.until == self.now + LASTS * block.permits / BLOCK
            assert not deferred
            model.blocks.append(Block(block.since, block.until, block.permits))
            model.given_back, model.told = False, None
        else:
            assert not granted
            assert [event.until for event in deferred] in ([], [self.room_at(counted)])
            assert bool(deferred) == (model.told != self.room_at(counted))
            model.told = self.room_at(counted)

    def room_at(self, counted: list[Block]) -> datetime:
        """When enough blocks count no more."""
        assert self.cap is not None
        for index, block in enumerate(counted):
            if sum(later.permits for later in counted[index + 1 :]) < self.cap:
                return block.until + COUNTS
        raise AssertionError("a cap that nothing keeps")

    @precondition(lambda self: not self.model.removed and not self.model.leaving)
    @rule(spent=st.integers(0, BLOCK))
    def go_on_sending(self, spent: int) -> None:
        """The usual: it is ready, the last block is over, and the next one is wanted."""
        self.resume()
        self.get_ready()
        if self.model.blocks:
            self.now = max(self.now, self.model.blocks[-1].until)
        self.ask_for_permits(spent)

    @invariant()
    def both_say_the_same(self) -> None:
        state, model = self.account, self.model
        assert (state.status, state.may_send) == (Status(model.shown), model.may_send)
        if not model.removed:
            assert (state.linked, state.paused, state.leaving) == (model.linked, model.paused, model.leaving)
            assert state.session == model.session

    @invariant()
    def a_replay_leads_to_the_same_state(self) -> None:
        state = DECIDER.initial
        for event in self.world.history[NORTH_STREAM]:
            state = DECIDER.evolve(state, event)
        assert state == self.account


AccountMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_an_account_does_what_the_paper_says = AccountMachine.TestCase
