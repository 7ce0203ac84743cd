"""The matrix: whatever an id names in another workspace is not there, and is answered as what never was.

It is made of the catalog and of the application's routes. A command or a route that is new is in it; one that names
something that `everything` does not make fails here until it does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from pydantic import TypeAdapter

from adapters import message_examples as examples
from adapters import wire
from domain import catalog
from domain.message import Actor, Command, PrincipalId, Ref, Role, WorkspaceId
from tests.adapters.files import TEXT
from tests.api.house import ROLES, House, Tenant
from tests.api.test_commands import until
from tests.api.test_dead_letters import a_letter
from tests.api.test_imports import give
from tests.api.test_media import begin, put
from tests.api.test_resolutions import a_begun_one, doubted
from workers.requests import Outcome, Request

EVERYTHING = frozenset(set(Role) - {Role.SYSTEM})
A_DIGEST = re.compile("[0-9a-f]{64}")
NO_IDS = {"review_hash", "digest", "audience", "command_id"}  # of a body: they tell whether it is what was meant

# What begins under an id that its giver chooses: a new one is taken, one of another workspace's is refused as one's own
# would be. Over HTTP the ids are ours.
BEGIN = {
    ("account.register", "account_id"),
    ("template.create", "template_id"),
    ("campaign.create", "campaign_id"),
    ("job.submit", "job_id"),
    ("job.submit-message", "job_id"),
}


@dataclass(frozen=True)
class Place:
    """Where a body names something."""

    path: tuple[str | int, ...]

    @property
    def name(self) -> str:
        """What it names, as `everything` has it."""
        name = next(step for step in reversed(self.path) if isinstance(step, str))
        return name.removesuffix("s") + "_id" if name in ("accounts", "media") else name

    def put(self, body: Any, value: str) -> Any:
        """The same body, with another id there."""
        copy = orjson.loads(orjson.dumps(body))
        inner = copy
        for step in self.path[:-1]:
            inner = inner[step]
        inner[self.path[-1]] = value
        return copy


def places(body: Any, path: tuple[str | int, ...] = ()) -> Iterator[Place]:
    """Where a body has ids."""
    inner = enumerate(body) if isinstance(body, list) else body.items() if isinstance(body, dict) else ()
    for step, value in inner:
        yield from places(value, (*path, step))
    if isinstance(body, str) and is_id(body) and path[-1] not in NO_IDS:
        yield Place(path)


def is_id(text: str) -> bool:
    try:
        return bool(A_DIGEST.fullmatch(text)) or str(UUID(text)) == text
    except ValueError:
        return False


def nobodys(like: str) -> str:
    """An id of the same form, of nothing."""
    return uuid4().hex * 2 if A_DIGEST.fullmatch(like) else str(uuid4())


def everything(house: House, tenant: Tenant) -> dict[str, str]:
    """One of everything that has an id, by the name of that id in addresses and bodies."""
    unknown = doubted(house, tenant, a_begun_one(house, tenant))
    segment = str(uuid4())
    template = tenant.ok("POST", "/v1/templates", {"title": "Hours", "parts": [{"text": "Hello"}]})
    tenant.ok("PUT", f"/v1/segments/{segment}", {"title": "All", "filter": "everybody"})
    tenant.ok("PUT", "/v1/attributes/city", {"kind": "text"})
    imported = give(tenant).json()["import_id"]
    somebody = tenant.ask("POST", "/v1/people", json={"number": "+12025550199", "name": "Ada"}).json()
    until(lambda: tenant.ask("GET", f"/v1/audiences/imports/{imported}").json()["ended_at"] is not None)
    until(lambda: tenant.ask("GET", f"/v1/deliveries/{unknown}").status_code == 200)
    delivery = tenant.ok("GET", f"/v1/deliveries/{unknown}")
    job = tenant.ok("GET", f"/v1/jobs/{delivery['job_id']}")
    until(lambda: tenant.ask("GET", f"/v1/recipients/{delivery['recipient_id']}").status_code == 200)
    return {
        "delivery_id": str(unknown),
        "job_id": job["id"],
        "campaign_id": job["campaign_id"],
        "audience_id": job["audience_id"],
        "account_id": delivery["account_id"],
        "recipient_id": delivery["recipient_id"],
        "without_an_event": somebody["id"],
        "template_id": template["template_id"],
        "command_id": template["command_id"],
        "segment_id": segment,
        "name": "city",
        "import_id": imported,
        "media_id": put(tenant, TEXT)["id"],
        "upload_id": begin(tenant, 5).rpartition("/")[2],
        "dead_letter_id": str(a_letter(house, tenant)),
        "message_id": str(uuid4()),
    }


@dataclass(frozen=True)
class Both:
    """Two workspaces that have one of everything: theirs, whose ids are tried, and ours, who tries them."""

    theirs: Tenant
    their_ids: Mapping[str, str]
    ours: Tenant
    our_ids: Mapping[str, str]

    def foreign(self, name: str) -> list[str]:
        """What is tried of theirs under a name."""
        more = [self.their_ids["without_an_event"]] if name == "recipient_id" else []
        return [self.their_ids[name], *more]  # a KeyError: say in `everything` what is one


@pytest.fixture(scope="module")
def both(house: House) -> Both:
    theirs, ours = house.tenant(), house.tenant()
    made = Both(theirs, everything(house, theirs), ours, everything(house, ours))
    all_of_them = house.key(ours.workspace, *EVERYTHING)
    ours.keys = dict.fromkeys(ROLES, all_of_them)
    return made


# --- commands and decisions ------------------------------------------------------------------------------------------


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """A body of each command and of each decision of the system's own; more of one where it may name more."""
    for name in catalog.COMMANDS:
        body = examples.command_example(name)
        yield name, body
        if "parts" in body:
            of = [{"kind": "document", "media": "0" * 64}]
            yield name, body | {"parts": of}
            if "template" in examples.example(catalog.COMMANDS[name].kind, str):
                plain = {field: value for field, value in body.items() if field != "parts"}
                yield name, plain | {"template": {"template_id": str(uuid4()), "version": 1}}
    for kind in catalog.DECISIONS:
        yield kind.__name__, examples.example(kind, lambda _: "0" * 64)


