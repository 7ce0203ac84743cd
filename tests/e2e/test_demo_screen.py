"""The demo's live line: one line of the terminal, whatever its width."""

import pytest

from infra.demo_screen import board

COUNTS = {"read": 210, "delivered": 120, "sent": 9, "skipped": 31, "failed": 130, "pending": 0, "recipients": 500}


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_busy_board_fits_on_one_line_and_says_every_count(width: int) -> None:
    line = board(COUNTS, "completed", width).plain
    assert len(line) <= width
    assert line.endswith("read 210  delivered 120  sent 9  skipped 31  failed 130")
    assert "█" in line


def test_the_bar_is_full_when_nobody_is_left() -> None:
    thirds = COUNTS | dict.fromkeys(("read", "delivered", "sent"), 1) | {"skipped": 0, "failed": 0, "recipients": 3}
    assert board(thirds, "running", 200).plain.count("█") == 40
