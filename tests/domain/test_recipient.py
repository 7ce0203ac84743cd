"""A recipient's consent, and the opt-out that an old list cannot undo."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from domain.message import Command
from domain.ports import Arrived
from domain.recipient import (
    EARLIEST,
    ConsentRecorded,
    ConsentSource,
    EraseRecipient,
    MessageReceived,
    OptOut,
    OptOutSource,
    ReceiveMessage,
    Recipient,
    RecipientErased,
    RecipientOptedOut,
    RecordConsent,
)
from tests.builders import (
    ADMIN,
    ANA,
    ANA_STREAM,
    CONSENTED,
    CREATED,
    DAY,
    NORTH,
    NOW,
    RULES_STREAM,
    SECOND,
    SYSTEM,
    a_ref,
    an_id,
)
from tests.given import Given

UNHEARD_OF = Given(held=True).on(RULES_STREAM, CREATED)
AGREED = UNHEARD_OF.on(ANA_STREAM, CONSENTED)
OPTED_OUT = AGREED.on(ANA_STREAM, RecipientOptedOut(NOW - 2 * SECOND))
CONSENT = RecordConsent(ANA, ConsentSource.WEB_FORM, NOW - SECOND, a_ref("proof"))


def test_a_consent_is_recorded_with_its_source_time_and_proof() -> None:
    after = UNHEARD_OF.when(CONSENT).then(ConsentRecorded(ConsentSource.WEB_FORM, NOW - SECOND, a_ref("proof")))
    assert after.state(ANA_STREAM).consented
    after.when(CONSENT).then_nothing()


def test_a_second_consent_adds_nothing() -> None:
    AGREED.when(CONSENT).then_nothing()


def test_a_consent_may_be_given_this_very_moment_and_not_later() -> None:
    now = replace(CONSENT, given_at=NOW)
    UNHEARD_OF.when(now).then(ConsentRecorded(now.source, NOW, now.proof))
    UNHEARD_OF.when(replace(CONSENT, given_at=NOW + SECOND)).then_refused("in_the_future", "given_at")


@pytest.mark.parametrize("offset", [-14, 0, 14])
def test_a_consent_from_before_1970_is_a_mistyped_one(offset: int) -> None:
    zone = timezone(timedelta(hours=offset))
    for old in (datetime(1, 1, 1, tzinfo=zone), EARLIEST - SECOND):
        UNHEARD_OF.when(replace(CONSENT, given_at=old)).then_refused("too_long_ago", "given_at")
    UNHEARD_OF.when(replace(CONSENT, given_at=EARLIEST)).then(ConsentRecorded(CONSENT.source, EARLIEST, CONSENT.proof))


def test_a_time_needs_its_offset() -> None:
    naive = replace(CONSENT, given_at=NOW.replace(tzinfo=None))
    UNHEARD_OF.when(naive).then_refused("no_time_zone", "given_at")


@pytest.mark.parametrize("given", [UNHEARD_OF, AGREED])
def test_whoever_opts_out_is_not_written_to(given: Given) -> None:
    after = given.when(OptOut(ANA)).then(RecipientOptedOut(NOW))
    assert (after.state(ANA_STREAM).consented, after.state(ANA_STREAM).opted_out) == (False, True)
    after.when(OptOut(ANA), at=NOW + DAY).then_nothing()


def test_only_a_newer_consent_that_no_list_claims_ends_an_opt_out() -> None:
    after = OPTED_OUT.when(CONSENT).then(ConsentRecorded(CONSENT.source, CONSENT.given_at, CONSENT.proof))
    assert (after.state(ANA_STREAM).consented, after.state(ANA_STREAM).opted_out) == (True, False)
    after.when(OptOut(ANA), at=NOW + DAY).then(RecipientOptedOut(NOW + DAY))


@pytest.mark.parametrize("earlier", [timedelta(), SECOND, 365 * DAY])
def test_a_consent_given_before_an_opt_out_does_not_end_it(earlier: timedelta) -> None:
    old = replace(CONSENT, given_at=NOW - 2 * SECOND - earlier)
    OPTED_OUT.when(old).then_refused("opted_out", "recipient_id")


def test_an_imported_consent_never_ends_an_opt_out() -> None:
    imported = replace(CONSENT, source=ConsentSource.IMPORT)
    OPTED_OUT.when(imported).then_refused("opted_out", "recipient_id")


@pytest.mark.parametrize("given", [UNHEARD_OF, AGREED, OPTED_OUT])
def test_whoever_the_vault_holds_can_be_erased_once(given: Given) -> None:
    after = given.vault(held=True).when(EraseRecipient(ANA), ADMIN).then(RecipientErased(NOW))
    assert after.state(ANA_STREAM) == Recipient(erased=True)
    after.vault(held=False).when(EraseRecipient(ANA), ADMIN, at=NOW + DAY).then_nothing()


def test_no_consent_brings_an_erased_person_back() -> None:
    given = AGREED.on(ANA_STREAM, RecipientErased(NOW - SECOND))
    given.when(replace(CONSENT, given_at=NOW)).then_refused("erased", "recipient_id")
    given.when(OptOut(ANA)).then_nothing()


@pytest.mark.parametrize("command", [CONSENT, OptOut(ANA), EraseRecipient(ANA)])
def test_there_are_no_recipients_without_a_workspace(command: Command) -> None:
    Given().when(command).then_refused("unknown_workspace", "workspace")


WROTE = ReceiveMessage(ANA, NORTH, an_id("message"), Arrived.TEXT, NOW - SECOND, None, opts_out=False)
RECEIVED = MessageReceived(NORTH, an_id("message"), Arrived.TEXT, NOW - SECOND, None)


@pytest.mark.parametrize("command", [CONSENT, OptOut(ANA), EraseRecipient(ANA), WROTE])
def test_nothing_is_decided_of_somebody_whom_the_workspace_does_not_know(command: Command) -> None:
    UNHEARD_OF.vault().when(command, SYSTEM).then_refused("unknown_recipient", "recipient_id")


def test_a_message_of_anybody_is_received_and_changes_no_consent() -> None:
    for given in (UNHEARD_OF, AGREED, OPTED_OUT):
        before = given.state(ANA_STREAM)
        assert given.when(WROTE, by=SYSTEM).then(RECEIVED).state(ANA_STREAM) == before


def test_who_writes_that_they_want_no_more_has_opted_out() -> None:
    stop = replace(WROTE, opts_out=True)
    for given in (UNHEARD_OF, AGREED):
        after = given.when(stop, by=SYSTEM).then(RECEIVED, RecipientOptedOut(NOW, OptOutSource.MESSAGE))
        assert after.state(ANA_STREAM).opted_out
        assert not after.state(ANA_STREAM).consented
    OPTED_OUT.when(stop, by=SYSTEM).then(RECEIVED)


def test_of_whoever_was_erased_nothing_is_received() -> None:
    erased = AGREED.on(ANA_STREAM, RecipientErased(NOW))
    erased.when(replace(WROTE, opts_out=True), by=SYSTEM).then_nothing()
