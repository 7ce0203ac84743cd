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
from domain.message import Actor, Command, Event
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
SELDOM = st.integers(0, 5).map(lambda number: number == 0)  # else most histories would be over before they began
Where = Literal["page", "wire", "nowhere"]  # of a message: still in the browser's own hands, gone, or known to be gone


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

    @initialize(parts=st.integers(1, 3))
    def begin(self, parts: int) -> None:
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

    @precondition(lambda self: self.running is not None)
    @rule(stop=SELDOM)
    def pause_resume_or_stop_the_job(self, stop: bool) -> None:
        event: Event = JobStopped() if stop else JobPaused() if self.running else JobResumed()
        self.running = None if stop else not self.running
        self.world = self.world.on(JOB_STREAM, event)

    @rule(agrees=st.booleans())
    def agree_or_opt_out(self, agrees: bool) -> None:
        if agrees != self.agreed:
            again = ConsentRecorded(ConsentSource.PAPER, NOW, None)
            self.world, self.agreed = self.world.on(ANA_STREAM, again if agrees else RecipientOptedOut(NOW)), agrees

    @precondition(lambda self: self.account != "removed")
    @rule(remove=SELDOM)
    def pause_resume_or_remove_the_account(self, remove: bool) -> None:
        becomes = "paused" if self.account == "ready" else "removed" if remove else "ready"
        events: dict[str, Event] = {"paused": AccountPaused(), "removed": AccountRemoved(), "ready": AccountResumed()}
        self.account, self.world = becomes, self.world.on(NORTH_STREAM, events[becomes])

    @rule(seldom=SELDOM)
    def let_the_allowance_end(self, seldom: bool) -> None:
        self.now = NOW + 30 * SECOND if seldom else self.now

    @precondition(lambda self: self.now > NOW and self.account != "removed")
    @rule()
    def grant_the_next(self) -> None:
        self.now = NOW
        self.world = self.world.on(NORTH_STREAM, granted(block=2))

    # --- an act ------------------------------------------------------------------------------------------------------

    @property
    def may_be_sent(self) -> bool:
        return bool(self.running) and self.agreed and self.account == "ready" and self.now == NOW

    @rule(part=PARTS, old=SELDOM, where=st.sampled_from(["page", "wire", "nowhere"]))
    def intend_any_part(self, part: int, old: bool, where: Where) -> None:
        """The last look before an act; then the messenger acts, or is killed before, or keeps it for later."""
        model = self.model
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
    @rule(where=st.sampled_from(["page", "wire", "nowhere"]))
    def intend_the_next(self, where: Where) -> None:
        if self.running is False:
            self.pause_resume_or_stop_the_job(False)
        if self.account == "paused":
            self.pause_resume_or_remove_the_account(False)
        self.intend_any_part(self.model.part, False, where)

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
    @rule()
    def be_not_ready_once_more(self) -> None:
        self.intend_the_next("nowhere")
        if self.flying is not None:
            self.reject(Rejection.NOT_READY)

    @rule(part=PARTS, reason=st.sampled_from(Doubt))
    def doubt(self, part: int, reason: Doubt) -> None:
        """By its own session, or by whoever finds the intent."""
        news = self.model.at == "flying" and part == self.model.part
        assert bool(self.give(DoubtSend(DELIVERY, part, reason))) == news
        self.model.at = "unknown" if news else self.model.at
        self.model.told = "" if news else self.model.told

    @rule(part=PARTS, reason=st.sampled_from([Rejection.NOT_READY, Rejection.REFUSED]))
    def words_about_another_part(self, part: int, reason: Rejection) -> None:
        if part != self.model.part:
            assert not self.give(RejectSend(DELIVERY, part, reason))
            assert not self.give(ConfirmSend(DELIVERY, part))

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

    @rule(part=PARTS)
    def nobody_waits_longer(self, part: int) -> None:
        news = self.model.at == "unknown" and part == self.model.part
        assert bool(self.give(GiveUpSend(DELIVERY, part))) == news
        if news:
            self.model.at, self.model.lost = "given_up", True

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
