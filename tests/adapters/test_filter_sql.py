"""Nothing that somebody writes in a filter is ever a part of a statement: its text follows from the filter's shape."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from adapters.filter_sql import Condition
from domain.attributes import AttributeKind, typed
from domain.filter_language import parse

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = UUID("7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10")
NASTY = ("'; DROP TABLE people; --", "%(f0)s", "%s", "{}", "{0}", "\\", '"', "$1", "x' OR '1'='1", "/*", "f0", "}}")
ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
TEXTS = st.one_of(st.sampled_from(NASTY), ANY.filter(lambda text: typed(AttributeKind.TEXT, text) is not None))
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,15}_", fullmatch=True)  # none of the language's own words ends so


@st.composite
def filters(draw: st.DrawFn) -> tuple[str, str, dict[str, AttributeKind], list[str]]:
    """A filter, another of the same shape, the attributes of both, and what was written in the first."""
    conditions, plain, kinds, written = [], [], dict[str, AttributeKind](), list[str]()
    for place in range(draw(st.integers(1, 4))):
        name, other = f"{draw(NAMES)}{place}_", f"zz{place}_"
        one, two = draw(TEXTS), draw(TEXTS)
        quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in (one, two)]
        shape, said, instead = draw(
            st.sampled_from(
                [
                    ("{} = {}", (name, quoted[0]), (other, "a")),
                    ("not {} != {}", (name, quoted[0]), (other, "a")),
                    ("{} in ({}, {})", (name, *quoted), (other, "a", "b")),
                    ("({} is known or country = {})", (name, "IT"), (other, "DE")),
                    ("not {} is not known", (name,), (other,)),
                    ("tag in ({}, {})", (f"t{place}-x", "vip"), ("a", "b")),
                    ('list != "{}"', (ID,), (UUID(int=place),)),
                    ("last_contact < {} days ago", (draw(st.integers(0, 36_500)),), (1,)),
                ]
            )
        )
        said = tuple(f'"{word}"' if shape.startswith("tag") else word for word in said)
        conditions.append(shape.format(*said))
        plain.append(shape.format(*instead))
        kinds |= {name: AttributeKind.TEXT, other: AttributeKind.TEXT}
        written += [name, one, two]
    joints = [draw(st.sampled_from([" and ", " or "])) for _ in conditions]
    text, same = ("".join(map("".join, zip(some, joints, strict=True))) for some in (conditions, plain))
    return text.removesuffix(joints[-1]), same.removesuffix(joints[-1]), kinds, written


def statement(text: str, kinds: dict[str, AttributeKind]) -> tuple[str, Condition]:
    condition = Condition()
    composed = sql.Composed([condition.of(parse(text, kinds, NOW))])
    return composed.as_string(None), condition


@given(filters())
def test_a_statement_says_the_same_whatever_the_values_and_the_names_are(
    drawn: tuple[str, str, dict[str, AttributeKind], list[str]],
) -> None:
    text, same, kinds, written = drawn
    if len(text) > 2_000:
        return
    said, condition = statement(text, kinds)
    assert said == statement(same, kinds)[0]
    assert said.count("%(") == len(condition.values)
    assert not [word for word in written if len(word) > 7 and word in said]
