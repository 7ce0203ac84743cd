"""An account: linked by a phone, ready or in trouble, paused by people, and sending in blocks of permits."""

from dataclasses import replace

import pytest

from domain.account import (
    AccountDegraded,
    AccountLinked,
    AccountLogOutAsked,
    AccountPaused,
    AccountReady,
    AccountRegistered,
    AccountRemoved,
    AccountRestricted,
    AccountResumed,
    AccountUnlinked,
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
from domain.allowance import AllowanceClosed, AllowanceDeferred, AllowanceGranted, GrantAllowance
from domain.message import Command, Event, derive
from domain.quota import LONGEST_ACT, Window
from domain.workspace import SendingPolicySet
from tests.builders import (
    CREATED,
    DAY,
    NORTH,
    NORTH_STREAM,
    NOW,
    OPERATOR,
    READY,
    RULES_STREAM,
    SECOND,
    SYSTEM,
    a_ref,
    granted,
)
from tests.given import Given

LABEL = a_ref("label")
UNREGISTERED = Given().on(RULES_STREAM, CREATED)
REGISTERED = UNREGISTERED.on(NORTH_STREAM, READY[0])
LINKED = UNREGISTERED.on(NORTH_STREAM, *READY[:2])
IS_READY = UNREGISTERED.on(NORTH_STREAM, *READY)
PAUSED = IS_READY.on(NORTH_STREAM, AccountPaused())


def test_an_account_is_registered_once() -> None:
    after = UNREGISTERED.when(RegisterAccount(NORTH, LABEL), by=OPERATOR).then(AccountRegistered(LABEL))
    after.when(RegisterAccount(NORTH, LABEL), by=OPERATOR).then_refused("id_taken", "account_id")


def test_there_are_no_accounts_without_a_workspace() -> None:
    Given().when(RegisterAccount(NORTH, LABEL), by=OPERATOR).then_refused("unknown_workspace", "workspace")


@pytest.mark.parametrize(
    "command",
    [
        PauseAccount(NORTH),
        ResumeAccount(NORTH),
        LogOutAccount(NORTH),
        RemoveAccount(NORTH),
        ReportLinked(NORTH),
        ReportReady(NORTH),
        ReportTrouble(NORTH, Trouble.CRASHED),
        GrantAllowance(NORTH),
    ],
)
def test_nothing_happens_to_an_account_that_nobody_registered(command: Command) -> None:
    UNREGISTERED.when(command, by=SYSTEM).then_refused("unknown_account", "account_id")


def test_it_is_linked_by_a_phone_and_then_ready() -> None:
    linked = REGISTERED.when(ReportLinked(NORTH), by=SYSTEM).then(AccountLinked())
    linked.when(ReportLinked(NORTH), by=SYSTEM).then_nothing()
    ready = linked.when(ReportReady(NORTH), by=SYSTEM).then(AccountReady())
    ready.when(ReportReady(NORTH), by=SYSTEM).then_nothing()
    assert ready.state(NORTH_STREAM).may_send


def test_whoever_is_ready_was_linked() -> None:
    after = REGISTERED.when(ReportReady(NORTH), by=SYSTEM).then(AccountLinked(), AccountReady())
    assert after.state(NORTH_STREAM).linked


@pytest.mark.parametrize("reason", [Trouble.CONFLICT, Trouble.CRASHED, Trouble.STALLED, Trouble.UNKNOWN])
def test_trouble_that_may_pass_degrades_a_ready_account_once(reason: Trouble) -> None:
    after = IS_READY.when(ReportTrouble(NORTH, reason), by=SYSTEM).then(AccountDegraded(reason))
    after.when(ReportTrouble(NORTH, reason), by=SYSTEM).then_nothing()
    assert not after.state(NORTH_STREAM).may_send
    assert after.when(ReportReady(NORTH), by=SYSTEM).then(AccountReady()).state(NORTH_STREAM).may_send
    LINKED.when(ReportTrouble(NORTH, reason), by=SYSTEM).then_nothing()


@pytest.mark.parametrize("reason", [Trouble.CAPPED, Trouble.BANNED])
def test_whatsapps_restrictions_are_a_hard_stop(reason: Trouble) -> None:
    after = IS_READY.when(ReportTrouble(NORTH, reason), by=SYSTEM).then(AccountRestricted(reason))
    after.when(ReportTrouble(NORTH, reason), by=SYSTEM).then_nothing()
    assert after.state(NORTH_STREAM).status is Status.RESTRICTED
    assert not after.state(NORTH_STREAM).may_send


def test_a_browser_that_comes_back_does_not_end_a_restriction_but_a_person_does() -> None:
    restricted = IS_READY.when(ReportTrouble(NORTH, Trouble.BANNED), by=SYSTEM).then(AccountRestricted(Trouble.BANNED))
    back = restricted.when(ReportReady(NORTH), by=SYSTEM).then(AccountReady())
    back.when(ReportReady(NORTH), by=SYSTEM).then_nothing()
    assert not back.state(NORTH_STREAM).may_send
    after = back.when(ResumeAccount(NORTH), by=OPERATOR).then(AccountResumed())
    assert after.state(NORTH_STREAM).may_send


def test_an_account_resumed_from_a_restriction_is_ready_only_if_its_session_said_so_since() -> None:
    restricted = IS_READY.on(NORTH_STREAM, AccountRestricted(Trouble.CAPPED))
    resumed = restricted.when(ResumeAccount(NORTH), by=OPERATOR).then(AccountResumed())
    assert resumed.state(NORTH_STREAM).status is Status.DEGRADED
    assert resumed.when(ReportReady(NORTH), by=SYSTEM).then(AccountReady()).state(NORTH_STREAM).may_send
    crashed = restricted.on(NORTH_STREAM, AccountReady())
    crashed = crashed.when(ReportTrouble(NORTH, Trouble.CRASHED), by=SYSTEM).then(AccountDegraded(Trouble.CRASHED))
    assert crashed.on(NORTH_STREAM, AccountResumed()).state(NORTH_STREAM).status is Status.DEGRADED


def test_what_whatsapp_restricts_again_after_it_was_ready_is_told_again() -> None:
    ready = IS_READY.on(NORTH_STREAM, AccountRestricted(Trouble.CAPPED), AccountReady())
    ready.when(ReportTrouble(NORTH, Trouble.BANNED), by=SYSTEM).then(AccountRestricted(Trouble.BANNED))


def test_an_account_is_logged_out_when_somebody_wants_it_and_sends_nothing_from_then_on() -> None:
    leaving = IS_READY.when(LogOutAccount(NORTH), by=OPERATOR).then(AccountLogOutAsked())
    assert leaving.state(NORTH_STREAM).status is Status.LOGGING_OUT
    assert not leaving.state(NORTH_STREAM).may_send
    leaving.when(LogOutAccount(NORTH), by=OPERATOR).then_nothing()
    leaving.when(ReportReady(NORTH), by=SYSTEM).then_nothing()
    command = ReportTrouble(NORTH, Trouble.LOGGED_OUT)
    out = leaving.when(command, by=SYSTEM).then(AccountUnlinked(Trouble.LOGGED_OUT))
    assert out.state(NORTH_STREAM).status is Status.LOGGED_OUT
    out.when(LogOutAccount(NORTH), by=OPERATOR).then_nothing()
    again = out.when(ReportReady(NORTH), by=SYSTEM).then(AccountLinked(), AccountReady())
    assert again.state(NORTH_STREAM).may_send


def test_an_account_that_was_logged_out_can_be_linked_again() -> None:
    command = ReportTrouble(NORTH, Trouble.LOGGED_OUT)
    after = IS_READY.when(command, by=SYSTEM).then(AccountUnlinked(Trouble.LOGGED_OUT))
    after.when(command, by=SYSTEM).then_nothing()
    assert not after.state(NORTH_STREAM).linked
    again = after.when(ReportReady(NORTH), by=SYSTEM).then(AccountLinked(), AccountReady())
    assert again.state(NORTH_STREAM).may_send
    REGISTERED.when(command, by=SYSTEM).then_nothing()


def test_a_person_pauses_and_resumes_it_whatever_the_session_does() -> None:
    paused = IS_READY.when(PauseAccount(NORTH), by=OPERATOR).then(AccountPaused())
    paused.when(PauseAccount(NORTH), by=OPERATOR).then_nothing()
    degraded = paused.on(NORTH_STREAM, AccountDegraded(Trouble.CRASHED), AccountReady())
    assert not degraded.state(NORTH_STREAM).may_send
    resumed = degraded.when(ResumeAccount(NORTH), by=OPERATOR).then(AccountResumed())
    resumed.when(ResumeAccount(NORTH), by=OPERATOR).then_nothing()
    assert resumed.state(NORTH_STREAM).may_send


def test_a_restriction_stands_through_all_that_a_session_does_until_a_person_ends_it() -> None:
    restricted = IS_READY.on(NORTH_STREAM, AccountRestricted(Trouble.CAPPED))
    unlinked = restricted.when(ReportTrouble(NORTH, Trouble.LOGGED_OUT), by=SYSTEM).then(
        AccountUnlinked(Trouble.LOGGED_OUT)
    )
    ready = unlinked.when(ReportReady(NORTH), by=SYSTEM).then(AccountLinked(), AccountReady())
    for given in (restricted, unlinked, ready):
        assert given.state(NORTH_STREAM).status is Status.RESTRICTED
        assert not given.state(NORTH_STREAM).may_send
    assert ready.when(ResumeAccount(NORTH), by=OPERATOR).then(AccountResumed()).state(NORTH_STREAM).may_send
    assert not unlinked.when(ResumeAccount(NORTH), by=OPERATOR).then(AccountResumed()).state(NORTH_STREAM).may_send


@pytest.mark.parametrize(
    "given", [REGISTERED, LINKED, PAUSED, IS_READY.on(NORTH_STREAM, AccountRestricted(Trouble.BANNED))]
)
def test_an_account_that_cannot_send_is_removed_for_good(given: Given) -> None:
    removed = given.when(RemoveAccount(NORTH), by=OPERATOR).then(AccountRemoved())
    assert removed.state(NORTH_STREAM).status is Status.REMOVED
    for told in (RemoveAccount(NORTH), ReportReady(NORTH), ReportLinked(NORTH), ReportTrouble(NORTH, Trouble.CRASHED)):
        removed.when(told, by=SYSTEM).then_nothing()
    for refused in (PauseAccount(NORTH), ResumeAccount(NORTH), LogOutAccount(NORTH), GrantAllowance(NORTH)):
        removed.when(refused, by=SYSTEM).then_refused("account_removed", "account_id")
    removed.when(RegisterAccount(NORTH, LABEL), by=OPERATOR).then_refused("id_taken", "account_id")


def test_an_account_that_can_send_is_not_removed() -> None:
    IS_READY.when(RemoveAccount(NORTH), by=OPERATOR).then_refused("account_in_use", "account_id")


# --- permits ---------------------------------------------------------------------------------------------------------


def test_a_ready_account_gets_a_block_as_the_workspaces_policy_says() -> None:
    block = derive("allowance", NORTH, 1)
    for messages, seconds, permits, lasts in (
        (1, 30, 1, 30 * SECOND),
        (20, 60, 3, 9 * SECOND),  # a few at human pace
        (120, 60, 3, 1.5 * SECOND),
        (1000, 1, 1000, SECOND),  # a second's worth
        (1000, 60, 16, 0.96 * SECOND),
        (2, 86_400, 2, DAY),
    ):
        given = IS_READY.on(RULES_STREAM, SendingPolicySet(messages, seconds))
        given.when(GrantAllowance(NORTH), by=SYSTEM).then(AllowanceGranted(block, permits, NOW, NOW + lasts))


def test_the_next_block_comes_when_the_last_one_is_over_and_has_another_id() -> None:
    first = IS_READY.when(GrantAllowance(NORTH), by=SYSTEM).then(granted())
    for early in (NOW, NOW + 29 * SECOND):
        first.when(GrantAllowance(NORTH), by=SYSTEM, at=early).then_refused("allowance_running", "account_id")
    later = NOW + 30 * SECOND
    second = first.when(GrantAllowance(NORTH), by=SYSTEM, at=later).then(granted(later, block=2))
    assert second.state(NORTH_STREAM).allowance.block == derive("allowance", NORTH, 2)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), Status.READY),
        ((AccountDegraded(Trouble.CRASHED),), Status.DEGRADED),
        ((AccountRestricted(Trouble.CAPPED),), Status.RESTRICTED),
        ((AccountUnlinked(Trouble.LOGGED_OUT),), Status.LOGGED_OUT),
    ],
)
def test_an_account_that_may_not_send_gets_no_block(events: tuple[Event, ...], status: Status) -> None:
    given = PAUSED.on(NORTH_STREAM, *events)
    given.when(GrantAllowance(NORTH), by=SYSTEM).then_refused("account_not_ready", "account_id", status=status)


