"""The documentation cannot rot: every name in the code is in the reference, every relative link leads somewhere."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import typer.main

from adapters import streams, wire
from adapters.audience_rows import Reason
from api import app as rest
from api import rules
from api.deps import Services
from domain import account, catalog, hearing, job, moderation, reactors, send
from domain.message import Role
from domain.ports import SessionState
from domain.recipient import ConsentSource
from infra import cli
from infra.settings import Settings
from projections.outcomes import Outcome

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PACKAGES = ("domain", "adapters", "projections", "api", "workers", "infra")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
WORDS: tuple[type[StrEnum], ...] = (
    Outcome,
    SessionState,
    Reason,
    Role,
    ConsentSource,
    account.Trouble,
    job.Deferral,
    job.Void,
    moderation.Flag,
    send.SkipReason,
    send.Rejection,
    send.Doubt,
)


@cache
def names() -> frozenset[str]:
    """What the reference sets in code type."""
    return frozenset(re.findall(r"`([^`\n]+)`", REFERENCE.read_text()))


def row(name: str) -> list[str]:
    """The cells of the table row that begins with a name."""
    (found,) = [line for line in REFERENCE.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def fields_of(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def in_code_type(cell: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", cell)


@cache
def rules_in_code() -> frozenset[str]:
    """Every rule that the code can name in a refusal."""
    return frozenset(rules_named())


def rules_named() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "sandbox" in path.parts:  # it has rules of its own, which nobody outside sees
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    yield from rule_of(node.func.id, node.args)


def rule_of(called: str, arguments: list[ast.expr]) -> Iterator[str]:
    position = {"Refused": 0, "ImportRefused": 0, "ApiError": 1, "allowed": 2}.get(called)
    if position is not None and len(arguments) > position:
        rule = arguments[position]
        if isinstance(rule, ast.Constant) and isinstance(rule.value, str):
            yield rule.value


@pytest.mark.parametrize("name", catalog.COMMANDS)
def test_a_command_is_told_with_its_roles_and_fields(name: str) -> None:
    command = catalog.COMMANDS[name]
    _, roles, fields, _ = row(name)
    assert set(roles.split(", ")) == command.roles - {Role.SYSTEM}
    assert set(in_code_type(fields)) - {"text"} == set(fields_of(command.kind))


@pytest.mark.parametrize("name", catalog.EVENTS)
def test_an_event_is_told_with_its_fields(name: str) -> None:
    assert in_code_type(row(name)[1]) == fields_of(catalog.EVENTS[name])


def test_every_inside_decision_is_named() -> None:
    assert {kind.__name__ for kind in catalog.DECISIONS} - names() == set()


@pytest.mark.parametrize("reaction", reactors.REACTIONS, ids=lambda reaction: reaction.rule)
def test_a_reaction_is_told_with_its_events_decision_and_timer(reaction: reactors.Reaction) -> None:
    decision = reactors.DECISIONS[reaction.kind](UUID(int=1), 1, [])
    events = ", ".join(f"`{catalog.EVENT_NAMES[kind]}`" for kind in reaction.on)
    assert row(reaction.rule)[1:4] == [events, f"`{type(decision).__name__}`", f"`{reaction.kind}`"]


def test_every_rule_is_named() -> None:
    in_code = {*rules_in_code(), *rules.SENTENCES, *wire.RULES.values()}
    assert len(in_code) > 50
    assert in_code - names() == set()


def test_a_command_names_only_rules_that_exist() -> None:
    told = {rule for name in catalog.COMMANDS for rule in in_code_type(row(name)[3])}
    assert told - {*rules_in_code(), *rules.SENTENCES} == set()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_told_with_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    assert row(f"DRUMLINE_{name.upper()}")[1] == (f"`{default}`" if default not in (None, "") else "")


def test_every_word_of_a_state_or_reason_is_named() -> None:
    statuses = {str(word) for kind in (job.Status, account.Status) for word in kind if word != "unknown"}
    assert {str(word) for kind in WORDS for word in kind} | statuses <= names()


@cache
def paths() -> dict[str, Any]:
    """The routes of the API, as its OpenAPI document has them."""
    found: dict[str, Any] = rest.create(cast("Services", None)).openapi()["paths"]
    return found


def test_every_route_is_told_with_its_command() -> None:
    routes = {f"{method.upper()} {path}": it for path, methods in paths().items() for method, it in methods.items()}
    told = {
        line.split("`")[1]
        for line in REFERENCE.read_text().splitlines()
        if re.match(r"\| `(GET|POST|PUT|PATCH|DELETE) ", line)
    }
    assert told == set(routes)
    for route, operation in routes.items():
        if "x-command" in operation:
            assert row(route)[1] == f"`{operation['x-command']}`"


def test_what_a_role_hears_is_told() -> None:
    told: dict[str, set[str]] = {}
    for line in REFERENCE.read_text().partition("### Listening")[2].partition("\n## ")[0].splitlines():
        if line.startswith("| ") and "`" in line:
            roles, heard = line.strip("| ").split(" | ")
            told |= {role: set(in_code_type(heard)) for role in roles.split(", ")}
    assert told.pop("author") == told.pop("service") == hearing.WRITING
    assert told == {role: hearing.HEARS[role] for role in (Role.MODERATOR, Role.OPERATOR)}
    assert hearing.HEARS[Role.ADMIN] == hearing.HEARS[Role.AUDITOR] == hearing.EVERYTHING


def test_every_list_is_told_with_its_filters() -> None:
    found = {}
    for path, methods in paths().items():
        names = [one["name"] for one in methods.get("get", {}).get("parameters", []) if one["in"] == "query"]
        if "cursor" in names and path != "/v1/dead-letters":  # which has no filters but its state
            found[path] = [name for name in names if name not in ("limit", "cursor", "at")]
    told = {line.split("`")[1] for line in REFERENCE.read_text().splitlines() if line.startswith("| `/v1/")}
    assert told == set(found)
    for path, filters in found.items():
        assert sorted(in_code_type(row(path)[1])) == sorted(filters), path


def test_every_stream_is_told_with_its_subjects() -> None:
    for stream in streams.streams(streams.Limits()):
        (subjects,) = stream.subjects or []
        assert f"`{subjects.partition('.')[0]}." in row(str(stream.name))[1]


def test_every_command_of_the_terminal_is_told() -> None:
    commands = cast("typer.core.TyperGroup", typer.main.get_command(cli.app)).commands
    lines = [
        f"drumline {name}" if not hasattr(one, "commands") else f"drumline {name} {sub}"
        for name, one in commands.items()
        for sub in getattr(one, "commands", [""])
    ]
    told = REFERENCE.read_text()
    assert [line for line in lines if f"| `{line}" not in told] == []


def anchor(heading: str) -> str:
    """The fragment that a heading has on the usual forges."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if fragment:
            assert fragment in {anchor(heading) for heading in HEADING.findall(target.read_text())}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_number_but_those_kept_for_fiction(page: Path) -> None:
    numbers = re.findall(r"\+(?:\d ?){10,}", page.read_text())
    assert [one for one in numbers if not re.match(r"\+1 ?202 ?555 ?01\d\d", one)] == []
