"""Lists of people: what a file says, what is wrong with a row, and when a whole file is refused."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.audience_csv import BadRow, ImportRefused, Listed, Reading
from adapters.audience_rows import Given, Reason, Row, plain
from domain.recipient import ConsentSource
from tests.adapters.parsed import Parsed, parse
from tests.adapters.vaulted import NOW

ANA, BO, CY = "+12025550101", "+14165550102", "+61491570006"
YESTERDAY = NOW - timedelta(days=1)


def read(text: str, country: str | None = None) -> Parsed:
    return parse(text.encode(), country, NOW)


def one(text: str, country: str | None = None) -> Listed:
    """The only person of a list without bad rows."""
    parsed = read(text, country)
    assert parsed.bad == []
    [person] = parsed.people
    return person


def bad(text: str, country: str | None = None) -> BadRow:
    """The only bad row of a list."""
    [row] = read(text, country).bad
    return row


def refused(data: bytes | str, country: str | None = None) -> ImportRefused:
    with pytest.raises(ImportRefused) as error:
        parse(data if isinstance(data, bytes) else data.encode(), country, NOW)
    return error.value


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_every_usual_kind_of_csv_is_read(bom: str, newline: str, delimiter: str, end: str) -> None:
    rows = ["number,name,city", f"{ANA},Zoë,Köln", "", f'{BO},Bo,"a ""b"""']
    text = bom + "\n".join(rows).replace(",", delimiter).replace("\n", newline) + end.replace("\n", newline)
    ana, bo = read(text).people
    assert (ana.number, ana.fields) == (ANA, {"name": "Zoë", "city": "Köln"})
    assert (bo.number, bo.fields) == (BO, {"name": "Bo", "city": 'a "b"'})


def test_a_quoted_cell_may_hold_the_delimiter_and_new_lines() -> None:
    person = one(f'number,address\n{ANA},"1 Main St, Apt 2\nWashington"\n')
    assert person.fields == {"address": "1 Main St, Apt 2\nWashington"}


@pytest.mark.parametrize("word", ["number", "Number", " NUMBER ", "phone", "Tel", "mobile", "WhatsApp"])
def test_the_numbers_column_has_several_names(word: str) -> None:
    assert one(f"{word},Full Name\n{ANA},Ana Duarte").fields == {"name": "Ana Duarte"}


def test_other_columns_become_variables_under_names_a_text_can_use() -> None:
    person = one(f"number,First Name,E-Mail,Città,shop_2\n{ANA},Ana,ana,Roma,north")
    assert person.fields == {"first_name": "Ana", "e_mail": "ana", "citta": "Roma", "shop_2": "north"}


def test_no_first_name_is_made_up() -> None:
    assert one(f"number,name\n{ANA},Ana Duarte").fields == {"name": "Ana Duarte"}


def test_an_empty_cell_or_a_short_row_is_no_value() -> None:
    parsed = read(f"number,name,city\n{ANA},  ,Rome\n{BO}\n")
    assert [person.fields for person in parsed.people] == [{"city": "Rome"}, {}]


