"""`docs/flaky.md`: the tests that failed in CI and passed when they ran again."""

import re
from collections import Counter
from datetime import date

PAGE = "docs/flaky.md"
ROW = re.compile(r"^\| \d{4}-\d\d-\d\d \| `(?P<test>.+?)` \| .* \| (?P<mended>\d{4}-\d\d-\d\d)? ?\|$", re.MULTILINE)


def row(day: date, test: str, reason: str) -> str:
    """The row for a test that was flaky on a day."""
    return f"| {day} | `{cell(test)}` | {cell(reason)} | |"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def unmended(page: str) -> Counter[str]:
    """How often the page names each test, in rows that do not say when it was mended."""
    return Counter(found["test"].replace("\\|", "|") for found in ROW.finditer(page) if not found["mended"])


def named_twice(page: str) -> list[str]:
    """The tests to mend before anything else."""
    return [test for test, times in unmended(page).items() if times > 1]
