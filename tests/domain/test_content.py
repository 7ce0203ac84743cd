"""Templates hold names between double braces, and nothing else happens in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content import links, malformed, render, variables

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
