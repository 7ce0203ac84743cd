"""Tests that share what takes long to start run on one worker."""

from pathlib import Path

from tests.together import SHARING, scope_of

ROOT = Path(__file__).parents[2]


def test_what_is_shared_is_there() -> None:
    paths = [path for paths in SHARING.values() for path in paths]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_tests_that_share_something_are_of_one_scope_and_each_other_is_alone() -> None:
    page, view, kinds = (f"tests/adapters/whatsapp/test_{name}.py::test_a[x]" for name in ("page", "view", "kinds"))
    assert scope_of(page) == scope_of(view) != scope_of(kinds)
    assert scope_of("tests/adapters/whatsapp/test_page_values.py::test_a") == scope_of(kinds)
    alone = "tests/adapters/test_keys.py::test_a[x::y]"
    assert scope_of(alone) == alone
