"""When a job starts and how long it waits for that: instants, or a local time with the name of its zone."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NewType
from zoneinfo import ZoneInfo, available_timezones

from domain.message import Refused

ZoneName = NewType("ZoneName", str)  # of the IANA data base: Europe/Berlin, UTC

LONGEST_LEAD = timedelta(days=3_653)  # ten years: a time beyond is mistyped, or none that a database can hold
AFTER_START = timedelta(days=1)  # a scheduled job may start late by so much
AFTER_SUBMISSION = timedelta(days=30)  # another job waits for its approval so long
FIRST_YEAR, LAST_YEAR = 1, 9999


@dataclass(frozen=True, slots=True)
class LocalStart:
    """A time on the clocks of a zone, such as nine o'clock in Berlin on that day."""

    local: datetime
    zone: ZoneName


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job starts, as instants (and as the local time asked for), and when it waits no longer."""

    start_at: datetime | None
    start_local: datetime | None
    zone: ZoneName | None
    expires_at: datetime


def schedule(
    start_at: datetime | None,
    start: LocalStart | None,
    expires_at: datetime | None,
    now: datetime,
) -> Schedule:
    """Settle a schedule now, once: later changes of a zone's rules move no job.

    Without `expires_at` a job waits 24 hours beyond its start, and one without a start for 30 days.
    """
    if start is not None and start_at is not None:
        raise Refused("both_given", field="start")
    if start is not None:
        start_at = instant(start)
    field = "start_at" if start is None else "start.local"
    if start_at is not None:
        ahead(start_at, now, field)
    if expires_at is not None:
        check_expiry(expires_at, start_at, now)
    elif start_at is not None:
        expires_at = start_at + AFTER_START
    else:
        expires_at = now + AFTER_SUBMISSION
    local, zone = (start.local, start.zone) if start is not None else (None, None)
    return Schedule(start_at, local, zone, expires_at)


def reschedule(
    start_at: datetime | None,
    start: LocalStart | None,
    at_once: bool,
    expires_at: datetime | None,
    kept: Schedule | None,
    now: datetime,
) -> Schedule:
    """The schedule after a revision: as it was, unless it is replaced or, by `at_once`, given up."""
    if at_once and (start is not None or start_at is not None):
        raise Refused("both_given", field="at_once")
    if kept is None or at_once or start is not None or start_at is not None:
        made = schedule(start_at, start, expires_at, now)
        same = kept is not None and replace(made, expires_at=kept.expires_at) == kept
        return kept if kept is not None and same and expires_at is None else made
    if expires_at is None:
        return kept
    check_expiry(expires_at, kept.start_at, now)
    return replace(kept, expires_at=expires_at)


def check_expiry(expires_at: datetime, start_at: datetime | None, now: datetime) -> None:
    """A job expires in the future, after its start."""
    ahead(expires_at, now, "expires_at")
    if start_at is not None and expires_at <= start_at:
        raise Refused("before_the_start", field="expires_at")


def ahead(time: datetime, now: datetime, field: str) -> None:
    """A time lies in the future, ten years off at most, and names its offset."""
    if time.tzinfo is None:
        raise Refused("no_time_zone", field=field)
    if time <= now:
        raise Refused("in_the_past", field=field)
    if time - now > LONGEST_LEAD:
        raise Refused("too_far_ahead", field=field, days=LONGEST_LEAD.days)


def instant(start: LocalStart) -> datetime:
    """The instant of a local time, in UTC.

    A time that the clocks skip comes as much later as they skip; of a time that they show twice, the first counts.
    """
    if start.local.tzinfo is not None:
        raise Refused("not_a_local_time", field="start.local")
    if start.zone not in zones():
        raise Refused("unknown_time_zone", field="start.zone")
    if not FIRST_YEAR < start.local.year < LAST_YEAR:  # near the ends of time there may be no such instant
        raise Refused("out_of_range", field="start.local", minimum=FIRST_YEAR + 1, maximum=LAST_YEAR - 1)
    # fold=0 says both: of two the first, and in a gap the offset that was in force before it (PEP 495).
    return start.local.replace(fold=0, tzinfo=ZoneInfo(start.zone)).astimezone(UTC)


@cache
def zones() -> frozenset[str]:
    """The zones that have a place in their name, and UTC: what else there is may mean another time on each machine."""
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")