def made(name: str, body: Any) -> Command:
    """The command that a body says."""
    if name not in catalog.COMMANDS:
        [kind] = [kind for kind in catalog.DECISIONS if kind.__name__ == name]
        command: Command = TypeAdapter(kind).validate_python(body)
        return command
    draft = wire.parse(name, orjson.dumps(body))
    return draft.command([Ref("0" * 64) for _ in draft.texts])


def asked(workspace: WorkspaceId, name: str, body: Any) -> Request:
    roles = EVERYTHING if name in catalog.COMMANDS else frozenset({Role.SYSTEM})
    return Request(made(name, body), Actor(PrincipalId("matrix"), workspace, roles), uuid4(), digest=b"d")


def seen(outcome: Outcome, given: str) -> Any:
    """An answer without the id that was given."""
    stream = outcome.stream.replace(given, "…")
    version = outcome.version if outcome.state == "refused" else None
    return outcome.state, outcome.rule, outcome.field, dict(outcome.detail), stream, version


def test_a_command_that_names_another_workspaces_is_answered_as_if_it_named_nothing(house: House, both: Both) -> None:
    tried: list[tuple[str, str, str, str]] = []  # command, what it names there, theirs, nobody's
    requests: list[Request] = []
    own: list[Request] = []
    ask = partial(asked, both.ours.workspace)
    for name, example in bodies():
        ours = example
        for place in places(example):
            ours = place.put(ours, both.our_ids[place.name])
        own.append(ask(name, ours))
        for place in places(example):
            for theirs in both.foreign(place.name):
                absent = nobodys(theirs)
                tried.append((name, place.name, theirs, absent))
                requests += [ask(name, place.put(ours, theirs)), ask(name, place.put(ours, absent))]
    before = rows(house, both.theirs.workspace)
    outcomes = house.run(house.decisions.make(requests))
    assert rows(house, both.theirs.workspace) == before
    pairs = zip(tried, outcomes[::2], outcomes[1::2], strict=True)
    unlike, begun = {}, set()
    for (name, what, theirs, absent), foreign, new in pairs:
        if new.state == "applied" and (foreign.state, foreign.rule, foreign.version) == ("refused", "id_taken", 0):
            begun.add((name, what))
        elif seen(foreign, theirs) != seen(new, absent):
            unlike[name, what] = seen(foreign, theirs), seen(new, absent)
    assert unlike == {}
    assert begun == BEGIN
    assert {name for name, *_ in tried} == {name for name, body in bodies() if list(places(body))}
    # It was for their ids: of what is ours nothing is unknown.
    told = zip(own, house.run(house.decisions.make(own)), strict=True)
    assert [(one.known_as, it.rule) for one, it in told if (it.rule or "").startswith("unknown")] == []


def test_what_is_kept_of_such_a_command_tells_no_more_than_its_answer(house: House, both: Both) -> None:
    """The table of commands is read over HTTP."""
    job, absent = both.their_ids["job_id"], str(uuid4())
    requests = [asked(both.ours.workspace, "job.stop", {"job_id": one}) for one in (job, absent)]
    house.run(house.decisions.make(requests))
    told = [both.ours.ok("GET", f"/v1/commands/{one.command_id}") for one in requests]
    for one, given in zip(told, (job, absent), strict=True):
        assert one.pop("job_id") == given
        for name in ("command_id", "answered_at", "received_at"):
            one.pop(name)
    assert told[0] == told[1]
    assert (told[0]["rule"], told[0]["version"]) == ("unknown_job", 0)


# --- routes ----------------------------------------------------------------------------------------------------------

NEW = {"put /v1/segments/{segment_id}"}  # the only address under which something begins that its asker names
WORDS = {"name"}  # of an attribute: each workspace has its own
STANDS_FOR = {"subject": "job_id"}  # parameters of queries that are called otherwise than what they name
HEADERS = {"Prefer": "wait=20", "Upload-Offset": "0", "Upload-Length": "5"}
STREAMING = "text/event-stream"


