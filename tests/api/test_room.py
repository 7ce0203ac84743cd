"""A disk nearly full: new work is refused, what stops or protects is taken, and it passes by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from fastapi.routing import APIRoute, iter_route_contexts

from adapters.runtime.disk import Disk
from api.app import create
from api.openapi import COMMAND
from api.room import room
from domain import catalog
from domain.essential import ESSENTIAL
from domain.message import Role
from tests.api.house import House, Tenant, csv_of, people, problem_in
from tests.api.test_commands import until
from tests.small_disk import SmallDisk, needs_root, small_disk

NEW = {"title": "Hello", "parts": [{"text": "Hello"}]}
MEGABYTE = 1_000_000
Ask = Callable[..., httpx.Response]


@contextmanager
def served(house: House, tenant: Tenant, path: Path) -> Iterator[tuple[Ask, SmallDisk, Disk]]:
    """The API on a disk of 8 MB, of which 2 are to stay free."""
    with small_disk(path, 8) as small:
        disk = Disk([small.path / "data" / "media"], 2 * MEGABYTE)
        app = create(replace(house.services, disk=disk))

        def ask(method: str, path: str, role: Role = Role.AUTHOR, **options: Any) -> httpx.Response:
            async def asked() -> httpx.Response:
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                headers = {"Authorization": f"Bearer {tenant.keys[role]}", "Prefer": "wait=20"}
                async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as client:
                    return await client.request(method, path, headers=headers | options.pop("headers", {}), **options)

            disk.look()
            return house.run(asked())

        yield ask, small, disk


@needs_root
def test_a_disk_nearly_full_refuses_new_work_until_it_has_room(house: House, tenant: Tenant, scratch: Path) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    other = {"Idempotency-Key": uuid4().hex}
    with served(house, tenant, scratch / "disk") as (ask, small, disk):
        assert ask("POST", "/v1/campaigns", json=NEW, headers=key).status_code == 200
        small.fill(MEGABYTE)
        for refused in (
            ask("POST", "/v1/campaigns", json=NEW, headers=other),
            ask("POST", "/v1/audiences/import", files=csv_of(people(1))),
            ask("POST", "/v1/audiences", files=csv_of(people(1)), data={"title": "Customers"}),
            ask("POST", "/v1/media", content=b"\x89PNG"),
            ask("POST", "/v1/people", json={"number": "+12025550111", "name": "Ada"}),
            ask("PUT", f"/v1/segments/{uuid4()}", json={"title": "Ours", "filter": "country = US"}),
        ):
            problem = problem_in(refused)
            assert (refused.status_code, problem["rule"]) == (507, "disk_full")
            assert refused.headers["retry-after"] == "30"
        assert ask("POST", "/v1/campaigns", json=NEW, headers=key).status_code == 200  # it was accepted
        assert ask("POST", "/v1/people/search", json={"name": "ada"}).status_code == 200
        stop = ask("POST", f"/v1/jobs/{uuid4()}/stop", Role.OPERATOR)
        assert problem_in(stop)["rule"] == "unknown_job"  # it was decided
        unready = ask("GET", "/readyz")
        assert (unready.status_code, unready.json()["checks"]["disk"]["status"]) == (503, "full")
        small.empty()
        assert ask("POST", "/v1/campaigns", json=NEW, headers=other).status_code == 200
        until(lambda: ask("GET", "/readyz").json()["checks"]["disk"]["status"] == "ok")
        assert not disk.full


def test_what_is_always_taken_are_commands_that_there_are() -> None:
    assert set(catalog.COMMANDS) >= ESSENTIAL


def test_every_route_that_keeps_what_it_is_sent_asks_for_room(house: House) -> None:
    """A new route that stores what it is sent, and is no command, declares KEEPING; one that stores nothing is named
    here."""
    nothing = {
        ("POST", "/v1/campaigns/{campaign_id}/preview"),
        ("POST", "/v1/templates/{template_id}/preview"),
        ("POST", "/v1/jobs/{job_id}/preview"),
        ("POST", "/v1/recipients/look-up"),
        ("POST", "/v1/people/search"),
        ("POST", "/v1/segments/count"),
        ("POST", "/v1/search"),
        ("POST", "/v1/accounts/{account_id}/link-code"),
        ("POST", "/v1/accounts/{account_id}/restart"),
        ("POST", "/v1/accounts/{account_id}/contacts"),
        ("POST", "/v1/accounts/{account_id}/groups"),
        ("POST", "/v1/accounts/{account_id}/groups/members"),
        ("POST", "/v1/accounts/{account_id}/check-number"),
        ("POST", "/v1/dead-letters/{dead_letter_id}/replay"),
        ("POST", "/v1/dead-letters/{dead_letter_id}/drop"),
    }
    operations = house.app.openapi()["paths"]
    loose = {
        (method, context.path)
        for context in iter_route_contexts(house.app.routes)
        if isinstance(context.original_route, APIRoute)
        for method in context.methods or ()
        if method not in ("GET", "HEAD", "DELETE", "OPTIONS")
        and COMMAND not in operations[context.path][method.lower()]
        and not asks_for_room(context.dependant)
    }
    assert loose == nothing


def asks_for_room(dependant: Any) -> bool:
    """Whether a dependency, or one behind it, is room on the disk."""
    return any(one.call is room or asks_for_room(one) for one in dependant.dependencies)


def test_the_problem_is_said_in_the_documents(house: House) -> None:
    document = house.http.get(f"{house.url}/openapi.json").json()
    assert "507" in document["paths"]["/v1/campaigns"]["post"]["responses"]
