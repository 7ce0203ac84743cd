"""The report of a job: sums that hold, and each way in which they may not."""

from collections import Counter
from pathlib import Path

import pytest

from domain.delivery import Status
from infra.report import Report


def counted(**other: object) -> Report:
    """A report that is in order, but for what is given."""
    fields = {
        "rows": 10,
        "bad": 1,
        "merged": 1,
        "recipients": 8,
        "outcomes": Counter({Status.SENT: 5, Status.FAILED: 1, Status.SKIPPED: 2}),
        "skipped": Counter({"no_consent": 2}),
        "stopped": 0,
        "parts": 5,
        "wire": 5,
        "duplicates": 0,
        "lost": 0,
        "seconds": 1.0,
        "ledger": Path("ledger.jsonl"),
    }
    return Report(**{**fields, **other})  # type: ignore[arg-type]  # one dict for fields of several types


def test_a_report_in_order_has_nothing_wrong() -> None:
    assert counted().wrong() == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"rows": 11}, "rows 11 = bad 1 + merged 1 + recipients 8"),
        ({"skipped": Counter({"no_consent": 1})}, "recipients 8 = states 7 + lost 0"),
        ({"wire": 4}, "wire 4 = parts 5"),
        ({"duplicates": 1}, "duplicates 1 = 0"),
        ({"lost": 1, "skipped": Counter({"no_consent": 1})}, "lost 1 = 0"),
        ({"outcomes": Counter({Status.SENT: 5, Status.UNKNOWN: 1})}, "unknown 1 = 0"),
    ],
)
def test_what_does_not_hold_is_said(other: dict[str, object], said: str) -> None:
    assert counted(**other).wrong() == [f"does not hold: {said}"]


@pytest.mark.parametrize(("wire", "fine"), [(4, False), (5, True), (6, True), (7, False)])
def test_a_message_of_whom_nobody_knows_may_be_on_the_wire_or_not(wire: int, fine: bool) -> None:
    told = counted(outcomes=Counter({Status.SENT: 5, Status.UNKNOWN: 1}), wire=wire, skipped=Counter({"no_consent": 2}))
    said = f"does not hold: parts 5 <= wire {wire} <= parts + unknown 1"
    assert told.wrong(allowed=1) == ([] if fine else [said])
    assert told.wrong(allowed=0)[0] == "does not hold: unknown 1 = 0"


def test_the_line_has_every_promised_field() -> None:
    promised = (
        "rows bad merged recipients sent partial failed skipped stopped given_up unknown parts wire duplicates lost"
    )
    assert list(counted().line()) == [*promised.split(), "seconds", "ledger"]