@dataclass(frozen=True)
class Address:
    """A route, and where in its address, query or body it names something."""

    method: str
    path: str
    operation: Mapping[str, Any]

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def example(self) -> Any:
        contents = self.operation.get("requestBody", {}).get("content", {})
        return contents.get("application/json", {}).get("example", {})

    def named(self) -> Iterator[tuple[str, str | Place]]:
        """What it names, and by what; what the bodies of commands name is tried above."""
        yield from ((name, name) for name in re.findall(r"\{(\w+)\}", self.path) if name not in WORDS)
        for one in self.operation.get("parameters", ()):
            if one["in"] == "query" and "uuid" in str(one["schema"]):
                yield STANDS_FOR.get(one["name"], f"{one['name']}_id"), one["name"]
        if "202" not in self.operation["responses"]:
            yield from ((place.name, place) for place in places(self.example))

    def asked(self, ours: Mapping[str, str], where: str | Place, value: str) -> tuple[str, str, dict[str, Any]]:
        """A request that would be taken, were it all there."""
        path = self.path.format(**{**ours, str(where): value})
        options: dict[str, Any] = {"headers": dict(HEADERS)}
        if isinstance(where, str) and f"{{{where}}}" not in self.path:
            options["params"] = {where: value}
        for kind, content in self.operation.get("requestBody", {}).get("content", {}).items():
            options["headers"]["Content-Type"] = kind
            body = content.get("example")
            for place in places(body):
                body = place.put(body, ours[place.name])
            if isinstance(where, Place):
                body = where.put(body, value)
            options["content"] = b"Hello" if body is None else orjson.dumps(body)
        return self.method.upper(), path, options


def addresses(house: House) -> list[Address]:
    paths = house.app.openapi()["paths"]
    found = [Address(method, path, one) for path, methods in paths.items() for method, one in methods.items()]
    return [one for one in found if list(one.named())]


def answer(tenant: Tenant, address: Address, ours: Mapping[str, str], where: str | Place, value: str) -> Any:
    """What is answered, without the id that was given and those that are made for each command."""
    method, path, options = address.asked(ours, where, value)
    response = tenant.ask(method, path, **options)
    assert STREAMING not in response.headers.get("content-type", ""), path
    return response.status_code, re.sub('"command_id":"[^"]*"', "", response.text.replace(value, "…"))


def test_an_address_that_names_another_workspaces_is_answered_as_if_it_named_nothing(house: House, both: Both) -> None:
    before = rows(house, both.theirs.workspace)
    unlike, begun, missing = {}, set(), {}
    ask = partial(answer, both.ours)
    for address in addresses(house):
        for name, where in address.named():
            for theirs in both.foreign(name):
                foreign = ask(address, both.our_ids, where, theirs)
                absent = ask(address, both.our_ids, where, nobodys(theirs))
                if absent[0] < 300 and foreign[0] == 409 and '"id_taken"' in foreign[1]:
                    begun.add(address.route)
                elif foreign != absent:
                    unlike[address.route, name] = foreign, absent
                elif where == name and foreign[0] != 404:
                    missing[address.route] = foreign
    assert unlike == {}
    assert begun == NEW
    assert {route: (status, orjson.loads(text)["items"]) for route, (status, text) in missing.items()} == {
        "get /v1/recipients/{recipient_id}/deliveries": (200, [])  # as of anybody of whom nothing is known
    }
    assert rows(house, both.theirs.workspace) == before


def test_what_is_one_workspaces_own_is_there_for_itself(both: Both) -> None:
    """Else the matrix would be of nothing."""
    there = {
        address.route: both.ours.ask(*address.asked(both.our_ids, name, both.our_ids[name])[:2]).status_code
        for address in addresses(both.ours.house)
        for name, where in address.named()
        if where == name and address.method == "get" and STREAMING not in str(address.operation)
    }
    assert set(there.values()) <= {200, 409, 503}, there  # an account has no session to tell of


def rows(house: House, workspace: WorkspaceId) -> dict[str, Any]:
    """All that the database has of a workspace: how many rows of each table, and a digest of what they say."""

    async def look() -> dict[str, Any]:
        async with house.pool.connection() as connection:
            tables = await (await connection.execute(TABLES)).fetchall()
            found = {
                name: await (await connection.execute(ROWS.format(name), [workspace])).fetchone() for (name,) in tables
            }
            found["stored_events"] = await (await connection.execute(EVENTS, [workspace])).fetchone()
        return found

    return house.run(look())


TABLES = """
SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND c.column_name = 'workspace' AND t.table_type = 'BASE TABLE'
"""
ROWS = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} t WHERE workspace = %s"
EVENTS = """
SELECT count(*), md5(string_agg(originator_id || originator_version, '|' ORDER BY notification_id)) FROM stored_events
WHERE convert_from(state, 'UTF8')::json #>> '{envelope,workspace}' = %s
"""
