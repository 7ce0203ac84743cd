"""The filter language: what it says, and where it says that something is wrong."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.attributes import TAKEN, AttributeKind, typed, values_of
from domain.filter_language import DEEPEST, KNOWN, LONGEST_FILTER, MOST_CONDITIONS, parse
from domain.filters import (
    EVERYBODY,
    Attribute,
    Consent,
    Consenting,
    Contacted,
    Country,
    Either,
    Every,
    Filter,
    Given,
    Known,
    Listed,
    Not,
    Sign,
    Tagged,
)
from domain.message import Refused

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KINDS = {
    "city": AttributeKind.TEXT,
    "spent": AttributeKind.NUMBER,
    "born": AttributeKind.DATE,
    "member": AttributeKind.YES_NO,
}
ROME, RICH = Attribute("city", Sign.IS, ("rome",)), Attribute("spent", Sign.AT_LEAST, (100.0,))
LIST = UUID("7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("", EVERYBODY),
        ("  \n ", EVERYBODY),
        ("everybody", EVERYBODY),
        ("not Everybody or city = rome", Either((Not(EVERYBODY), ROME))),
        ('city = "Rome"', ROME),
        ("CITY=rome", ROME),
        ("city = 'Ro\\me'", ROME),
        ('city = "ΑΘΉΝΑ \\" b"', Attribute("city", Sign.IS, ('αθήνα " b',))),
        ("city = Köln", Attribute("city", Sign.IS, ("köln",))),
        ("city in (Αθήνα, Łódź)", Attribute("city", Sign.IS, ("αθήνα", "łódź"))),
        ("city != Rome", Not(ROME)),
        ('city in ("Rome", Oslo)', Attribute("city", Sign.IS, ("rome", "oslo"))),
        ("spent >= 100", RICH),
        ("spent<-1.5", Attribute("spent", Sign.BELOW, (-1.5,))),
        ("born > 1990-05-01", Attribute("born", Sign.ABOVE, ("1990-05-01",))),
        ("member = no", Attribute("member", Sign.IS, (False,))),
        ("city is known", Given("city")),
        ("city is not known", Not(Given("city"))),
        ("country in (it, DE)", Country(("IT", "DE"))),
        ('country != "IT"', Not(Country(("IT",)))),
        ("country is not known", Not(Given(Known.COUNTRY))),
        ("consent = given", Consenting((Consent.GIVEN,))),
        ("consent in (none, withdrawn)", Consenting((Consent.NONE, Consent.WITHDRAWN))),
        ("last_contact < 30 days ago", Contacted(Sign.BELOW, NOW - timedelta(days=30))),
        ("last_contact >= 2026-11-01", Contacted(Sign.AT_LEAST, datetime(2026, 11, 1, tzinfo=UTC))),
        ("last_contact is not known", Not(Given(Known.LAST_CONTACT))),
        ('tag = "VIP"', Tagged(("vip",))),
        (f'list = "{LIST}"', Listed((LIST,))),
        ("not city = rome", Not(ROME)),
        ("not not city = rome", Not(Not(ROME))),
        ("city = rome and spent >= 100 or tag = a", Either((Every((ROME, RICH)), Tagged(("a",))))),
        ("city = rome and (spent >= 100 or tag = a)", Every((ROME, Either((RICH, Tagged(("a",))))))),
        ("not city = rome and spent >= 100", Every((Not(ROME), RICH))),
        ("city = rome AND spent >= 100 AND tag = a", Every((ROME, RICH, Tagged(("a",))))),
    ],
)
def test_what_a_filter_says(text: str, means: Filter) -> None:
    assert parse(text, KINDS, NOW) == means


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("city", 5, "`=`, `!=` or `in`"),
        ("city =", 7, 'a text, as "Rome"'),
        ("city = 12", 8, 'a text, as "Rome"'),
        ("city > rome", 6, "`=`, `!=` or `in`"),
        ("city = 'Rome", 8, "a name, a value, a sign or a bracket"),
        ("spent >= many", 10, "a number"),
        ("spent ~ 5", 7, "a name, a value, a sign or a bracket"),
        ("born = 1990-02-30", 8, "a date, as 2026-11-21"),
        ("member = perhaps", 10, "yes or no"),
        ("country = Italy", 11, "a country's two letters, as IT"),
        ("consent = maybe", 11, "given, withdrawn or none"),
        ("consent is known", 9, "`=`, `!=` or `in`"),
        ("last_contact = 2026-11-01", 14, "`<`, `<=`, `>` or `>=`"),
        ("last_contact < 30 days", 23, "`days ago`"),
        ("last_contact < yesterday", 16, "a date as 2026-11-21, or `30 days ago`"),
        ('tag = "two words"', 7, 'a tag, as "vip"'),
        ("list = rome", 8, f'an audience\'s id, as "{LIST}"'),
        ("city is rome", 9, "`known` or `not known`"),
        ("city is not rome", 13, "`known`"),
        ("city in rome", 9, "`(`"),
        ("city in (rome oslo)", 15, "`,` or `)`"),
        ("(city = rome", 13, "`and`, `or` or `)`"),
        ("city = rome)", 12, "`and`, `or` or the end"),
        ("city = rome oslo", 13, "`and`, `or` or the end"),
        ("and city = rome", 1, "a name, `not` or `(`"),
        ("city = rome and", 16, "a name, `not` or `(`"),
        ("= rome", 1, "a name, `not` or `(`"),
        ("city = rome; DROP TABLE people", 12, "a name, a value, a sign or a bracket"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, place: int, what: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(text, KINDS, NOW)
    told = refused.value
    assert (told.rule, told.field, told.detail) == (
        "filter_expected",
        "filter",
        {"position": place, "expected": what},
    )


@pytest.mark.parametrize(("text", "place"), [("shoe = 1", 1), ("city = rome and  shoes = 1", 18)])
def test_only_declared_names_can_be_asked_for(text: str, place: int) -> None:
    with pytest.raises(Refused) as refused:
        parse(text, KINDS, NOW)
    assert (refused.value.rule, refused.value.detail) == ("filter_unknown_name", {"position": place})


def test_a_filter_has_its_bounds() -> None:
    for text, rule in (
        ("not " * DEEPEST + "city = rome", "filter_too_deep"),
        ("(" * 400 + "city = rome", "filter_too_deep"),
        (" or ".join(["city = rome"] * (MOST_CONDITIONS + 1)), "filter_too_many"),
        ("city = rome" + " " * LONGEST_FILTER, "filter_too_long"),
    ):
        with pytest.raises(Refused) as refused:
            parse(text, KINDS, NOW)
        assert refused.value.rule == rule
    assert parse(" or ".join(["city = rome"] * MOST_CONDITIONS), KINDS, NOW) == Either((ROME,) * MOST_CONDITIONS)
    parse("not " * (DEEPEST - 1) + "city = rome", KINDS, NOW)


PIECES = st.sampled_from(
    (
        *("city", "spent", "born", "country", "consent", "last_contact", "tag", "list", "shoe", "=", "!=", "<", ">="),
        *("(", ")", ",", "in", "is", "not", "known", "and", "or", "rome", '"a b"', "12", "-1.5", "2026-11-21"),
        *("days", "ago", "'", "\0"),
    )
)


@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=25).map(" ".join)))
def test_whatever_is_written_is_a_filter_or_refused_at_a_place_within_it(text: str) -> None:
    try:
        parse(text, KINDS, NOW)
    except Refused as refused:
        told = refused
    else:
        return
    position = told.detail["position"]
    assert told.field == "filter"
    assert isinstance(position, int)
    assert 1 <= position <= len(text) + 1


def test_the_languages_own_words_are_no_names_of_attributes() -> None:
    assert KNOWN.keys() < TAKEN


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (AttributeKind.TEXT, " Rome ", "rome"),
        (AttributeKind.TEXT, "x" * 201, None),
        (AttributeKind.TEXT, "a\0", None),
        (AttributeKind.NUMBER, "1200.50", 1200.5),
        (AttributeKind.NUMBER, "1,200", None),
        (AttributeKind.NUMBER, "nan", None),
        (AttributeKind.DATE, "1990-05-01", "1990-05-01"),
        (AttributeKind.DATE, "19900501", None),
        (AttributeKind.DATE, "1990-02-30", None),
        (AttributeKind.YES_NO, "Yes", True),
        (AttributeKind.YES_NO, "false", False),
        (AttributeKind.YES_NO, "perhaps", None),
    ],
)
def test_a_variable_is_a_value_of_its_kind_or_none(kind: AttributeKind, text: str, value: object) -> None:
    assert typed(kind, text) == value
    assert type(typed(kind, text)) is type(value)


def test_only_declared_variables_that_fit_are_values() -> None:
    fields = {"name": "Ana", "city": "Rome", "spent": "much", "member": "no"}
    assert values_of(KINDS, fields) == {"city": "rome", "member": False}
