"""The example lists hold what the demo needs: some rows bad, some doubled, some without consent."""

from pathlib import Path

import pytest

from adapters.audience_rows import Reason
from tests.adapters.parsed import parse
from tests.adapters.vaulted import NOW

EXAMPLES = Path(__file__).parents[2] / "examples"
# Numbers kept for fiction: NANPA's 555-01xx of these areas, ACMA's, BNetzA's and PTS's.
AREAS = (202, 312, 415, 416, 604, 646)
ABROAD = ("+6149157", "+61491571", "+4915228817386", "+4917139200", "+4670174060", "+467017406")
FICTION = (*(f"+1{area}55501" for area in AREAS), *ABROAD)


@pytest.mark.parametrize(
    ("name", "rows", "bad", "merged", "without_consent", "nameless"),
    [("contacts.csv", 300, 14, 13, 20, 20), ("contacts-second.csv", 12, 1, 1, 2, 0)],
)
def test_an_example_list_is_what_the_readme_says(
    name: str, rows: int, bad: int, merged: int, without_consent: int, nameless: int
) -> None:
    parsed = parse((EXAMPLES / name).read_bytes(), None, NOW)
    assert (parsed.rows, len(parsed.bad), parsed.merged) == (rows, bad, merged)
    assert sum(person.consent is None for person in parsed.people) == without_consent
    assert all(person.number.startswith(FICTION) for person in parsed.people)
    assert sum(not {"name", "city"} <= person.fields.keys() for person in parsed.people) == nameless


def test_the_first_list_is_bad_in_six_different_ways() -> None:
    parsed = parse((EXAMPLES / "contacts.csv").read_bytes(), None, NOW)
    assert {row.reason for row in parsed.bad} == {
        Reason.NUMBER_INVALID,
        Reason.NUMBER_MISSING,
        Reason.NUMBER_UNREADABLE,
        Reason.NUMBER_WITHOUT_COUNTRY,
        Reason.CONSENT_UNREADABLE,
        Reason.CONSENT_AT_UNREADABLE,
    }
