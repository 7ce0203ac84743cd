"""Derived ids, targets, and the words of a refusal."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain import catalog
from domain.account import PauseAccount
from domain.message import NAMES, Refused, derive
from domain.workspace import CreateWorkspace
from tests.builders import HERE, NORTH, NORTH_STREAM, RULES_STREAM


def test_the_same_causes_give_the_same_id_for_ever() -> None:
    assert derive("delivery", NORTH, 1) == derive("delivery", NORTH, 1)
    assert derive("delivery", 1) != derive("delivery", 2)
    assert derive("a") == UUID("b734dc7e-0096-536f-8111-29fdb582fcec")


@given(st.lists(st.one_of(st.text(), st.integers(), st.uuids()), max_size=5))
def test_derived_ids_are_those_of_the_standard(parts: list[object]) -> None:
    assert derive(*parts) == uuid5(NAMES, "|".join(str(part) for part in parts))


def test_a_command_is_addressed_by_its_aggregates_id_or_to_the_workspace() -> None:
    assert catalog.DECIDERS["account"].target(PauseAccount(NORTH), HERE) == NORTH_STREAM
    assert catalog.DECIDERS["workspace"].target(CreateWorkspace(), HERE) == RULES_STREAM


def test_a_refusal_names_the_field_and_the_rule() -> None:
    refusal = Refused("out_of_range", field="messages", minimum=1)
    assert (str(refusal), refusal.detail) == ("messages: out_of_range", {"minimum": 1})
