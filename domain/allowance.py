"""Allowances: an account sends in blocks of permits, at its workspace's pace and within its caps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain import quota
from domain.message import Command, Event, Refused, derive
from domain.quota import NOTHING, Used, Window
from domain.steady import TOLERANCE
from domain.workspace import Workspace, within


@dataclass(frozen=True, slots=True)
class GrantAllowance(Command):
    """Inside: the account has work and no live block; give it the next one. `left` of the last one were not spent."""

    account_id: UUID
    left: int = 0


@dataclass(frozen=True, slots=True)
class AllowanceGranted(Event):
    """A block of permits: `permits` sends, each begun in [since, until)."""

    block: UUID
    permits: int
    since: datetime
    until: datetime
    jumped: datetime | None = None  # when the host's clock jumped, if it did since the block before


@dataclass(frozen=True, slots=True)
class AllowanceClosed(Event):
    """A block is over; only `spent` of its permits were spent, the rest counts no more."""

    block: UUID
    spent: int


@dataclass(frozen=True, slots=True)
class AllowanceDeferred(Event):
    """There is no allowance before `until`: until then a cap of the sending policy is reached."""

    until: datetime
    window: Window


@dataclass(frozen=True, slots=True)
class Allowance:
    """An account's last block, how long it must wait, and what its past blocks have used up."""

    block: UUID | None = None  # None: closed, or none yet
    blocks: int = 0
    permits: int = 0
    since: datetime | None = None
    until: datetime | None = None
    deferred_until: datetime | None = None
    deferred_by: Window | None = None
    used: Used = NOTHING
    jumped: datetime | None = None  # the last jump of the clock that `used` knows of


NO_ALLOWANCE = Allowance()


def grant(
    allowance: Allowance, command: GrantAllowance, rules: Workspace, now: datetime, jumped: datetime | None = None
) -> Sequence[Event]:
    """The next block, never while the last one runs; what is left of that one is given back in the same breath.

    `jumped` is when the clock last did: what was granted before counts anew from then on.
    """
    within(command.left, 0, allowance.permits, "left")
    if runs(allowance, rules, now, jumped):
        raise Refused("allowance_running", field="account_id")
    closed: list[Event] = []
    if allowance.block and command.left:
        closed.append(AllowanceClosed(allowance.block, allowance.permits - command.left))
        allowance = evolve(allowance, closed[0])
    room = quota.room(quota.recounted(allowance.used, jumped, now), rules.caps, now)
    if room.until is not None and room.window is not None:
        if (allowance.deferred_until, allowance.deferred_by) == (room.until, room.window):
            return closed  # it was told
        return [*closed, AllowanceDeferred(room.until, room.window)]
    permits = min(room.permits, quota.block_size(rules.messages, rules.seconds))
    block = derive("allowance", command.account_id, allowance.blocks + 1)
    until = now + quota.lasts(permits, rules.messages, rules.seconds)
    return [*closed, AllowanceGranted(block, permits, now, until, jumped if jumped != allowance.jumped else None)]


def wait(
    allowance: Allowance, rules: Workspace, left: int, now: datetime, jumped: datetime | None = None
) -> timedelta | None:
    """How long a grant would come to nothing new; None when one is due."""
    if runs(allowance, rules, now, jumped):
        return ends(allowance, rules) - now
    if allowance.deferred_until is None or left or now >= allowance.deferred_until:
        return None
    room = quota.room(quota.recounted(allowance.used, jumped, now), rules.caps, now)
    told = (room.until, room.window) == (allowance.deferred_until, allowance.deferred_by)
    return allowance.deferred_until - now if told else None


def runs(allowance: Allowance, rules: Workspace, now: datetime, jumped: datetime | None = None) -> bool:
    """Whether the last block is not over: so it is at every time before it began, unless the clock was put back."""
    if allowance.since is None or (jumped is not None and ahead(allowance, now)):
        return False
    return now < ends(allowance, rules)


def ahead(allowance: Allowance, now: datetime) -> bool:
    """Whether the last block is from the future: the clock was ahead when it was granted, or is behind now."""
    return allowance.since is not None and allowance.since > now + TOLERANCE


def ends(allowance: Allowance, rules: Workspace) -> datetime:
    """When the last block is over: as it was granted, or sooner at a pace that has become faster."""
    assert allowance.since is not None
    assert allowance.until is not None
    return min(allowance.until, allowance.since + quota.lasts(allowance.permits, rules.messages, rules.seconds))


def evolve(allowance: Allowance, event: Event) -> Allowance:
    match event:
        case AllowanceGranted(block=block, permits=permits, since=since, until=until, jumped=jumped):
            used = quota.granted(quota.recounted(allowance.used, jumped, since), permits, since, until)
            jumped = jumped or allowance.jumped
            return Allowance(block, allowance.blocks + 1, permits, since, until, used=used, jumped=jumped)
        case AllowanceClosed(spent=spent):
            used = quota.given_back(allowance.used, max(allowance.permits - spent, 0))
            return replace(allowance, block=None, permits=0, used=used)
        case AllowanceDeferred(until=until, window=window):
            return replace(allowance, deferred_until=until, deferred_by=window)
    return allowance
