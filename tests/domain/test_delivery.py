"""A delivery: an intent, an act, an outcome; then receipts. Never two acts for one part."""

from dataclasses import replace

import pytest

from domain.account import AccountDegraded, AccountPaused, Trouble
from domain.account import Status as AccountStatus
from domain.allowance import AllowanceClosed
from domain.delivery import Status
from domain.job import JobCompleted, JobPaused, JobStopped
from domain.job import Status as JobStatus
from domain.message import Command, Event
from domain.recipient import RecipientErased, RecipientOptedOut
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
    Resolution,
    ResolveUnknown,
    SendRejected,
    SendResolved,
    SendUnknown,
    SkipReason,
    delivery_id,
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
    READY,
    SECOND,
    SYSTEM,
    a_digest,
    an_id,
    confirmed,
    granted,
    intended,
    running,
    submitted,
)
from tests.given import Given, Outcome

INTEND = IntendSend(DELIVERY, JOB, ANA, NORTH, ordinal=1, part=0, fence=7)
CONFIRM, REJECT = ConfirmSend(DELIVERY, 0), RejectSend(DELIVERY, 0, Rejection.NOT_ON_WHATSAPP)
DOUBT = DoubtSend(DELIVERY, 0, Doubt.DEADLINE)
AGREED = Given().on(ANA_STREAM, CONSENTED).on(NORTH_STREAM, *READY, granted())
ONE_PART = AGREED.on(JOB_STREAM, *running())
TWO_PARTS = AGREED.on(JOB_STREAM, *running((HELLO, BYE)))
SECOND_PART = replace(INTEND, part=1)

INTENDED = ONE_PART.on(DELIVERY_STREAM, intended())
SENT = INTENDED.on(DELIVERY_STREAM, confirmed())
REJECTED = SendRejected(JOB, 0, 1, wa_id(DELIVERY, 0), Rejection.NOT_ON_WHATSAPP)
UNCERTAIN = SendUnknown(JOB, 0, 1, wa_id(DELIVERY, 0), Doubt.DEADLINE)
FAILED, UNKNOWN = INTENDED.on(DELIVERY_STREAM, REJECTED), INTENDED.on(DELIVERY_STREAM, UNCERTAIN)
BETWEEN = TWO_PARTS.on(DELIVERY_STREAM, intended(parts=2), confirmed(final=False))
SECOND_INTENDED = BETWEEN.on(DELIVERY_STREAM, intended(1, parts=2))
SECOND_UNKNOWN = SECOND_INTENDED.on(DELIVERY_STREAM, SendUnknown(JOB, 1, 1, wa_id(DELIVERY, 1), Doubt.RESTARTED))
BOTH_SENT = SECOND_INTENDED.on(DELIVERY_STREAM, confirmed(1))


def skipped(reason: SkipReason, part: int = 0) -> DeliverySkipped:
    return DeliverySkipped(JOB, ANA, NORTH, 1, part, reason)


SKIPPED = ONE_PART.on(DELIVERY_STREAM, skipped(SkipReason.NO_CONSENT))
CUT_SHORT = BETWEEN.on(DELIVERY_STREAM, skipped(SkipReason.OPTED_OUT, 1))


def act(given: Given, command: Command) -> Outcome:
    return given.when(command, by=SYSTEM)


def status(given: Given) -> Status:
    found: Status = given.state(DELIVERY_STREAM).status
    return found


def test_ids_follow_from_their_causes() -> None:
    assert DELIVERY == delivery_id(JOB, ANA) != delivery_id(JOB, an_id("bo"))
    assert wa_id(DELIVERY, 0) == wa_id(DELIVERY, 0) != wa_id(DELIVERY, 1)
    assert len(wa_id(DELIVERY, 0)) == 22
    assert wa_id(DELIVERY, 0).startswith("3EB0")
    assert set(wa_id(DELIVERY, 0)) <= set("0123456789ABCDEF")


# --- intents ---------------------------------------------------------------------------------------------------------


def test_a_send_is_intended_under_the_fence_and_from_the_block() -> None:
    after = act(ONE_PART, INTEND).then(intended())
    act(after, INTEND).then_refused("already_acted_on", "delivery_id", status=Status.INTENDED)


def test_the_next_part_is_intended_once_the_one_before_is_confirmed() -> None:
    act(BETWEEN, SECOND_PART).then(intended(1, parts=2))
    act(TWO_PARTS, SECOND_PART).then_refused("already_acted_on", "delivery_id", status=Status.PENDING)
    act(BETWEEN, INTEND).then_refused("already_acted_on", "delivery_id", status=Status.BETWEEN)


