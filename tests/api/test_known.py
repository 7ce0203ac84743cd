"""Whom an account knows, over HTTP: asked live of its session, sealed on the bus, for those who may link."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from adapters.sends import KNOWN, live
from domain.message import Role
from tests.api.house import House, Tenant

MEI = {"number": "+12025550177", "lid": "120363021234567", "name": "Mei Tanaka"}
GROUP = {"id": "120363025551234567@g.us", "name": "Rowing on Sundays", "members": 14}


@contextmanager
def answers(house: House, tenant: Tenant, account: UUID, answer: dict[str, Any]) -> Iterator[list[Any]]:
    """Somebody who answers for the account's session; what was asked, opened."""
    asked: list[Any] = []
    inbound = house.services.inbound

    async def tell(request: bytes) -> bytes:
        assert b"mei" not in request
        assert b"2025550177" not in request
        asked.append(inbound.opened(tenant.workspace, account, request))
        return inbound.sealed(tenant.workspace, account, {"state": "ready", "reason": "main"} | answer)

    async def serve() -> Callable[[], Awaitable[None]]:
        return await house.services.bus.serve(live(account, KNOWN), tell)

    async def end() -> None:
        await stop()

    stop = house.run(serve())
    try:
        yield asked
    finally:
        house.run(end())


@pytest.mark.parametrize(
    ("path", "body", "told", "question"),
    [
        ("contacts", {"search": "mei", "limit": 5}, {"total": 1, "items": [MEI]},
         {"what": "contacts", "of": "mei", "offset": 0, "limit": 5}),
        ("groups", {"offset": 2}, {"total": 3, "items": [GROUP]},
         {"what": "groups", "of": "", "offset": 2, "limit": 100}),
        ("groups/members", {"group": GROUP["id"]}, {"total": 14, "items": [MEI]},
         {"what": "members", "of": GROUP["id"], "offset": 0, "limit": 100}),
    ],
)  # fmt: skip
def test_what_the_session_tells_comes_in_pages_and_is_kept_nowhere(
    house: House, tenant: Tenant, path: str, body: dict[str, Any], told: dict[str, Any], question: dict[str, Any]
) -> None:
    account = tenant.account()
    with answers(house, tenant, account, {"told": told}) as asked:
        response = tenant.ask("POST", f"/v1/accounts/{account}/{path}", json=body, role=Role.OPERATOR)
        assert (response.status_code, response.json()) == (200, told)
        assert response.headers["cache-control"] == "no-store"
        assert asked == [question]
        for role in (Role.AUTHOR, Role.MODERATOR, Role.AUDITOR):
            refused = tenant.problem("POST", f"/v1/accounts/{account}/{path}", body, role=role)
            assert refused["rule"] == "role_required"
        assert len(asked) == 1


@pytest.mark.parametrize("exists", [True, False])
def test_a_number_is_checked_however_it_is_written(house: House, tenant: Tenant, exists: bool) -> None:
    account = tenant.account()
    path = f"/v1/accounts/{account}/check-number"
    with answers(house, tenant, account, {"told": exists}) as asked:
        response = tenant.ask("POST", path, json={"number": "+1 (202) 555-0177"}, role=Role.OPERATOR)
        assert response.json() == {"number": "+12025550177", "exists": exists}
        wrong = tenant.problem("POST", path, {"number": "call me"}, role=Role.OPERATOR)
        assert (wrong["status"], wrong["rule"], wrong["field"]) == (422, "malformed", "number")
    assert asked == [{"what": "exists", "of": "+12025550177"}]


def test_a_session_that_cannot_tell_and_one_that_is_not_there_are_told_apart(house: House, tenant: Tenant) -> None:
    account = tenant.account()
    path = f"/v1/accounts/{account}/groups"
    assert tenant.problem("POST", path, {}, role=Role.OPERATOR)["rule"] == "no_session"
    with answers(house, tenant, account, {"refused": "not_ready", "state": "syncing"}):
        problem = tenant.problem("POST", path, {}, role=Role.OPERATOR)
    assert (problem["status"], problem["rule"]) == (409, "cannot_tell")
    assert "syncing" in problem["detail"]
    assert house.tenant().problem("POST", path, {}, role=Role.OPERATOR)["rule"] == "unknown_account"
    for wrong, field in (({"limit": 0}, "limit"), ({"limit": 201}, "limit"), ({"by": "name"}, "by")):
        assert tenant.problem("POST", path, wrong, role=Role.OPERATOR)["field"] == field
