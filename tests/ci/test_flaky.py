"""The table of flaky tests, as people write it and CI reads it."""

from datetime import date
from pathlib import Path

from tests.ci import flaky

ROOT = Path(__file__).parents[2]
DAY = date(2026, 12, 1)


def test_what_is_printed_is_read() -> None:
    page = "\n".join(
        flaky.row(DAY, test, "late | later") for test in ("a.py::test_a[x|y]", "a.py::test_b", "a.py::test_b")
    )
    assert flaky.unmended(page) == {"a.py::test_a[x|y]": 1, "a.py::test_b": 2}
    assert flaky.named_twice(page) == ["a.py::test_b"]


def test_what_was_mended_counts_no_more() -> None:
    mended = flaky.row(DAY, "a.py::test_a", "late").removesuffix("|") + "2026-12-02 |"
    again = flaky.row(DAY, "a.py::test_a", "late")
    assert flaky.named_twice(f"{mended}\n{mended}\n{again}\n") == []


def test_each_row_of_the_page_is_one_that_is_read() -> None:
    page = (ROOT / flaky.PAGE).read_text()
    rows = [line for line in page.splitlines() if line.startswith("| 20")]
    assert len(flaky.ROW.findall(page)) == len(rows)