PAUSED = AGREED.on(JOB_STREAM, *running((HELLO, replace(BYE, delay=90), HELLO)))


def test_a_part_with_a_delay_waits_from_the_moment_the_one_before_was_confirmed() -> None:
    first = act(PAUSED, INTEND).then(replace(intended(parts=3), pause=90))
    due = NOW + 95 * SECOND
    waiting = first.when(CONFIRM, by=SYSTEM, at=NOW + 5 * SECOND).then(replace(confirmed(final=False), not_before=due))
    late = waiting.on(NORTH_STREAM, granted(due - SECOND, block=2))
    late.when(SECOND_PART, by=SYSTEM, at=due - SECOND).then_refused("too_early", "part")
    again = replace(intended(1, parts=3), block=granted(due, block=2).block)
    after = late.when(SECOND_PART, by=SYSTEM, at=due).then(again)
    after.when(replace(CONFIRM, part=1), by=SYSTEM, at=due).then(confirmed(1, final=False))


def test_a_late_receipt_begins_the_wait_and_a_persons_word_ends_it() -> None:
    doubtful = act(act(PAUSED, INTEND).then(replace(intended(parts=3), pause=90)), DOUBT).then(UNCERTAIN)
    due = NOW + 90 * SECOND
    act(doubtful, ReportReceipt(DELIVERY, 0, Receipt.SENT)).then(replace(confirmed(final=False), not_before=due))
    settled = doubtful.when(ResolveUnknown(DELIVERY, Finding.SENT)).then(
        SendResolved(JOB, 0, 1, wa_id(DELIVERY, 0), Resolution.SENT, final=False)
    )
    act(settled, SECOND_PART).then(intended(1, parts=3))


@pytest.mark.parametrize("given", [INTENDED, SENT, FAILED, UNKNOWN, SKIPPED, CUT_SHORT, SECOND_INTENDED, BOTH_SENT])
def test_nothing_that_was_acted_on_is_intended_again(given: Given) -> None:
    for command in (INTEND, SECOND_PART, replace(INTEND, part=2), replace(INTEND, fence=8)):
        act(given, command).then_refused("already_acted_on", "delivery_id", status=status(given))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), JobStatus.UNKNOWN),
        ((submitted(),), JobStatus.SUBMITTED),
        (running()[:3], JobStatus.APPROVED),
        ((*running(), JobPaused()), JobStatus.PAUSED),
        ((*running(), JobStopped()), JobStatus.STOPPED),
        ((*running(), JobCompleted(3)), JobStatus.COMPLETED),
    ],
)
def test_only_a_running_job_sends(events: tuple[Event, ...], expected: JobStatus) -> None:
    given = AGREED.on(JOB_STREAM, *events) if events else AGREED
    act(given, INTEND).then_refused("job_not_running", "job_id", status=expected)


def test_whoever_did_not_agree_is_skipped() -> None:
    given = Given().on(JOB_STREAM, *running()).on(NORTH_STREAM, *READY, granted())
    after = act(given, INTEND).then(skipped(SkipReason.NO_CONSENT))
    assert status(after) is Status.SKIPPED


def test_whoever_opted_out_is_skipped_even_between_two_parts() -> None:
    opted_out = RecipientOptedOut(NOW)
    assert status(act(ONE_PART.on(ANA_STREAM, opted_out), INTEND).then(skipped(SkipReason.OPTED_OUT))) is Status.SKIPPED
    after = act(BETWEEN.on(ANA_STREAM, opted_out), SECOND_PART).then(skipped(SkipReason.OPTED_OUT, 1))
    assert status(after) is Status.PARTIAL


def test_whoever_was_erased_is_skipped_even_between_two_parts() -> None:
    for before in (CONSENTED, RecipientOptedOut(NOW)):
        erased = (before, RecipientErased(NOW))
        act(ONE_PART.on(ANA_STREAM, *erased), INTEND).then(skipped(SkipReason.ERASED))
        act(BETWEEN.on(ANA_STREAM, *erased), SECOND_PART).then(skipped(SkipReason.ERASED, 1))


