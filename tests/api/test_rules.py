"""Each rule that anything refuses by has a sentence for people."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.rules import SENTENCES, sentence, status_of

ROOT = Path(__file__).parents[2]
# Of decisions that the system makes for itself; nobody gets to read them over HTTP.
INSIDE = {
    "account_not_ready",
    "allowance_over",
    "allowance_running",
    "clock_jumped",
    "already_acted_on",
    "job_not_running",
    "never_intended",
    "no_open_intent",
    "not_all_terminal",
    "not_due",
    "not_sent",
    "fence",
    "permits",
}


def rules(folder: str) -> Iterator[str]:
    """The first argument of every `Refused(…)` under a folder."""
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Refused"
                and node.args
            ):
                rule = node.args[0]
                if isinstance(rule, ast.Constant):
                    yield str(rule.value)


def test_every_rule_has_a_sentence() -> None:
    found = {rule for folder in ("domain", "workers", "api") for rule in rules(folder)} | set(rules("adapters"))
    assert len(found) > 30
    assert found - INSIDE <= set(SENTENCES), found - INSIDE - set(SENTENCES)


@pytest.mark.parametrize("rule", sorted(SENTENCES))
def test_a_sentence_reads_as_one_with_and_without_its_numbers(rule: str) -> None:
    said = sentence(rule, {})
    assert said[0].isupper() or said.startswith(("…", "drumline"))
    assert said.endswith(".")
    told = sentence(rule, {"minimum": 1, "maximum": 2})
    assert "{" not in re.sub(r"\{\{name[:|a-z]*\}\}", "", told), "but for variables, as they are written"


def test_what_nobody_wrote_a_sentence_for_is_readable_still() -> None:
    assert sentence("some_new_rule", {}) == "Some new rule."


@pytest.mark.parametrize(
    ("rule", "status"), [("own_job", 403), ("not_running", 409), ("out_of_range", 422), ("too_large", 413)]
)
def test_a_refusal_has_a_status(rule: str, status: int) -> None:
    assert status_of(rule) == status


def test_a_sentence_says_the_form_of_its_field() -> None:
    assert "offset" in sentence("datetime_parsing", {}, "start.local")
    assert "+01:00" not in sentence("datetime_parsing", {}, "start.local") + sentence("datetime_parsing", {}, "since")
    assert "4 hexadecimal" in sentence("malformed", {}, "id")
    assert sentence("malformed", {}, "another") == SENTENCES["malformed"]