@pytest.mark.parametrize(
    ("data", "rule", "field", "sentence"),
    [
        (b"", "empty", "file", "The file is empty"),
        (b"\xef\xbb\xbf \r\n\r\n", "empty", "file", "The file is empty"),
        (b"number,name\n", "empty", "file", "no row below"),
        (b"number\n\xff\xfe\n", "not_utf8", "file", "line 2"),
        ("number\n+1".encode("utf-16")[:-1], "not_utf8", "file", "not UTF-16"),
        (b"number\n" + b"1\n" * 40_000 + b"\xff\n", "not_utf8", "file", "line 40002"),
        (b"PK\x03\x04" + b"number\n+1\n", "not_csv", "file", "ZIP archive"),
        (b"\x1f\x8b\x08", "not_csv", "file", "gzip"),
        (b"number,name\n+12025550101," + b"x" * 1_000_000, "not_csv", "file", "begins on line 2 is longer than"),
        (b"number,name\n+12025550101," + b"x" * 200_000 + b"\n", "not_csv", "file", "a cell of it than 131,072"),
        (b'number\n1\n"' + b"x,\n" * 400_000, "not_csv", "file", "begins on line 3"),
        (b"+12025550101,Ana\n+12025550102,Bo\n", "missing_column", "number", "first row holds a telephone number"),
        (b'number,name\n1,x\n+1,"Ana\n\n', "not_csv", "file", "line 3 is no CSV"),
        (b"name,city\nAna,Rome\n", "missing_column", "number", "No column is called number"),
        (b"number,name,,city\n1,2,3,4\n", "bad_column", "columns", "Column 3"),
        ("number,名前\n1,2\n".encode(), "bad_column", "columns", "Column 2"),
        (b"number,2nd_shop\n1,2\n", "bad_column", "columns", "Column 2"),
        (b"number," + b"x" * 41 + b"\n1,2\n", "bad_column", "columns", "Column 2"),
        (b"number,city,name,City\n1,2,3,4\n", "repeated_column", "columns", "Columns 2 and 4"),
        (b"phone,name,mobile\n1,2,3\n", "repeated_column", "columns", "Columns 1 and 3"),
        (b"number" + b",x" * 50 + b"\n", "too_many_columns", "columns", "51 columns"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(
    data: bytes, rule: str, field: str, sentence: str
) -> None:
    error = refused(data)
    assert (error.rule, error.field) == (rule, field)
    assert sentence in str(error)
    assert str(error).endswith(".")


def test_a_column_name_of_forty_characters_is_the_longest() -> None:
    assert one(f"number,{'x' * 40}\n{ANA},value").fields == {"x" * 40: "value"}


def test_fifty_columns_are_the_most() -> None:
    variables = {f"shop_{number}": "open" for number in range(49)}
    assert one(f"number,{','.join(variables)}\n{ANA}{',open' * 49}").fields == variables


def test_without_any_delimiter_in_the_first_row_it_is_a_comma() -> None:
    assert bad(f"number\n{ANA},Ana") == BadRow(2, Reason.TOO_MANY_VALUES, None)


def test_an_unheard_of_country_is_refused() -> None:
    assert refused(f"number\n{ANA}", "ZZ").rule == "unknown_country"


def test_a_refusal_never_repeats_what_the_file_says() -> None:
    for text in (f"{ANA},Ana Duarte\n{BO},Bo\n", f'number\n"{ANA},Ana Duarte', f"name\n{ANA},Ana Duarte"):
        error = refused(text)
        assert "2025550101" not in repr(error) + str(error) + str(error.detail)
        assert "Ana" not in repr(error) + str(error) + str(error.detail)


LISTS = ["number;name\n{};Zoë, Köln\n", "sep=;\nnumber;name\n{};Zoë, Köln\n", "number\tname\n{}\tZoë, Köln\n"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", LISTS)
def test_lists_in_utf_16_or_with_tabs_or_a_separator_line_are_read(text: str, encoding: str) -> None:
    parsed = parse(text.format(ANA).encode(encoding), None, NOW)
    assert [(person.number, person.fields) for person in parsed.people] == [(ANA, {"name": "Zoë, Köln"})]


@given(st.data())
def test_a_file_reads_the_same_in_whatever_pieces_it_comes(data: st.DataObject) -> None:
    text = f'number,name\r\n{ANA},"Zoë\r\nKöln"\r\n\r\nx,"a ""b"""\r\n{BO},Bo\r\n'
    raw = text.encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    cuts = sorted({0, len(raw), *data.draw(st.lists(st.integers(0, len(raw)), max_size=8))})
    pieces = [raw[start:end] for start, end in pairwise(cuts)]
    assert list(Reading(pieces, None, NOW)) == list(Reading([raw], None, NOW))
    assert [line for line, row in Reading(pieces, None, NOW) if isinstance(row, BadRow)] == [5]


def test_a_line_of_fifty_megabytes_is_refused_without_being_held() -> None:
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        yield b"number,name\n"
        for _ in range(50):
            taken += 1
            yield b"x" * 1_000_000

    with pytest.raises(ImportRefused) as error:
        list(Reading(pieces(), None, NOW))
    assert (error.value.rule, error.value.detail) == ("not_csv", {"line": 2})
    assert taken < 5


# --- columns ---------------------------------------------------------------------------------------------------------


def test_the_owner_says_what_columns_hold_by_their_names_or_places() -> None:
    text = f"Kontakt,電話,Ort,Notiz\nAna,{ANA},Rome,x\n"
    mapping = {" kontakt": "Full Name", "2": "phone", "NOTIZ": ""}
    reading = Reading([text.encode()], None, NOW, mapping)
    [(_, row)] = reading
    assert isinstance(row, Row)
    assert (row.number, row.fields) == (ANA, {"name": "Ana", "ort": "Rome"})
    assert [(column.name, column.by) for column in reading.columns] == [
        ("name", "owner"),
        ("number", "owner"),
        ("ort", "name"),
        (None, "owner"),
    ]


@pytest.mark.parametrize(
    ("mapping", "rule", "field", "sentence"),
    [
        ({"name": "full_name", "city": "town"}, "unknown_column", "columns", "entry 2"),
        ({"3": "x"}, "unknown_column", "columns", "entry 1"),
        ({"name": "2nd"}, "bad_column", "columns", "Entry 1"),
        ({"name": "number"}, "repeated_column", "columns", "Columns 1 and 2"),
        ({"number": ""}, "missing_column", "number", "No column"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(mapping: dict[str, str], rule: str, field: str, sentence: str) -> None:
    with pytest.raises(ImportRefused, match=sentence) as error:
        Reading([f"number,name\n{ANA},Ana\n".encode()], None, NOW, mapping)
    assert (error.value.rule, error.value.field) == (rule, field)


def test_the_only_column_that_looks_like_numbers_is_taken_for_them() -> None:
    reading = Reading([f"kunde,erreichbar\n17,{ANA}\n18,{BO}\n19,-\n".encode()], None, NOW)
    assert [(column.name, column.by) for column in reading.columns] == [("kunde", "name"), ("number", "look")]
    assert refused(f"one,two\n{ANA},{BO}\n").rule == "missing_column"


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "country", "number", "region"),
    [
        ("+1 202 555 0101", None, ANA, "US"),
        ("+1 (202) 555-0101", "SE", ANA, "US"),
        ("202-555-0101", "US", ANA, "US"),
        ("0491 570 006", "AU", CY, "AU"),
        ("0061491570006", "DE", CY, "AU"),
        ("+46 70 174 06 05", None, "+46701740605", "SE"),
        ("+49 1522 8817386", None, "+4915228817386", "DE"),
        ("416 555 0102", "US", BO, "CA"),
        ("\u202a+1 416 555 0102\u202c", None, BO, "CA"),
    ],
)
def test_numbers_are_read_as_people_write_them(written: str, country: str | None, number: str, region: str) -> None:
    person = one(f"number\n{written}", country)
    assert (person.number, person.country) == (number, region)


@pytest.mark.parametrize(
    ("written", "country", "reason"),
    [
        ("", None, Reason.NUMBER_MISSING),
        ("  ", "US", Reason.NUMBER_MISSING),
        ("202 555 0101", None, Reason.NUMBER_WITHOUT_COUNTRY),
        ("+1 555 0100", None, Reason.NUMBER_INVALID),
        ("+1 202 555 01011", None, Reason.NUMBER_INVALID),
        ("202 555 0101", "SE", Reason.NUMBER_INVALID),
        ("not known", "US", Reason.NUMBER_UNREADABLE),
        ("1.2025550101E+10", "US", Reason.NUMBER_UNREADABLE),
        ("1-800-FLOWERS", "US", Reason.NUMBER_UNREADABLE),
        ("+1 202 555 0101 ext. 7", None, Reason.NUMBER_UNREADABLE),
        ("+1 202 555 0101 #7", None, Reason.NUMBER_UNREADABLE),
        ("+999 202 555 0101", None, Reason.NUMBER_UNREADABLE),
        ("+", "US", Reason.NUMBER_UNREADABLE),
        ("--", None, Reason.NUMBER_UNREADABLE),
    ],
)
def test_a_number_nobody_can_be_reached_at_makes_its_row_bad(written: str, country: str | None, reason: Reason) -> None:
    assert bad(f"number,name\n{written},Ana", country) == BadRow(2, reason, "number")


EXAMPLES = [
    f"+{found.country_code}{phonenumbers.national_significant_number(found)}"
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    if (found := phonenumbers.example_number_for_type(region, kind))
]


@given(st.sampled_from(EXAMPLES), st.integers(1, 6), st.sampled_from(["", "0", "1", "8", "9", "15", "52", "999999"]))
@example("+5215512345678", 1, "")
@example("+12025550101", 2, "1")
def test_a_plain_number_is_read_as_the_library_reads_it(number: str, place: int, digits: str) -> None:
    more, other = number[:place] + digits + number[place:], number[: place + 1] + digits + number[place + 2 :]
    for text in (number, more, other):
        for written in (
            text,
            f"{text[:place]} ({text[place : place + 2]}) {text[place + 2 :]}",
            f"{text[:4]}-{text[4:]}",
        ):
            if (quick := plain(written)) is not None:
                assert quick == phonenumbers.parse(written, None)


def test_nearly_every_plain_number_is_read_quickly() -> None:
    assert sum(plain(number) is not None for number in EXAMPLES) > 0.8 * len(EXAMPLES)


@pytest.mark.parametrize(
    ("row", "reason", "column"),
    [
        (f"{ANA},{'x' * 1_001},yes,,", Reason.VALUE_TOO_LONG, "name"),
        (f"{ANA},A\x00na,yes,,", Reason.VALUE_UNREADABLE, "name"),
        (f'{ANA},"=cmd|""/C calc""!A0",yes,,', Reason.FORMULA, "name"),
        (f"{ANA},=1+1,yes,,", Reason.FORMULA, "name"),
        ('"=HYPERLINK(""x"")",Ana,yes,,', Reason.FORMULA, "number"),
        (f"{ANA},Ana,perhaps,,", Reason.CONSENT_UNREADABLE, "consent"),
        (f"{ANA},Ana,yes,rumour,", Reason.CONSENT_SOURCE_UNKNOWN, "consent_source"),
        (f"{ANA},Ana,yes,paper,last year", Reason.CONSENT_AT_UNREADABLE, "consent_at"),
        (f"{ANA},Ana,yes,paper,0001-01-01T00:00+14:00", Reason.CONSENT_AT_UNREADABLE, "consent_at"),
        (f"{ANA},Ana,yes,paper,1969-12-31", Reason.CONSENT_AT_UNREADABLE, "consent_at"),
        (f"{ANA},Ana,yes,paper,1970-01-01T00:00:00+14:00", Reason.CONSENT_AT_UNREADABLE, "consent_at"),
        (f"{ANA},Ana,yes,paper,9999-12-31T23:59-14:00", Reason.CONSENT_AT_IN_FUTURE, "consent_at"),
        (f"{ANA},Ana,yes,paper,2026-11-21T12:00:01Z", Reason.CONSENT_AT_IN_FUTURE, "consent_at"),
        (f"{ANA},Ana,yes,paper,2025-01-01,more", Reason.TOO_MANY_VALUES, None),
    ],
)
def test_what_else_makes_a_row_bad(row: str, reason: Reason, column: str | None) -> None:
    text = f"number,name,consent,consent_source,consent_at\n{BO},Bo,no,,\n{row}\n"
    assert bad(text) == BadRow(3, reason, column)
    assert [person.number for person in read(text).people] == [BO]


def test_a_cell_that_a_spreadsheet_is_told_to_leave_alone_is_its_text() -> None:
    assert one(f'number,name\n="{ANA}","=""007"""\n').fields == {"name": "007"}


def test_a_value_of_a_thousand_characters_is_the_longest() -> None:
    assert one(f"number,name\n{ANA},{'x' * 1_000}").fields == {"name": "x" * 1_000}


def test_a_bad_row_is_named_by_the_line_it_begins_on() -> None:
    parsed = read(f'number,note\n\n{ANA},"two\nlines"\nx,\n\n{BO},"three\n\nlines"\n,y\n')
    assert [row.line for row in parsed.bad] == [5, 10]
    assert (parsed.rows, len(parsed.people)) == (4, 2)


def test_a_row_of_empty_cells_is_a_bad_row_and_a_blank_line_is_none() -> None:
    parsed = read(f"number,name\n\n,\n{ANA},Ana\n\n")
    assert (parsed.rows, parsed.bad) == (2, [BadRow(3, Reason.NUMBER_MISSING, "number")])


# --- consent ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["yes", "YES", "y", "true", "True", "1"])
def test_a_yes_is_a_consent_and_without_a_time_only_an_imported_one(word: str) -> None:
    person = one(f"number,consent,consent_source,consent_proof\n{ANA},{word},paper,form 12")
    assert person.consent == Given(ConsentSource.IMPORT, None, "form 12")


@pytest.mark.parametrize("word", ["no", "No", "n", "false", "0", ""])
def test_a_no_or_nothing_is_no_consent(word: str) -> None:
    person = one(f"number,consent,consent_source,consent_at\n{ANA},{word},paper,2025-01-01")
    assert (person.consent, person.denied) == (None, bool(word))
    assert one(f"number\n{ANA}").consent is None


@pytest.mark.parametrize(
    ("stated", "at"),
    [
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2025-03-01", datetime(2025, 3, 1, tzinfo=UTC)),
        ("2025-03-01 10:30", datetime(2025, 3, 1, 10, 30, tzinfo=UTC)),
        ("2025-03-01T10:30:00Z", datetime(2025, 3, 1, 10, 30, tzinfo=UTC)),
        ("2025-03-01T10:30:00-05:00", datetime(2025, 3, 1, 15, 30, tzinfo=UTC)),
        ("2026-11-21T12:00:00Z", NOW),
    ],
)
def test_a_consent_with_a_time_keeps_its_source(stated: str, at: datetime) -> None:
    person = one(f"number,consent,consent_source,consent_at\n{ANA},yes,Web Form,{stated}")
    assert person.consent == Given(ConsentSource.WEB_FORM, at, None)


def test_consent_columns_are_no_variables() -> None:
    person = one(f"number,consent,consent_source,consent_at,consent_proof\n{ANA},yes,paper,2025-01-01,form 12")
    assert person.fields == {}


# --- the same number again -------------------------------------------------------------------------------------------


def test_rows_with_one_number_become_one_person_in_the_first_ones_place_with_the_last_values() -> None:
    parsed = read(f"number,name,city\n{ANA},Ana,Rome\n{BO},Bo,Oslo\n+1 202-555-0101,Anna,\n")
    ana, bo = parsed.people
    assert (parsed.rows, parsed.merged) == (3, 1)
    assert (ana.fields, bo.number) == ({"name": "Anna", "city": "Rome"}, BO)


@pytest.mark.parametrize("words", [("yes", "no"), ("no", "yes"), ("yes", "no", "yes")])
def test_one_no_outweighs_every_yes(words: Sequence[str]) -> None:
    person = one("number,consent\n" + "".join(f"{ANA},{word}\n" for word in words))
    assert person.consent is None


def test_of_several_consents_the_last_one_counts() -> None:
    rows = f"{ANA},yes,paper,2025-01-01\n{ANA},yes,web_form,2025-02-01\n{ANA},,,\n"
    person = one("number,consent,consent_source,consent_at\n" + rows)
    assert person.consent == Given(ConsentSource.WEB_FORM, datetime(2025, 2, 1, tzinfo=UTC), None)


# --- whatever comes --------------------------------------------------------------------------------------------------

NUMBERS = {ANA: ["+1 202 555 0101", "(202) 555-0101", "12025550101"], BO: ["+14165550102"], CY: ["+61 491 570 006"]}
GOOD = {written: number for number, ways in NUMBERS.items() for written in ways}
NO_NUMBERS = ["", "n/a", "+1 555 0100", "12"]
CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).filter(lambda cell: "=" not in cell)
ROW = st.tuples(
    st.sampled_from([*GOOD, *NO_NUMBERS]), CELL, st.sampled_from(["yes", "no", "", "1", "maybe"]), st.booleans()
)


@given(st.lists(ROW, min_size=1, max_size=25))
def test_every_row_is_bad_merged_or_a_person(rows: list[tuple[str, str, str, bool]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["number", "name", "consent"])
    for number, name, consent, more in rows:
        writer.writerow([number, name, consent, *(["!"] if more else [])])
    parsed = read(text.getvalue(), "US")
    good = [(GOOD[number], consent) for number, _, consent, more in rows if number in GOOD and not more]
    good = [(number, consent) for number, consent in good if consent != "maybe"]
    assert parsed.rows == len(rows)
    assert len(parsed.bad) == len(rows) - len(good)
    assert parsed.merged == len(good) - len(dict(good))
    assert [person.number for person in parsed.people] == list(dict(good))
    for person in parsed.people:
        said = {consent for number, consent in good if number == person.number}
        assert (person.consent is not None) == (bool(said & {"yes", "1"}) and "no" not in said)


def attempt(data: bytes) -> Parsed | ImportRefused:
    """What becomes of a file; anything else than these two would be an error of ours."""
    try:
        return parse(data, "US", NOW)
    except ImportRefused as error:
        return error


def adds_up(parsed: Parsed) -> bool:
    return parsed.rows == len(parsed.bad) + parsed.merged + len(parsed.people)


@given(st.binary(max_size=300))
@example(b"number\n\x00\n")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    outcome = attempt(data)
    assert str(outcome).endswith(".") if isinstance(outcome, ImportRefused) else adds_up(outcome)


@given(st.text(max_size=200))
@example("a\x00b,+1,\r\r\n\u2028")
def test_any_rows_below_a_good_header_are_read_or_refused(rows: str) -> None:
    outcome = attempt(b"number,name,consent_at,consent\n" + rows.encode(errors="replace"))
    assert outcome.field == "file" if isinstance(outcome, ImportRefused) else adds_up(outcome)