def test_skipping_needs_no_account_that_can_send() -> None:
    act(Given().on(JOB_STREAM, *running()), INTEND).then(skipped(SkipReason.NO_CONSENT))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), AccountStatus.UNKNOWN),
        (READY[:2], AccountStatus.LINKED),
        ((*READY, granted(), AccountPaused()), AccountStatus.READY),
        ((*READY, granted(), AccountDegraded(Trouble.CRASHED)), AccountStatus.DEGRADED),
    ],
)
def test_only_an_account_that_may_send_does(events: tuple[Event, ...], expected: AccountStatus) -> None:
    given = Given().on(ANA_STREAM, CONSENTED).on(JOB_STREAM, *running())
    given = given.on(NORTH_STREAM, *events) if events else given
    act(given, INTEND).then_refused("account_not_ready", "account_id", status=expected)


def test_without_a_block_there_is_no_send() -> None:
    given = Given().on(ANA_STREAM, CONSENTED).on(JOB_STREAM, *running()).on(NORTH_STREAM, *READY)
    act(given, INTEND).then_refused("allowance_over", "account_id")
    closed = given.on(NORTH_STREAM, granted(), AllowanceClosed(granted().block, 0))
    act(closed, INTEND).then_refused("allowance_over", "account_id")


def test_a_block_ends_when_it_says() -> None:
    assert ONE_PART.when(INTEND, by=SYSTEM, at=NOW + 29 * SECOND).refusal is None
    over = ONE_PART.when(INTEND, by=SYSTEM, at=NOW + 30 * SECOND)
    over.then_refused("allowance_over", "account_id")


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_the_last_parts_confirmation_is_final() -> None:
    sent = act(INTENDED, CONFIRM).then(confirmed())
    assert status(sent) is Status.SENT
    act(sent, CONFIRM).then_nothing()


def test_an_earlier_parts_confirmation_is_not() -> None:
    given = TWO_PARTS.on(DELIVERY_STREAM, intended(parts=2))
    between = act(given, CONFIRM).then(confirmed(final=False))
    assert status(between) is Status.BETWEEN
    act(between, CONFIRM).then_nothing()
    assert status(act(SECOND_INTENDED, ConfirmSend(DELIVERY, 1)).then(confirmed(1))) is Status.SENT


def test_a_rejection_ends_it_as_failed_or_partial() -> None:
    assert status(act(INTENDED, REJECT).then(REJECTED)) is Status.FAILED
    second = replace(REJECTED, part=1, wa_id=wa_id(DELIVERY, 1))
    assert status(act(SECOND_INTENDED, replace(REJECT, part=1)).then(second)) is Status.PARTIAL


def test_a_doubt_is_told_once_and_may_be_resolved_either_way() -> None:
    unknown = act(INTENDED, DOUBT).then(UNCERTAIN)
    act(unknown, DoubtSend(DELIVERY, 0, Doubt.BROWSER_GONE)).then_nothing()
    act(unknown, CONFIRM).then(confirmed())
    act(unknown, REJECT).then(REJECTED)


def test_a_doubt_about_what_was_confirmed_is_none() -> None:
    act(SENT, DOUBT).then_nothing()
    act(BETWEEN, DOUBT).then_nothing()


@pytest.mark.parametrize("command", [CONFIRM, REJECT, DOUBT, ReportReceipt(DELIVERY, 0, Receipt.SENT)])
@pytest.mark.parametrize("given", [ONE_PART, SKIPPED])
def test_there_is_no_outcome_of_what_was_never_intended(given: Given, command: Command) -> None:
    act(given, command).then_refused("never_intended", "delivery_id")


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (FAILED, CONFIRM),
        (FAILED, REJECT),
        (FAILED, DOUBT),
        (SENT, REJECT),
        (BETWEEN, REJECT),
        (BETWEEN, replace(CONFIRM, part=1)),
        (BETWEEN, replace(REJECT, part=1)),
        (BETWEEN, replace(DOUBT, part=1)),
        (INTENDED, replace(CONFIRM, part=1)),
        (SECOND_INTENDED, REJECT),
        (CUT_SHORT, replace(CONFIRM, part=1)),
        (CUT_SHORT, replace(DOUBT, part=1)),
    ],
)
def test_an_outcome_belongs_to_an_open_intent(given: Given, command: Command) -> None:
    act(given, command).then_refused("no_open_intent", "part", status=status(given))


# --- receipts --------------------------------------------------------------------------------------------------------

DELIVERED, READ = DeliveryDelivered(JOB, 0, True), DeliveryRead(JOB, 0, True)


def receipt(kind: Receipt, part: int = 0) -> ReportReceipt:
    return ReportReceipt(DELIVERY, part, kind)


