"""When a job starts: an instant, or a local time with its zone; and when it waits no longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.message import Refused
from domain.schedule import AFTER_SUBMISSION, LONGEST_LEAD, LocalStart, Schedule, ZoneName, instant, schedule, zones
from domain.submission import SubmitJob
from tests.builders import (
    CAMPAIGN,
    CAMPAIGN_CREATED,
    CAMPAIGN_STREAM,
    CREATED,
    DAY,
    FROZEN,
    JOB,
    NORTH,
    NORTH_STREAM,
    NOW,
    READY,
    RULES_STREAM,
    SECOND,
    submitted,
)
from tests.given import Given

BERLIN = ZoneName("Europe/Berlin")
SUBMIT = SubmitJob(JOB, CAMPAIGN, (NORTH,))
IN_SHAPE = Given(frozen=FROZEN).on(RULES_STREAM, CREATED).on(CAMPAIGN_STREAM, CAMPAIGN_CREATED).on(NORTH_STREAM, *READY)


def on_clocks(text: str, zone: str = "Europe/Berlin") -> LocalStart:
    return LocalStart(datetime.fromisoformat(text), ZoneName(zone))


@pytest.mark.parametrize(
    ("local", "zone", "expected"),
    [
        ("2026-12-01T09:00", "Europe/Berlin", "2026-12-01T08:00Z"),
        ("2027-07-01T09:00", "Europe/Berlin", "2027-07-01T07:00Z"),
        ("2026-12-01T09:00", "Asia/Kathmandu", "2026-12-01T03:15Z"),
        ("2026-12-01T09:00", "UTC", "2026-12-01T09:00Z"),
        # the clocks skip from 2:00 to 3:00: an hour later
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:30Z"),
        ("2027-03-28T01:59:59", "Europe/Berlin", "2027-03-28T00:59:59Z"),
        ("2027-03-28T03:00", "Europe/Berlin", "2027-03-28T01:00Z"),
        # they show 2:00 to 3:00 twice: the first time
        ("2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30Z"),
        ("2027-10-31T03:00", "Europe/Berlin", "2027-10-31T02:00Z"),
        # half an hour's gap
        ("2027-10-03T02:15", "Australia/Lord_Howe", "2027-10-02T15:45Z"),
    ],
)
def test_a_local_time_is_an_instant_also_where_the_clocks_skip_or_repeat(local: str, zone: str, expected: str) -> None:
    assert instant(on_clocks(local, zone)) == datetime.fromisoformat(expected)
    assert instant(on_clocks(local, zone)).tzinfo is UTC


def test_a_time_that_the_clocks_skip_reads_later_by_as_much_on_them() -> None:
    skipped = on_clocks("2027-03-28T02:30")
    shown = instant(skipped).astimezone(timezone(timedelta(hours=2))).replace(tzinfo=None)
    assert shown - skipped.local == timedelta(hours=1)


def test_a_repeated_hour_is_the_first_one_whatever_the_fold_says() -> None:
    first = on_clocks("2027-10-31T02:30")
    assert instant(replace(first, local=first.local.replace(fold=1))) == instant(first)


@pytest.mark.parametrize("zone", ["Berlin", "europe/berlin", "localtime", "EST", "", "../etc/passwd", "Mars/Olympus"])
def test_a_zone_is_one_of_the_data_base(zone: str) -> None:
    start = LocalStart(datetime(2026, 12, 1, 9), ZoneName(zone))  # noqa: DTZ001  # a local time
    IN_SHAPE.when(replace(SUBMIT, start=start)).then_refused("unknown_time_zone", "start.zone")


def test_the_data_base_is_there() -> None:
    assert len(zones()) > 300
    assert {"UTC", "Europe/Berlin", "America/Argentina/Ushuaia"} <= zones()


def test_a_local_time_has_no_offset() -> None:
    start = LocalStart(NOW + DAY, BERLIN)
    IN_SHAPE.when(replace(SUBMIT, start=start)).then_refused("not_a_local_time", "start.local")


@pytest.mark.parametrize("local", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_local_time_near_the_ends_of_time_is_refused(local: str) -> None:
    refused = IN_SHAPE.when(replace(SUBMIT, start=on_clocks(local)))
    refused.then_refused("out_of_range", "start.local", minimum=2, maximum=9998)


def test_a_local_start_is_frozen_with_its_instant_and_zone() -> None:
    start = on_clocks("2026-12-01T09:00")
    at = datetime(2026, 12, 1, 8, tzinfo=UTC)
    IN_SHAPE.when(replace(SUBMIT, start=start)).then(submitted(start_at=at, start=start))


def test_the_same_instant_said_otherwise_is_another_thing_to_approve() -> None:
    start, at = on_clocks("2026-12-01T09:00"), datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert submitted(start_at=at, start=start).review_hash != submitted(start_at=at).review_hash


def test_a_start_is_said_once() -> None:
    both = replace(SUBMIT, start_at=NOW + DAY, start=on_clocks("2026-12-01T09:00"))
    IN_SHAPE.when(both).then_refused("both_given", "start")


def test_a_local_start_lies_ahead() -> None:
    for local in ("2026-11-21T13:00", "2026-11-20T13:00"):  # NOW is 13:00 in Berlin
        IN_SHAPE.when(replace(SUBMIT, start=on_clocks(local))).then_refused("in_the_past", "start.local")
    IN_SHAPE.when(replace(SUBMIT, start=on_clocks("2036-11-23T13:00"))).then_refused(
        "too_far_ahead", "start.local", days=3_653
    )


# --- how long it waits -----------------------------------------------------------------------------------------------


def test_a_job_waits_a_day_beyond_its_start_or_thirty_days() -> None:
    assert schedule(NOW + DAY, None, None, NOW) == Schedule(NOW + DAY, None, None, NOW + 2 * DAY)
    assert schedule(None, None, None, NOW) == Schedule(None, None, None, NOW + AFTER_SUBMISSION)


def test_or_until_what_was_asked_for_which_is_reviewed_too() -> None:
    until = NOW + 3 * DAY
    IN_SHAPE.when(replace(SUBMIT, expires_at=until)).then(submitted(expires_at=until))
    assert submitted(expires_at=until).review_hash != submitted().review_hash


@pytest.mark.parametrize(
    ("start_at", "expires_at", "rule"),
    [
        (None, NOW, "in_the_past"),
        (None, (NOW + DAY).replace(tzinfo=None), "no_time_zone"),
        (None, NOW + LONGEST_LEAD + SECOND, "too_far_ahead"),
        (NOW + DAY, NOW + DAY, "before_the_start"),
        (NOW + DAY, NOW + SECOND, "before_the_start"),
    ],
)
def test_an_expiry_lies_ahead_behind_the_start(start_at: datetime | None, expires_at: datetime, rule: str) -> None:
    with pytest.raises(Refused) as refused:
        schedule(start_at, None, expires_at, NOW)
    assert (refused.value.rule, refused.value.field) == (rule, "expires_at")
