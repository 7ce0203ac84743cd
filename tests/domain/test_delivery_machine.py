"""A delivery against a model on paper, with a wire: whatever happens, nobody gets a part twice, and no end is lost."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.account import AccountPaused, AccountRemoved, AccountResumed
from domain.delivery import DECIDER, Delivery
from domain.job import JobPaused, JobResumed, JobStopped
from domain.message import Actor, Command, Event, StreamId
from domain.recipient import ConsentRecorded, ConsentSource, RecipientOptedOut
from domain.send import (
    MOST_TRIES,
    ConfirmSend,
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    Doubt,
    DoubtSend,
    Finding,
    GiveUpSend,
    IntendSend,
    Receipt,
    Rejection,
    RejectSend,
    ReportReceipt,
    ResolveUnknown,
    SendIntended,
    doubtful_step,
    next_part,
    terminal_step,
    wa_id,
)
from tests.builders import (
    ANA,
    ANA_STREAM,
    BYE,
    CONSENTED,
    DELIVERY,
    DELIVERY_STREAM,
    HELLO,
    JOB,
    JOB_STREAM,
    NORTH,
    NORTH_STREAM,
    NOW,
    OPERATOR,
    READY,
    ROOT,
    SECOND,
    SYSTEM,
    a_digest,
    granted,
    running,
)
from tests.given import Given

OPEN, OVER = {"pending", "between", "again"}, {"sent", "failed", "partial", "skipped", "given_up"}
PARTS = st.integers(0, 3)
PART = st.none() | PARTS  # None: the one in question
SELDOM = st.integers(0, 5).map(lambda number: number == 0)
Where = Literal["page", "wire", "nowhere"]  # where a message is: the browser may still send it; sent; it never will be
WHERE = st.sampled_from(["page", "wire", "nowhere"])
THEN = st.sampled_from(["confirm", "reject", "doubt", "nothing"])


@dataclass
class Model:
    """What a person would note on paper: which part is next or open, how often it was tried, how it ended."""

    parts: int
    at: str = "pending"
    part: int = 0
    tries: int = 0
    lost: bool = False  # it ended because somebody held the part for not sent
    told: str = ""  # what somebody said of the part when it was unknown
    intended: bool = False  # ever
    got: set[int] = field(default_factory=set)  # parts that the phone has, as it told us
    seen: set[int] = field(default_factory=set)

    @property
    def cut(self) -> str:
        """How it ends without this part."""
        return "partial" if self.part else "failed"

    def is_sent(self) -> None:
        """The part is; the next one may follow, unless the delivery had ended."""
        last = self.part + 1 == self.parts
        if last or self.at in OVER:
            self.at = "sent" if last else "partial"
        else:
            self.at, self.part, self.tries, self.told = "between", self.part + 1, 0, ""


class DeliveryMachine(RuleBasedStateMachine):
    """One recipient of a running job. Messengers, phones, people and late words do anything in any order."""

    @initialize(parts=st.integers(1, 3), where=WHERE, then=THEN, at_once=st.booleans())
    def begin(self, parts: int, where: Where, then: str, at_once: bool) -> None:
        self.model, self.now = Model(parts), NOW
        self.running: bool | None = True  # None: stopped
        self.agreed, self.account = True, "ready"
        self.where: dict[int, Where] = {}
        self.wire: Counter[int] = Counter()
        self.flying: int | None = None  # the part whose outcome its own session has yet to tell
        self.world = (
            Given()
            .on(JOB_STREAM, *running((HELLO, BYE, HELLO)[:parts]))
            .on(ANA_STREAM, CONSENTED)
            .on(NORTH_STREAM, *READY, granted())
        )

        if at_once:
            self.send_the_next(where, then, well=True)

    @precondition(lambda self: self.model.at in OVER)
    @rule(parts=st.integers(1, 3), where=WHERE, then=THEN, seldom=SELDOM)
    def go_on_to_the_next_recipient(self, parts: int, where: Where, then: str, seldom: bool) -> None:
        if seldom:
            self.begin(parts, where, then, at_once=True)

    def give(self, command: Command, by: Actor = SYSTEM) -> tuple[Event, ...]:
        """What happened."""
        outcome = self.world.when(command, by=by, at=self.now)
        self.world = outcome.after
        return tuple(outcome.events)

    @property
    def delivery(self) -> Delivery:
        state: Delivery = self.world.state(DELIVERY_STREAM)
        return state

    @property
    def log(self) -> tuple[Event, ...]:
        return self.world.history.get(DELIVERY_STREAM, ())

    # --- the world around --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.at in OPEN)
    @rule(what=st.sampled_from(["pause", "stop", "opt out", "hold", "hold", "remove", "wait"]))
    def something_comes_between(self, what: str) -> None:
        """A job that is paused or stopped, an opt-out, an account paused or removed, an allowance that ends."""
        if what in ("pause", "stop") and self.running:
            self.happens(JOB_STREAM, JobPaused() if what == "pause" else JobStopped())
            self.running = False if what == "pause" else None
        elif what == "opt out" and self.agreed:
            self.happens(ANA_STREAM, RecipientOptedOut(NOW))
            self.agreed = False
        elif what == "hold" and self.account == "ready":
            self.happens(NORTH_STREAM, AccountPaused())
            self.account = "paused"
        elif what == "remove" and self.account == "paused":
            self.happens(NORTH_STREAM, AccountRemoved())
            self.account = "removed"
        elif what == "wait":
            self.now = NOW + 30 * SECOND

    def all_is_well_again(self) -> None:
        """As far as it can be."""
        if self.running is False:
            self.happens(JOB_STREAM, JobResumed())
            self.running = True
        if not self.agreed:
            self.happens(ANA_STREAM, ConsentRecorded(ConsentSource.PAPER, NOW, None))
            self.agreed = True
        if self.account == "paused":
            self.happens(NORTH_STREAM, AccountResumed())
            self.account = "ready"
        self.now = NOW

    def happens(self, stream: StreamId, event: Event) -> None:
        self.world = self.world.on(stream, event)

    # --- an act ------------------------------------------------------------------------------------------------------

    @property
    def may_be_sent(self) -> bool:
        return bool(self.running) and self.agreed and self.account == "ready" and self.now == NOW

    @rule(asked=PART, old=SELDOM, where=WHERE)
    def intend_any_part(self, asked: int | None, old: bool, where: Where) -> None:
        """The last look before an act; then the messenger acts, or is killed before, or keeps it for later."""
        model = self.model
        part = model.part if asked is None else asked
        audience = a_digest("earlier") if old else ROOT
        events = self.give(IntendSend(DELIVERY, JOB, ANA, NORTH, 1, part, 7, audience))
        if model.at not in OPEN or part != model.part or not self.running or old:
            assert not events
        elif not self.agreed:
            assert [type(event) for event in events] == [DeliverySkipped]
            model.at = "partial" if part else "skipped"
        elif not self.may_be_sent:
            assert not events
        else:
            [event] = events
            model.at, model.tries, model.intended, model.told = "flying", model.tries + 1, True, ""
            assert isinstance(event, SendIntended)
            assert (event.part, event.attempt, event.wa_id) == (part, model.tries, wa_id(DELIVERY, part))
            assert model.tries <= MOST_TRIES
            self.flying, self.where[part] = part, where
            self.wire[part] += where == "wire"

    @precondition(lambda self: self.model.at in OPEN)
    @rule(where=WHERE, then=THEN, well=st.booleans())
    def send_the_next(self, where: Where, then: str, well: bool) -> None:
        """The usual: an intent, an act, a word of it."""
        if well:
            self.all_is_well_again()
        self.intend_any_part(None, False, where)
        if self.flying is None:
            return
        if then == "doubt":
            self.doubt(None, Doubt.DEADLINE)
        elif then == "confirm" and where == "wire":
            self.confirm()
        elif then == "reject" and where != "wire":
            self.reject(Rejection.NOT_READY)

    @precondition(lambda self: "page" in self.where.values())
    @rule()
    def a_browser_sends_it_late(self) -> None:
        part = next(part for part, where in self.where.items() if where == "page")
        self.where[part], self.wire[part] = "wire", self.wire[part] + 1

    # --- what its session says of it, truthfully ---------------------------------------------------------------------

    @precondition(lambda self: self.flying is not None and self.where[self.flying] == "wire")
    @rule()
    def confirm(self) -> None:
        events, model = self.give(ConfirmSend(DELIVERY, self.flying or 0)), self.model
        news = model.part == self.flying and model.at in ("flying", "unknown")
        assert bool(events) == news
        if news:
            model.is_sent()
        self.flying = None

    @precondition(lambda self: self.flying is not None and self.where[self.flying] != "wire")
    @rule(reason=st.sampled_from([Rejection.NOT_READY, Rejection.NOT_READY, Rejection.NOT_READY, Rejection.REFUSED]))
    def reject(self, reason: Rejection) -> None:
        """It never left, and never will."""
        assert self.flying is not None
        self.where[self.flying] = "nowhere"
        events, model = self.give(RejectSend(DELIVERY, self.flying, reason)), self.model
        news = model.part == self.flying and model.at in ("flying", "unknown")
        assert bool(events) == news
        if news:
            again = model.at == "flying" and reason is Rejection.NOT_READY and model.tries < MOST_TRIES
            model.at = "again" if again else model.cut
        self.flying = None

    @precondition(lambda self: self.model.at == "again")
    @rule(times=st.integers(1, MOST_TRIES))
    def not_be_ready_again_and_again(self, times: int) -> None:
        for _ in range(times):
            if self.model.at in OPEN:
                self.send_the_next("nowhere", "reject", well=True)

    @precondition(lambda self: self.model.at in OPEN)
    @rule(what=st.sampled_from(["pause", "hold", "hold", "wait", "opt out"]))
    def try_the_next_although(self, what: str) -> None:
        self.all_is_well_again()
        self.something_comes_between(what)
        self.intend_any_part(None, False, "wire")

    @precondition(lambda self: self.model.at == "flying")
    @rule(asked=PART, reason=st.sampled_from(Doubt))
    def doubt(self, asked: int | None, reason: Doubt) -> None:
        """By its own session, or by whoever finds the intent."""
        part = self.model.part if asked is None else asked
        news = self.model.at == "flying" and part == self.model.part
        assert bool(self.give(DoubtSend(DELIVERY, part, reason))) == news
        self.model.at = "unknown" if news else self.model.at
        self.model.told = "" if news else self.model.told

    @rule(part=PARTS, reason=st.sampled_from([Rejection.NOT_READY, Rejection.REFUSED]))
    def words_about_what_is_not_open(self, part: int, reason: Rejection) -> None:
        if part != self.model.part or self.model.at not in ("flying", "unknown"):
            assert not self.give(RejectSend(DELIVERY, part, reason))
            assert not self.give(ConfirmSend(DELIVERY, part))
            assert not self.give(DoubtSend(DELIVERY, part, Doubt.RESTARTED))

    # --- what phones and people say of it ----------------------------------------------------------------------------

    @rule(asked=PART, kind=st.sampled_from(Receipt))
    def a_receipt(self, asked: int | None, kind: Receipt) -> None:
        """From the phone if the part is on the wire; otherwise about nothing, and held for that if we know better."""
        model = self.model
        part = model.part if asked is None else asked
        there = self.wire[part] > 0
        if not there and (part < model.part or (part == model.part and model.at in ("flying", "unknown", "sent"))):
            return  # no phone says so
        if not there and part == model.part and (model.lost or model.told == "sent"):
            return
        events = self.give(ReportReceipt(DELIVERY, part, kind))
        if not there:
            assert not events
            return
        settles = part == model.part and (model.at in ("flying", "unknown") or model.lost)
        assert any(terminal_step(event) or next_part(event) for event in events) == settles
        if settles:
            model.is_sent()
            model.lost = False
        got = {part} - model.got if kind is not Receipt.SENT else set()
        seen = {part} - model.seen if kind is Receipt.READ else set()
        assert {event.part for event in events if isinstance(event, DeliveryDelivered)} == got
        assert {event.part for event in events if isinstance(event, DeliveryRead)} == seen
        model.got, model.seen = model.got | got, model.seen | seen

    @rule(finding=st.sampled_from(Finding), part=PART)
    def somebody_resolves(self, finding: Finding, part: int | None) -> None:
        """Perhaps wrongly: even then nothing is sent again."""
        model = self.model
        asked = part in (None, model.part) and model.at in ("unknown", "given_up")
        news = asked and model.told != finding
        assert bool(self.give(ResolveUnknown(DELIVERY, finding, part), OPERATOR)) == news
        if news and finding is Finding.SENT:
            model.told, model.lost = "sent", False
            model.is_sent()
        elif news:
            model.at, model.told, model.lost = model.cut, "not_sent", True

    @rule(asked=PART)
    def nobody_waits_longer(self, asked: int | None) -> None:
        part = self.model.part if asked is None else asked
        news = self.model.at == "unknown" and part == self.model.part
        assert bool(self.give(GiveUpSend(DELIVERY, part))) == news
        if news:
            self.model.at, self.model.lost = "given_up", True

    @precondition(lambda self: self.model.at == "unknown")
    @rule(patient=st.booleans(), finding=st.none() | st.sampled_from(Finding), kind=st.sampled_from(Receipt))
    def a_doubt_ends_and_the_phone_speaks_later(self, patient: bool, finding: Finding | None, kind: Receipt) -> None:
        part = self.model.part
        self.intend_any_part(None, False, "wire")  # in vain
        if not patient:
            self.nobody_waits_longer(None)
        if finding:
            self.somebody_resolves(finding, None)
        if self.where[part] == "page":
            self.where[part], self.wire[part] = "wire", self.wire[part] + 1
        self.a_receipt(part, kind)

    # --- always ------------------------------------------------------------------------------------------------------

    @invariant()
    def nobody_gets_a_part_twice(self) -> None:
        assert all(times <= 1 for times in self.wire.values())

    @invariant()
    def both_say_the_same(self) -> None:
        state, model = self.delivery, self.model
        assert state.status.value == {"flying": "intended"}.get(model.at, model.at)
        assert (set(state.delivered), set(state.read)) == (model.got, model.seen)
        if model.intended:
            assert (state.part, state.parts) == (model.part, model.parts)

    @invariant()
    def it_ends_once_and_for_good(self) -> None:
        ends = [index for index, event in enumerate(self.log) if terminal_step(event)]
        assert bool(ends) == (self.model.at in OVER)
        for event in self.log[ends[0] + 1 :] if ends else ():
            assert not isinstance(event, SendIntended)
            assert not doubtful_step(event)
            assert next_part(event) is None

    @invariant()
    def a_replay_leads_to_the_same_state(self) -> None:
        state = DECIDER.initial
        for event in self.log:
            state = DECIDER.evolve(state, event)
        assert state == self.delivery


DeliveryMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_a_delivery_does_what_the_paper_says = DeliveryMachine.TestCase
