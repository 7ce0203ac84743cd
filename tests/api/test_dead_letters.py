"""Dead letters over HTTP: who may see, open, replay and drop them, and that each workspace has its own."""

from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from adapters import wire
from adapters.dead_letter_quota import Dead
from adapters.inbox import Pending
from domain.message import PrincipalId, Role, WorkspaceId
from tests.api.house import House, Tenant
from tests.api.test_commands import until
from workers.requests import command_key

PATH = "/v1/dead-letters"


@pytest.fixture
def letter(house: House, tenant: Tenant) -> str:
    """A command that crashed while its handler was ill; it is well again."""
    return str(a_letter(house, tenant))


def a_letter(house: House, tenant: Tenant) -> UUID:
    services = house.services
    author = house.run(services.keys.verify(tenant.keys[Role.AUTHOR]))
    assert author is not None
    command_id, body = uuid4(), orjson.dumps({"campaign_id": uuid4(), "title": "Spring", "parts": [{"text": "Hello"}]})
    key = command_key(author.workspace, author.id, command_id)
    sealed = services.contents.seal(author.workspace, key, body)
    named = (author.workspace, author.id, "campaign.create")
    house.run(
        services.inbox.crash(Pending(key, command_id, *named, wire.digest("campaign.create", body), b""), "crashed")
    )
    house.run(services.inbox.bury(Dead(key, *named, command_id, "crashed", sealed)))
    return key


def test_it_is_listed_and_told(tenant: Tenant, letter: str) -> None:
    (listed,) = tenant.ok("GET", PATH)["items"]
    told = tenant.ok("GET", f"{PATH}/{letter}")
    assert told == listed | {"actions": []}
    assert (told["id"], told["name"], told["reason"], told["state"]) == (letter, "campaign.create", "crashed", "dead")
    assert "body" not in told


def test_a_list_has_pages_and_a_filter(house: House, tenant: Tenant, letter: str) -> None:
    others = [str(a_letter(house, tenant)) for _ in range(2)]
    first = tenant.ok("GET", f"{PATH}?limit=2")
    assert [one["id"] for one in first["items"]] == others[::-1]
    last = tenant.ok("GET", f"{PATH}?limit=2&cursor={first['next']}")
    assert ([one["id"] for one in last["items"]], last["next"]) == ([letter], None)
    assert tenant.ok("GET", f"{PATH}?limit=3")["next"] is None
    tenant.ok("POST", f"{PATH}/{letter}/drop", role=Role.OPERATOR)
    assert [one["id"] for one in tenant.ok("GET", f"{PATH}?state=dropped")["items"]] == [letter]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_replayed_it_is_pending_under_its_own_id(house: House, tenant: Tenant, letter: str, role: Role) -> None:
    replayed = tenant.ok("POST", f"{PATH}/{letter}/replay", role=role)
    assert (replayed["state"], replayed["replays"]) == ("replayed", 1)
    assert [one["action"] for one in replayed["actions"]] == ["replayed"]
    assert replayed["actions"][0]["principal"] == tenant.keys[role][9:17]
    told = f"/v1/commands/{replayed['command_id']}"
    until(lambda: tenant.ok("GET", told)["state"] == "applied")
    assert tenant.ok("POST", f"{PATH}/{letter}/replay", role=role)["replays"] == 1


def test_only_an_admin_opens_one_and_that_is_written_down(tenant: Tenant, letter: str) -> None:
    for role in set(tenant.keys) - {Role.ADMIN}:
        problem = tenant.problem("GET", f"{PATH}/{letter}/body", role=role)
        assert (problem["status"], problem["rule"]) == (403, "role_required")
    assert "Spring" in tenant.ok("GET", f"{PATH}/{letter}/body", role=Role.ADMIN)["body"]
    assert [one["action"] for one in tenant.ok("GET", f"{PATH}/{letter}")["actions"]] == ["shown"]


@pytest.mark.parametrize("act", ["replay", "drop"])
def test_only_operators_and_admins_act(tenant: Tenant, letter: str, act: str) -> None:
    for role in set(tenant.keys) - {Role.ADMIN, Role.OPERATOR}:
        assert tenant.problem("POST", f"{PATH}/{letter}/{act}", role=role)["status"] == 403
    assert tenant.ok("GET", f"{PATH}/{letter}")["state"] == "dead"


def test_what_was_dropped_is_refused_by_rule(tenant: Tenant, letter: str) -> None:
    tenant.ok("POST", f"{PATH}/{letter}/drop", role=Role.OPERATOR)
    for method, path in (("POST", "replay"), ("GET", "body")):
        problem = tenant.problem(method, f"{PATH}/{letter}/{path}", role=Role.ADMIN)
        assert (problem["status"], problem["rule"], problem["field"]) == (409, "dropped", "dead_letter_id")


def test_another_workspace_does_not_learn_of_it(house: House, letter: str) -> None:
    stranger = house.tenant()
    assert stranger.ok("GET", PATH)["items"] == []
    asked: list[tuple[str, str]] = [("GET", ""), ("GET", "/body"), ("POST", "/replay"), ("POST", "/drop")]
    for method, path in asked:
        problem: dict[str, Any] = stranger.problem(method, f"{PATH}/{letter}{path}", role=Role.ADMIN)
        assert (problem["status"], problem["rule"]) == (404, "unknown_dead_letter")


@pytest.mark.parametrize("query", ["cursor=x", "cursor=-1", "state=alive", "limit=0", "limit=201"])
def test_a_bad_question_is_named(tenant: Tenant, query: str) -> None:
    problem = tenant.problem("GET", f"{PATH}?{query}")
    assert (problem["status"], problem["field"]) == (422, query.partition("=")[0])


def test_nobodys_letters_are_for_the_terminal_alone(house: House, tenant: Tenant) -> None:
    nobodys = Dead(uuid4(), WorkspaceId(""), PrincipalId(""), "unreadable", None, "no_principal", b"x")
    house.run(house.services.inbox.bury(nobodys))
    assert tenant.ok("GET", PATH)["items"] == []
    assert nobodys.id in {one.id for one in house.run(house.services.dead.page(None))}
