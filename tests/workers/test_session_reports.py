"""Which session states are told to the account."""

from uuid import uuid4

import pytest

from domain.account import ReportLinked, ReportReady, ReportTrouble, Trouble
from domain.ports import SessionState, StateChanged
from workers.session_reports import report

ACCOUNT = uuid4()


@pytest.mark.parametrize(
    ("state", "reason", "linking", "expected"),
    [
        (SessionState.LAUNCHING, "starting", False, None),
        (SessionState.LOADING, "page_loading", False, None),
        (SessionState.QR, "scan", False, ReportTrouble(ACCOUNT, Trouble.LOGGED_OUT)),
        (SessionState.SYNCING, "syncing", True, ReportLinked(ACCOUNT)),
        (SessionState.SYNCING, "syncing", False, None),
        (SessionState.READY, "main", True, ReportReady(ACCOUNT)),
        (SessionState.DEGRADED, "offline", False, ReportTrouble(ACCOUNT, Trouble.STALLED)),
        (SessionState.RESTRICTED, "proxy_block", False, ReportTrouble(ACCOUNT, Trouble.CAPPED)),
        (SessionState.RESTRICTED, "tos_block", False, ReportTrouble(ACCOUNT, Trouble.BANNED)),
        (SessionState.CONFLICT, "used_elsewhere", False, ReportTrouble(ACCOUNT, Trouble.CONFLICT)),
        (SessionState.LOGGED_OUT, "unlinked", False, ReportTrouble(ACCOUNT, Trouble.LOGGED_OUT)),
        (SessionState.DEAD, "browser_gone", False, ReportTrouble(ACCOUNT, Trouble.CRASHED)),
    ],
)
def test_what_a_state_is_told_as(state: SessionState, reason: str, linking: bool, expected: object) -> None:
    assert report(ACCOUNT, StateChanged(state, reason), linking=linking) == expected


def test_no_state_is_forgotten() -> None:
    told = {SessionState.LAUNCHING, SessionState.LOADING, SessionState.SYNCING}
    for state in SessionState:
        assert (report(ACCOUNT, StateChanged(state, ""), linking=False) is None) == (state in told)