def test_what_a_block_has_left_is_given_back_with_the_next_grant() -> None:
    rules = IS_READY.on(RULES_STREAM, SendingPolicySet(3, 3, per_minute=4))
    first = rules.when(GrantAllowance(NORTH), by=SYSTEM).then(granted(permits=3, seconds=3))
    later = NOW + 3 * SECOND
    second = granted(later, permits=3, seconds=3, block=2)
    first.when(GrantAllowance(NORTH, left=2), by=SYSTEM, at=later).then(AllowanceClosed(granted().block, 1), second)
    first.when(GrantAllowance(NORTH, left=4), by=SYSTEM, at=later).then_refused(
        "out_of_range", "left", minimum=0, maximum=3
    )


def test_an_account_that_has_used_up_a_cap_waits_and_says_so_once() -> None:
    rules = IS_READY.on(RULES_STREAM, SendingPolicySet(3, 3, per_minute=3))
    first = rules.when(GrantAllowance(NORTH), by=SYSTEM).then(granted(permits=3, seconds=3))
    later, free_at = NOW + 3 * SECOND, NOW + (3 + 90 + 60) * SECOND
    waits = first.when(GrantAllowance(NORTH), by=SYSTEM, at=later)
    deferred = waits.then(AllowanceDeferred(free_at, Window.MINUTE))
    deferred.when(GrantAllowance(NORTH), by=SYSTEM, at=later + SECOND).then_nothing()
    again = granted(free_at, permits=3, seconds=3, block=2)
    deferred.when(GrantAllowance(NORTH), by=SYSTEM, at=free_at).then(again)
    raised = deferred.on(RULES_STREAM, SendingPolicySet(3, 3, per_minute=5))  # a changed policy acts at once
    sooner = granted(later + SECOND, permits=2, seconds=2, block=2)
    raised.when(GrantAllowance(NORTH), by=SYSTEM, at=later + SECOND).then(sooner)


