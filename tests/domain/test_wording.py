"""Templates hold names between double braces, and nothing else happens in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.wording import FORMATS, lacking, links, malformed, render, required, variables

NAME = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="{}"))


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("Hello", set()),
        ("Hello {{name}}, {{ city }}!", {"name", "city"}),
        ("{{a}}{{a}}{{b_2}}", {"a", "b_2"}),
        ("{name} {{Name}} {{2nd}} {{first name}} {{}}", set()),
        ("{{" + "x" * 40 + "}}", {"x" * 40}),
        ("{{" + "x" * 41 + "}}", set()),
    ],
)
def test_the_variables_of_a_text(template: str, names: set[str]) -> None:
    assert variables(template) == names


@pytest.mark.parametrize(
    "template", ["{{Name}}", "{{name", "name}}", "{{}}", "{{first name}}", "{{ {{name}} }}", "{{é}}"]
)
def test_braces_that_are_no_variable_are_malformed(template: str) -> None:
    assert malformed(template)


@pytest.mark.parametrize("template", ["", "{{name}}", "{ {name} }", "{{{name}}}", "a } b { c"])
def test_other_braces_are_just_text(template: str) -> None:
    assert not malformed(template)


@given(st.lists(st.tuples(PLAIN, NAME, st.text()), max_size=6), PLAIN)
def test_each_variable_is_replaced_by_its_value_and_the_rest_stays(
    pieces: list[tuple[str, str, str]], end: str
) -> None:
    values = {name: value for _, name, value in pieces}
    template = "".join(f"{text}{{{{ {name} }}}}" for text, name, _ in pieces) + end
    assert render(template, values) == "".join(text + values[name] for text, name, _ in pieces) + end
    assert variables(template) == values.keys()
    assert not malformed(template)


@pytest.mark.parametrize(
    ("form", "value", "written"),
    [
        ("upper", "Ana López", "ANA LÓPEZ"),
        ("lower", "ANA", "ana"),
        ("title", "ANA-MARÍA o'neil", "Ana-María O'Neil"),
        ("first", "  Ana María ", "Ana"),
        ("first", " ", ""),
        ("date", "2026-11-21", "21.11.2026"),
        ("date", " 2026-11-21T14:30:00+01:00 ", "21.11.2026"),
        ("dmy", "2026-11-02", "02/11/2026"),
        ("mdy", "2026-11-02", "11/02/2026"),
        ("time", "2026-11-21T14:30", "14:30"),
    ],
)
def test_a_format_says_how_a_value_is_written(form: str, value: str, written: str) -> None:
    for template in (f"{{{{x:{form}}}}}", f"{{{{ x : {form} | later}}}}"):
        assert render(template, {"x": value}) == written
        assert not malformed(template)


def test_every_format_is_told_of() -> None:
    assert set(FORMATS) == {"upper", "lower", "title", "first", "date", "dmy", "mdy", "time"}


def test_a_default_stands_in_for_what_is_missing_or_cannot_be_read() -> None:
    assert render("Hello {{name|friend}}!", {}) == "Hello friend!"
    assert render("Hello{{name|}}!", {}) == "Hello!"
    assert render("{{name:upper| dear guest }}", {}) == "dear guest"
    assert render("{{name|friend}}", {"name": "Ana"}) == "Ana"
    assert render("{{due:date|soon}}", {"due": "next week"}) == "soon"
    with pytest.raises(ValueError, match=r"^due$"):
        render("{{due:date}}", {"due": "next week"})


def test_only_a_variable_without_a_default_is_required() -> None:
    template = "{{a}} {{b|x}} {{c:upper}} {{d:upper|x}} {{e|x}} {{e}}"
    assert required(template) == {"a", "c", "e"}
    assert variables(template) == {"a", "b", "c", "d", "e"}


@pytest.mark.parametrize(
    "template", ["{{name:loud}}", "{{name:}}", "{{name:Upper}}", "{{name|a|b}}", "{{name|a{b}}", "{{name|{{x}}}}"]
)
def test_what_is_no_format_or_default_is_malformed(template: str) -> None:
    assert malformed(template)


def test_a_value_is_never_read_as_a_template() -> None:
    assert render("{{a}} {{b}}", {"a": "{{b}}", "b": r"\1 {{a}}"}) == r"{{b}} \1 {{a}}"


def test_whoever_lacks_a_variable_is_no_recipient() -> None:
    with pytest.raises(KeyError, match="city"):
        render("{{name}} {{city}}", {"name": "Ana"})


@pytest.mark.parametrize(
    "text",
    [
        "See https://example.test/x",
        "HTTP://EXAMPLE.TEST",
        "(www.example.test)",
        "shop.example.com",
        "Write to us: example.de, or call",
        "go.example.co.uk/{{code}}",
        "example.com.",
    ],
)
def test_what_a_phone_makes_a_link_of_is_a_link(text: str) -> None:
    assert links(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello {{name}}",
        "We open at 9.30.",
        "e.g. today",
        "Yes...no",
        "http:// is how it begins",
        "1.5 km",
        "wwwhat",
    ],
)
def test_other_points_and_colons_are_not(text: str) -> None:
    assert not links(text)


@given(st.lists(st.tuples(NAME, st.sampled_from(["", ":date"]), st.sampled_from(["", "|then"])), max_size=4))
def test_what_somebody_lacks_is_all_that_keeps_a_text_from_being_written(pieces: list[tuple[str, str, str]]) -> None:
    template = " ".join(f"{{{{{name}{form}{default}}}}}" for name, form, default in pieces)
    values = {name: "soon" for place, (name, _, _) in enumerate(pieces) if place % 2}
    lacked = lacking(template, values)
    for name, form, default in pieces:
        if not default and (name not in values or form):
            assert name in lacked
    if lacked:
        with pytest.raises((KeyError, ValueError)):
            render(template, values)
    assert "{{" not in render(template, values | dict.fromkeys(lacked, "2026-11-21"))
