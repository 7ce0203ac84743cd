"""One row of a list of people: its number by `phonenumbers`, its fields, its consent; or the reason why it is bad."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache

import phonenumbers

from domain.recipient import EARLIEST, ConsentSource

LONGEST_VALUE = 1_000  # characters
CONSENT, SOURCE, GIVEN_AT, PROOF = "consent", "consent_source", "consent_at", "consent_proof"
YES = frozenset({"yes", "y", "true", "1"})
NO = frozenset({"no", "n", "false", "0"})
QUOTED = re.compile(r'="([^"]*)"')  # how spreadsheets are kept from rewriting a number
LETTER = re.compile(r"[^\W\d_]")
PLAIN = re.compile(r"\+[1-9][0-9]{6,14}")
BETWEEN = str.maketrans("", "", " -.()")  # what people write between digits, and the library passes over
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
COUNTRIES = phonenumbers.SUPPORTED_REGIONS  # ISO 3166-1 codes that have telephone numbers


class Reason(StrEnum):
    """Why a row is bad."""

    NUMBER_MISSING = "number_missing"
    NUMBER_UNREADABLE = "number_unreadable"
    NUMBER_WITHOUT_COUNTRY = "number_without_country"  # neither +… nor a country to assume
    NUMBER_INVALID = "number_invalid"  # no such number can be dialled
    CONSENT_UNREADABLE = "consent_unreadable"
    CONSENT_SOURCE_UNKNOWN = "consent_source_unknown"
    CONSENT_AT_UNREADABLE = "consent_at_unreadable"
    CONSENT_AT_IN_FUTURE = "consent_at_in_future"
    VALUE_TOO_LONG = "value_too_long"
    VALUE_UNREADABLE = "value_unreadable"  # control characters
    TOO_MANY_VALUES = "too_many_values"  # more cells than the first row has
    FORMULA = "formula"  # begins with =: what it comes to is not in the file


EXPLAINED = {
    Reason.NUMBER_MISSING: "There is no number.",
    Reason.NUMBER_UNREADABLE: "This cannot be read as one telephone number.",
    Reason.NUMBER_WITHOUT_COUNTRY: "The number does not begin with + and its country; no country was given to assume.",
    Reason.NUMBER_INVALID: "No such number can be dialled.",
    Reason.CONSENT_UNREADABLE: "A consent is yes or no.",
    Reason.CONSENT_SOURCE_UNKNOWN: f"A consent's source is one of {', '.join(ConsentSource)}.",
    Reason.CONSENT_AT_UNREADABLE: "A consent's time is a date since 1970, as 2026-05-01 or 2026-05-01T10:00:00Z.",
    Reason.CONSENT_AT_IN_FUTURE: "The consent's time is still to come.",
    Reason.VALUE_TOO_LONG: f"The value has more than {LONGEST_VALUE:,} characters.",
    Reason.VALUE_UNREADABLE: "The value has control characters.",
    Reason.TOO_MANY_VALUES: "The row has more cells than the first row.",
    Reason.FORMULA: "The cell begins with =: save the list with values in the place of formulas.",
}


class RowRefused(Exception):
    """A row's reason, and the column it is about."""

    def __init__(self, reason: Reason, column: str | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column


@dataclass(frozen=True, slots=True)
class Given:
    """A consent as a row states it. Without a time it counts from the import, and as nothing but imported."""

    source: ConsentSource
    at: datetime | None
    proof: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A good row: the number in E.164, its country, the fields that have a value, and what it says of consent."""

    number: str
    country: str | None
    fields: dict[str, str]
    consent: Given | None
    denied: bool  # says no, in as many words


def normalised(name: str) -> str:
    """`First Name ` -> first_name, `Città` -> citta."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def read_row(columns: Sequence[str | None], cells: Sequence[str], country: str | None, now: datetime) -> Row:
    """A row under these columns (None: left out). Raises RowRefused."""
    if len(cells) > len(columns):
        raise RowRefused(Reason.TOO_MANY_VALUES, None)
    values = {name: text for name, cell in zip(columns, cells, strict=False) if name and (text := cell.strip())}
    for name, value in values.items():
        if value[0] == "=":
            values[name] = unwrapped(name, value)
    number, region = read_number(values.pop("number", ""), country)
    for name, value in values.items():
        if len(value) > LONGEST_VALUE:
            raise RowRefused(Reason.VALUE_TOO_LONG, name)
        if CONTROL.search(value):
            raise RowRefused(Reason.VALUE_UNREADABLE, name)
    consent, denied = read_consent(values, now)
    fields = {name: value for name, value in values.items() if name not in (CONSENT, SOURCE, GIVEN_AT, PROOF)}
    return Row(number, region, fields, consent, denied)


def unwrapped(name: str, value: str) -> str:
    """The text in a cell that a spreadsheet is told to leave alone: `="0049…"`. Raises RowRefused for formulas."""
    quoted = QUOTED.fullmatch(value)
    if quoted is None or not quoted[1].strip():
        raise RowRefused(Reason.FORMULA, name)
    return quoted[1].strip()


def read_number(text: str, country: str | None) -> tuple[str, str | None]:
    """A number in E.164, and the country it belongs to."""
    if not text:
        raise RowRefused(Reason.NUMBER_MISSING, "number")
    if LETTER.search(text):  # it would be dialled
        raise RowRefused(Reason.NUMBER_UNREADABLE, "number")
    try:
        number = plain(text) or phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        unplaced = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and country is None
        reason = Reason.NUMBER_WITHOUT_COUNTRY if unplaced and "+" not in text else Reason.NUMBER_UNREADABLE
        raise RowRefused(reason, "number") from None
    if number.extension:
        raise RowRefused(Reason.NUMBER_UNREADABLE, "number")
    region = phonenumbers.region_code_for_number(number)
    if region is None or not (
        found_as_valid(number.country_code, region) or phonenumbers.is_valid_number_for_region(number, region)
    ):
        raise RowRefused(Reason.NUMBER_INVALID, "number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), region


def plain(text: str) -> phonenumbers.PhoneNumber | None:
    """What the library makes of a number that is + and digits, where its rules change nothing; None where they might.

    It spares half of the time that reading a number takes.
    """
    text = text.translate(BETWEEN)
    if not PLAIN.fullmatch(text):
        return None
    for end in (2, 3, 4):
        code, national = int(text[1:end]), text[end:]
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            prefix = national_prefix(code)
            if national[0] == "0" or (prefix is not None and prefix.match(national)):
                return None
            return phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
    return None


@cache
def found_as_valid(code: int, region: str) -> bool:
    """Whether the library finds this region, among those of a code, just for the numbers that are valid there."""
    if len(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]) == 1:
        return False
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return metadata is not None and metadata.leading_digits is None


@cache
def national_prefix(code: int) -> re.Pattern[str] | None:
    """What may stand before a national number of a country, and then has to be looked at."""
    region = phonenumbers.region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    prefix = metadata.national_prefix_for_parsing if metadata else None
    return re.compile(prefix) if prefix else None


def read_consent(values: dict[str, str], now: datetime) -> tuple[Given | None, bool]:
    """The consent a row states, and whether it says no. Times without an offset are UTC."""
    said = values.get(CONSENT, "").casefold()
    if not said or said in NO:
        return None, bool(said)
    if said not in YES:
        raise RowRefused(Reason.CONSENT_UNREADABLE, CONSENT)
    at, source = None, ConsentSource.IMPORT
    if stated := values.get(SOURCE):
        try:
            source = ConsentSource(normalised(stated))
        except ValueError:
            raise RowRefused(Reason.CONSENT_SOURCE_UNKNOWN, SOURCE) from None
    if stated := values.get(GIVEN_AT):
        try:
            at = datetime.fromisoformat(stated)
        except ValueError:
            raise RowRefused(Reason.CONSENT_AT_UNREADABLE, GIVEN_AT) from None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if at < EARLIEST:
            raise RowRefused(Reason.CONSENT_AT_UNREADABLE, GIVEN_AT)
        if at > now:
            raise RowRefused(Reason.CONSENT_AT_IN_FUTURE, GIVEN_AT)
    return Given(source if at else ConsentSource.IMPORT, at, values.get(PROOF)), False