def test_a_faster_policy_does_not_wait_for_a_slow_block() -> None:
    slow = IS_READY.on(RULES_STREAM, SendingPolicySet(1, 86_400)).when(GrantAllowance(NORTH), by=SYSTEM).after
    faster = slow.on(RULES_STREAM, SendingPolicySet(1, 10))
    faster.when(GrantAllowance(NORTH), by=SYSTEM, at=NOW + 9 * SECOND).then_refused("allowance_running", "account_id")
    at = NOW + 10 * SECOND
    faster.when(GrantAllowance(NORTH), by=SYSTEM, at=at).then(granted(at, seconds=10, block=2))


def test_a_clock_that_was_put_back_makes_no_room() -> None:
    first = IS_READY.when(GrantAllowance(NORTH), by=SYSTEM).then(granted())
    first.when(GrantAllowance(NORTH), by=SYSTEM, at=NOW - DAY).then_refused("allowance_running", "account_id")
    given_back = first.on(NORTH_STREAM, AllowanceClosed(granted().block, 0))
    given_back.when(GrantAllowance(NORTH), by=SYSTEM, at=NOW - DAY).then_refused("allowance_running", "account_id")


def test_a_clock_that_is_known_to_have_been_put_back_lets_the_next_block_come() -> None:
    back = NOW - DAY
    first = IS_READY.when(GrantAllowance(NORTH), by=SYSTEM).then(granted())
    told = replace(granted(back, block=2), jumped=back)
    second = first.when(GrantAllowance(NORTH), by=SYSTEM, at=back, jumped=back).then(told)
    later = back + 30 * SECOND  # the jump is known by now
    second.when(GrantAllowance(NORTH), by=SYSTEM, at=later, jumped=back).then(granted(later, block=3))


def test_what_was_granted_before_the_clock_jumped_ahead_counts_for_its_whole_window_from_the_jump_on() -> None:
    rules = IS_READY.on(RULES_STREAM, SendingPolicySet(1, 30, per_day=1))
    first = rules.when(GrantAllowance(NORTH), by=SYSTEM).then(granted())
    ahead = NOW + 2 * DAY
    waits = first.when(GrantAllowance(NORTH), by=SYSTEM, at=ahead + SECOND, jumped=ahead)
    free_at = ahead + DAY + LONGEST_ACT
    waits.then(AllowanceDeferred(free_at, Window.DAY))
    again = waits.after.when(GrantAllowance(NORTH), by=SYSTEM, at=free_at, jumped=ahead)
    again.then(replace(granted(free_at, block=2), jumped=ahead))


def test_nothing_is_granted_until_a_clock_that_jumped_is_believed() -> None:
    IS_READY.when(GrantAllowance(NORTH), by=SYSTEM, settled=False).then_refused("clock_jumped", "now")


def test_without_a_workspace_there_are_no_permits() -> None:
    outcome = Given().on(NORTH_STREAM, *READY).when(GrantAllowance(NORTH), by=SYSTEM)
    outcome.then_refused("unknown_workspace", "workspace")