def test_receipts_tell_how_far_a_message_got_once() -> None:
    delivered = act(SENT, receipt(Receipt.DELIVERED)).then(DELIVERED)
    act(delivered, receipt(Receipt.DELIVERED)).then_nothing()
    act(delivered, receipt(Receipt.SENT)).then_nothing()
    read = act(delivered, receipt(Receipt.READ)).then(READ)
    for kind in Receipt:
        act(read, receipt(kind)).then_nothing()


def test_who_read_it_has_it() -> None:
    act(SENT, receipt(Receipt.READ)).then(DELIVERED, READ)


@pytest.mark.parametrize("given", [INTENDED, UNKNOWN])
@pytest.mark.parametrize(
    ("kind", "more"), [(Receipt.SENT, ()), (Receipt.DELIVERED, (DELIVERED,)), (Receipt.READ, (DELIVERED, READ))]
)
def test_a_receipt_proves_a_send_that_was_open_or_unknown(given: Given, kind: Receipt, more: tuple[Event, ...]) -> None:
    assert status(act(given, receipt(kind)).then(confirmed(), *more)) is Status.SENT


def test_a_late_receipt_for_an_earlier_part_says_nothing_of_the_open_one() -> None:
    earlier = DeliveryDelivered(JOB, 0, False)
    for given in (BETWEEN, SECOND_INTENDED, SECOND_UNKNOWN, BOTH_SENT, CUT_SHORT):
        assert status(act(given, receipt(Receipt.DELIVERED)).then(earlier)) is status(given)
        act(given, receipt(Receipt.SENT)).then_nothing()


def test_a_receipt_for_the_second_part_confirms_it() -> None:
    for given in (SECOND_INTENDED, SECOND_UNKNOWN):
        after = act(given, receipt(Receipt.READ, 1))
        after.then(confirmed(1), DeliveryDelivered(JOB, 1, True), DeliveryRead(JOB, 1, True))


@pytest.mark.parametrize(
    ("given", "part"), [(INTENDED, 1), (SENT, 1), (BETWEEN, 1), (SECOND_INTENDED, 2), (FAILED, 0), (CUT_SHORT, 1)]
)
@pytest.mark.parametrize("kind", Receipt)
def test_a_receipt_for_what_was_not_sent_is_refused(given: Given, part: int, kind: Receipt) -> None:
    act(given, receipt(kind, part)).then_refused("not_sent", "part", status=status(given))


# --- tried again -----------------------------------------------------------------------------------------------------

NOT_READY = RejectSend(DELIVERY, 0, Rejection.NOT_READY)


def test_what_the_session_kept_from_leaving_is_tried_again_up_to_five_times() -> None:
    given = ONE_PART
    for attempt in range(1, MOST_TRIES + 1):
        given = act(given, INTEND).then(replace(intended(), attempt=attempt))
        last = attempt == MOST_TRIES
        rejected = SendRejected(JOB, 0, attempt, wa_id(DELIVERY, 0), Rejection.NOT_READY, final=last)
        given = act(given, NOT_READY).then(rejected)
        assert status(given) is (Status.FAILED if last else Status.AGAIN)
    act(given, INTEND).then_refused("already_acted_on", "delivery_id", status=Status.FAILED)


def test_between_two_tries_everything_is_looked_at_again() -> None:
    again = act(INTENDED, NOT_READY).after
    assert status(act(again.on(ANA_STREAM, RecipientOptedOut(NOW)), INTEND).after) is Status.SKIPPED
    paused = again.on(JOB_STREAM, JobPaused())
    act(paused, INTEND).then_refused("job_not_running", "job_id", status=JobStatus.PAUSED)
    act(again, ReportReceipt(DELIVERY, 0, Receipt.SENT)).then_refused("not_sent", "part", status=Status.AGAIN)


@pytest.mark.parametrize("kind", Receipt)
def test_who_was_skipped_between_two_tries_has_no_receipts(kind: Receipt) -> None:
    again = act(INTENDED, NOT_READY).after
    gone = act(again.on(ANA_STREAM, RecipientOptedOut(NOW)), INTEND).then(skipped(SkipReason.OPTED_OUT))
    act(gone, receipt(kind)).then_refused("not_sent", "part", status=Status.SKIPPED)


def test_a_second_part_has_tries_of_its_own() -> None:
    again = act(SECOND_INTENDED, replace(NOT_READY, part=1)).after
    act(again, SECOND_PART).then(replace(intended(1, parts=2), attempt=2))


def test_an_unknown_send_is_never_tried_again() -> None:
    act(UNKNOWN, NOT_READY).then(replace(REJECTED, reason=Rejection.NOT_READY))


