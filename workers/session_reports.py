"""Which of a session's states are news to the account, and as what."""

import asyncio
from uuid import UUID

from domain.account import ReportLinked, ReportReady, ReportTrouble, Trouble
from domain.ports import SessionState, StateChanged

Report = ReportLinked | ReportReady | ReportTrouble

TROUBLES = {
    SessionState.QR: Trouble.LOGGED_OUT,  # a profile that shows a QR code is linked to no phone
    SessionState.LOGGED_OUT: Trouble.LOGGED_OUT,
    SessionState.DEGRADED: Trouble.STALLED,
    SessionState.CONFLICT: Trouble.CONFLICT,
    SessionState.RESTRICTED: Trouble.CAPPED,
    SessionState.DEAD: Trouble.CRASHED,
}
STALLED_AFTER = 20.0  # seconds in a state that should pass by itself
PASSING = (SessionState.LAUNCHING, SessionState.LOADING, SessionState.SYNCING)
BANS = frozenset({"tos_block", "smb_tos_block", "banned"})


async def next_change(changes: asyncio.Queue[StateChanged], now: SessionState) -> StateChanged | None:
    """The next state; None when the present one should pass by itself, and does not."""
    try:
        async with asyncio.timeout(STALLED_AFTER if now in PASSING else None):
            return await changes.get()
    except TimeoutError:
        return None


def report(account: UUID, changed: StateChanged, *, linking: bool) -> Report | None:
    """The decision to make, if any: loading and syncing are chatter. `linking`: it showed a QR code just before."""
    if changed.state is SessionState.READY:
        return ReportReady(account)
    if changed.state is SessionState.SYNCING and linking:
        return ReportLinked(account)
    if changed.state is SessionState.RESTRICTED and changed.reason in BANS:
        return ReportTrouble(account, Trouble.BANNED)
    trouble = TROUBLES.get(changed.state)
    return ReportTrouble(account, trouble) if trouble else None
