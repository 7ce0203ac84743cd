"""The ledger of erasures: whatever was noted is read again, whoever was killed in between."""

import stat
from pathlib import Path
from uuid import UUID

import pytest

from adapters.erasure_ledger import Erased, ErasureLedger
from domain.message import WorkspaceId

ANA = Erased(UUID(int=1), WorkspaceId("here"), b"\x01" * 32)
BO = Erased(UUID(int=2), WorkspaceId("there"))


def test_what_is_noted_is_read_once_in_order_and_only_by_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "erasures.jsonl"
    ledger = ErasureLedger(file)
    assert ledger.read() == []
    ledger.note([ANA])
    ledger.note([BO, ANA])
    assert ErasureLedger(file).read() == [ANA, BO]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path, left: int) -> None:
    file = tmp_path / "erasures.jsonl"
    ledger = ErasureLedger(file)
    ledger.note([ANA])
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:left])
    ledger.note([BO])
    assert ledger.read() == [ANA, BO]


def test_the_files_of_two_hosts_are_one_put_together(tmp_path: Path) -> None:
    for name, one in (("a", ANA), ("b", BO)):
        ErasureLedger(tmp_path / name).note([one])
    both = tmp_path / "both"
    both.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    assert ErasureLedger(both).read() == [ANA, BO]