def test_rows_of_another_audience_than_the_jobs_are_not_sent() -> None:
    act(ONE_PART, replace(INTEND, audience=submitted().audience)).then(intended())
    act(ONE_PART, replace(INTEND, audience=a_digest("earlier"))).then_refused("job_revised", "job_id")


# --- unknown sends, resolved -----------------------------------------------------------------------------------------

GIVE_UP = GiveUpSend(DELIVERY, 0)


def resolve(finding: Finding, part: int | None = None) -> ResolveUnknown:
    return ResolveUnknown(DELIVERY, finding, part)


def resolved(outcome: Resolution, part: int = 0, *, final: bool = True) -> SendResolved:
    return SendResolved(JOB, part, 1, wa_id(DELIVERY, part), outcome, final)


GIVEN_UP = UNKNOWN.on(DELIVERY_STREAM, resolved(Resolution.GIVEN_UP))


@pytest.mark.parametrize(
    ("given", "finding", "part", "final", "expected"),
    [
        (UNKNOWN, Finding.SENT, 0, True, Status.SENT),
        (UNKNOWN, Finding.NOT_SENT, 0, True, Status.FAILED),
        (SECOND_UNKNOWN, Finding.SENT, 1, True, Status.SENT),
        (SECOND_UNKNOWN, Finding.NOT_SENT, 1, True, Status.PARTIAL),
        (GIVEN_UP, Finding.SENT, 0, True, Status.SENT),
        (GIVEN_UP, Finding.NOT_SENT, 0, True, Status.FAILED),
    ],
)
def test_a_person_says_what_became_of_it_once(
    given: Given, finding: Finding, part: int, final: bool, expected: Status
) -> None:
    after = act(given, resolve(finding)).then(resolved(Resolution(finding), part, final=final))
    assert status(after) is expected
    act(after, resolve(finding, part)).then_nothing()
    other = Finding.SENT if finding is Finding.NOT_SENT else Finding.NOT_SENT
    act(after, resolve(other)).then_refused("not_unknown", "delivery_id", status=expected)


def test_a_first_part_that_was_sent_after_all_is_followed_by_the_second() -> None:
    unknown = TWO_PARTS.on(DELIVERY_STREAM, intended(parts=2), UNCERTAIN)
    after = act(unknown, resolve(Finding.SENT)).then(resolved(Resolution.SENT, final=False))
    act(after, resolve(Finding.SENT, 0)).then_nothing()
    act(after, SECOND_PART).then(intended(1, parts=2))


@pytest.mark.parametrize("given", [INTENDED, SENT, FAILED, SKIPPED, BETWEEN, CUT_SHORT])
def test_there_is_nothing_to_resolve_where_nothing_is_unknown(given: Given) -> None:
    act(given, resolve(Finding.NOT_SENT)).then_refused("not_unknown", "delivery_id", status=status(given))
    act(given, resolve(Finding.SENT, 1)).then_refused("not_unknown", "delivery_id", status=status(given))


def test_a_delivery_that_was_never_begun_is_not_known() -> None:
    act(ONE_PART, resolve(Finding.SENT)).then_refused("unknown_delivery", "delivery_id")


def test_what_stays_unknown_is_given_up_once() -> None:
    after = act(UNKNOWN, GIVE_UP).then(resolved(Resolution.GIVEN_UP))
    assert status(after) is Status.GIVEN_UP
    act(after, GIVE_UP).then_nothing()
    for given in (SENT, BETWEEN, INTENDED, FAILED):
        act(given, GIVE_UP).then_nothing()
    act(UNKNOWN, replace(GIVE_UP, part=1)).then_nothing()


@pytest.mark.parametrize("outcome", [Resolution.GIVEN_UP, Resolution.NOT_SENT])
def test_a_late_receipt_corrects_what_was_held_for_lost(outcome: Resolution) -> None:
    given = UNKNOWN.on(DELIVERY_STREAM, resolved(outcome))
    after = act(given, receipt(Receipt.READ)).then(resolved(Resolution.SENT), DELIVERED, READ)
    assert status(after) is Status.SENT
    two = TWO_PARTS.on(DELIVERY_STREAM, intended(parts=2), UNCERTAIN, resolved(outcome))
    partial = act(two, receipt(Receipt.SENT)).then(resolved(Resolution.SENT))
    assert status(partial) is Status.PARTIAL  # it stays over: the job may be complete by now
    act(partial, receipt(Receipt.DELIVERED)).then(DeliveryDelivered(JOB, 0, False))
