"""The example lists hold what the demo needs: some rows bad, some doubled, some without consent."""

from collections import Counter
from pathlib import Path

import pytest

from adapters.audience_csv import parse
from adapters.audience_rows import Reason
from tests.adapters.vaulted import NOW

EXAMPLES = Path(__file__).parents[2] / "examples"
FICTION = ("+120255501", "+141655501", "+61491570006", "+46701740605", "+4915228817386")


@pytest.mark.parametrize(
    ("name", "rows", "bad", "merged", "without_consent"),
    [("contacts.csv", 40, 4, 3, 4), ("contacts-second.csv", 12, 1, 1, 2)],
)
def test_an_example_list_is_what_the_readme_says(
    name: str, rows: int, bad: int, merged: int, without_consent: int
) -> None:
    parsed = parse((EXAMPLES / name).read_bytes(), None, NOW)
    assert (parsed.rows, len(parsed.bad), parsed.merged) == (rows, bad, merged)
    assert sum(person.consent is None for person in parsed.people) == without_consent
    assert all(person.number.startswith(FICTION) for person in parsed.people)
    assert all({"name", "city"} <= person.fields.keys() for person in parsed.people)


def test_the_first_list_is_bad_in_four_different_ways() -> None:
    parsed = parse((EXAMPLES / "contacts.csv").read_bytes(), None, NOW)
    assert Counter(row.reason for row in parsed.bad) == Counter(
        [Reason.NUMBER_INVALID, Reason.NUMBER_MISSING, Reason.NUMBER_UNREADABLE, Reason.CONSENT_UNREADABLE]
    )
