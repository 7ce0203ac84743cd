"""The pure pieces: judging a session, the ledger, the faults, finding a browser."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sandbox.faults import FAULTS, Faults, UnknownFault
from adapters.sandbox.ledger import Ledger, read, recount
from adapters.sandbox.nouns import SENT, Hello, Stanza, lid_of, number_of
from adapters.sandbox.world import World
from adapters.whatsapp_web.browser import ChromiumMissing, find_chromium
from adapters.whatsapp_web.driver import WhatsAppWeb
from adapters.whatsapp_web.session import WhatsAppWebSession
from adapters.whatsapp_web.states import ack_of, judge
from domain.ports import Ack, Notice, SessionState, StateChanged
from tests.waiting import until

MAIN = {
    "mode": "MAIN", "idle": False, "authenticated": True, "registered": True, "online": True, "needsUpdate": False,
    "mainReady": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, SessionState.READY),
        ({"authenticated": False}, SessionState.SYNCING),
        ({"registered": False}, SessionState.SYNCING),
        ({"mainReady": False}, SessionState.SYNCING),
        ({"online": False}, SessionState.DEGRADED),
        ({"needsUpdate": True}, SessionState.DEGRADED),
        ({"mode": "SYNCING"}, SessionState.SYNCING),
        ({"mode": "OFFLINE"}, SessionState.DEGRADED),
        ({"mode": "CONFLICT"}, SessionState.CONFLICT),
        ({"mode": "TOS_BLOCK"}, SessionState.RESTRICTED),
        ({"mode": "SMB_TOS_BLOCK"}, SessionState.RESTRICTED),
        ({"mode": "PROXYBLOCK"}, SessionState.RESTRICTED),
        ({"mode": "DEPRECATED_VERSION"}, SessionState.DEGRADED),
        ({"mode": "A_NEW_ONE"}, SessionState.LOADING),
        ({"mode": "QR"}, SessionState.LOGGED_OUT),
    ],
)
def test_ready_needs_every_sign_at_once(changed: dict[str, Any], state: SessionState) -> None:
    assert judge(MAIN | changed, code=False, was_linked=True)[0] is state


def test_a_code_is_awaited_shown_and_runs_out() -> None:
    waiting = MAIN | {"mode": "QR", "authenticated": False}
    assert judge(None, code=False, was_linked=False) == (SessionState.LOADING, "page_loading")
    assert judge(waiting, code=False, was_linked=False) == (SessionState.LOADING, "waiting_for_code")
    assert judge(waiting, code=True, was_linked=False) == (SessionState.QR, "scan")
    assert judge(waiting | {"idle": True}, code=False, was_linked=False) == (SessionState.QR, "idle")


def test_acknowledgements_in_the_domains_words() -> None:
    said = [ack_of(number) for number in (-7, -1, 0, 1, 2, 3, 4, 5)]
    assert said == [Ack.FAILED, Ack.FAILED, Ack.PENDING, Ack.SENT, Ack.DELIVERED, Ack.READ, Ack.READ, Ack.READ]


async def test_a_server_that_was_killed_knows_what_it_took_before_it_answered(tmp_path: Path) -> None:
    said: list[Stanza] = []
    world = World(tmp_path)
    device = world.connect(Hello("d", "s", "k"), said.append)
    world.scan(f"{device.codes[0][0]},k", "+14165550105")
    world.send(device, "3EB0A", lid_of("+14165550106"), "Hello")
    world.close()
    again = World(tmp_path)
    again.connect(Hello("d", "s", "k", linked=True, unacked=("3EB0A", "3EB0B")), said.append)
    again.close()
    assert {"type": "acks", "acks": {"3EB0A": SENT, "3EB0B": 0}} in said


def test_a_ledger_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.write("+12025550100", "+12025550101", "A", "one")
    ledger.write("+12025550100", "+12025550101", "B", "two")
    ledger.close()
    path.write_bytes(path.read_bytes()[:-9])  # killed while writing the second
    assert recount(path).entries == 1

    ledger = Ledger(path)
    entry = ledger.write("+12025550100", "+12025550101", "B", "two")
    ledger.write("+12025550100", "+12025550101", "B", "two")
    ledger.close()
    assert entry.seq == 2
    assert [e.wa_id for e in read(path)] == ["A", "B", "B"]
    assert (recount(path).entries, recount(path).distinct, recount(path).duplicates) == (3, 2, 1)


def test_a_ledger_that_was_never_written_counts_nothing(tmp_path: Path) -> None:
    assert recount(tmp_path / "none.jsonl").entries == 0


def test_a_fault_strikes_its_number_as_often_as_told() -> None:
    faults = Faults()
    faults.arm("nack", "+12025550101", times=2)
    faults.arm("wire_doubled")
    assert not faults.strikes("nack", "+12025550102")
    assert [faults.strikes("nack", "+12025550101") for _ in range(3)] == [True, True, False]
    assert all(faults.strikes("wire_doubled", "+12025550102") for _ in range(3))
    with pytest.raises(UnknownFault):
        faults.arm("f99")
    assert "wire_doubled" in FAULTS


@given(st.integers(min_value=1_000_000, max_value=999_999_999_999_999))
def test_a_linked_id_stands_for_one_number(digits: int) -> None:
    assert number_of(lid_of(f"+{digits}")) == f"+{digits}"
    assert len(lid_of(f"+{digits}")) == 15


def test_a_configured_browser_is_taken_or_named_as_missing(tmp_path: Path) -> None:
    browser = tmp_path / "chromium"
    with pytest.raises(ChromiumMissing, match="chromium is not an executable file"):
        find_chromium(browser)
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    assert find_chromium(browser).origin == "configured"


async def test_a_mistake_of_who_looks_into_a_page_is_the_end_of_its_session(tmp_path: Path) -> None:
    class Strange:
        async def evaluate(self, *_asked: object) -> dict[str, int]:
            return {"unheard of": 1}

    session = WhatsAppWebSession(WhatsAppWeb(), tmp_path, None)
    changes: list[Notice] = []

    def mistaken(change: Notice) -> None:
        changes.append(change)
        if len(changes) == 1:
            raise LookupError

    session._notify = mistaken
    session._begin_watching(Strange())  # type: ignore[arg-type]  # it only evaluates
    await until(lambda: len(changes) == 2)
    assert changes[1] == StateChanged(SessionState.DEAD, "unwatched")
