"""Accounts over HTTP, and the QR that links a phone."""

import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
import pytest

from domain.account import ReportReady, ReportTrouble, Trouble
from domain.message import Role
from tests.api.house import House, Tenant, problem_in
from tests.api.test_commands import until

PAYLOAD = "2@AbCdEf0123456789,AbCdEf0123456789abcdef=,xyz==,1"


@contextmanager
def session(house: House, account: UUID, **state: Any) -> Iterator[None]:
    """Somebody who answers for the account's session."""

    async def answer(_request: bytes) -> bytes:
        return orjson.dumps({"state": "qr", "reason": "", "qr": PAYLOAD} | state)

    async def serve() -> Callable[[], Awaitable[None]]:
        return await house.services.bus.serve(f"ctl.session.{account}.qr", answer)

    async def end() -> None:
        await stop()

    stop = house.run(serve())
    try:
        yield
    finally:
        house.run(end())


def test_an_account_is_registered_and_shown(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    found = tenant.ok("GET", f"/v1/accounts/{account}")
    assert (found["label"], found["status"], found["linked"], found["paused"]) == ("Desk", "registered", False, False)
    house.decide(ReportReady(account), tenant.workspace)
    until(lambda: tenant.ok("GET", f"/v1/accounts/{account}")["status"] == "ready")
    house.decide(ReportTrouble(account, Trouble.BANNED), tenant.workspace)
    until(lambda: tenant.ok("GET", f"/v1/accounts/{account}")["status"] == "restricted")
    assert tenant.ok("GET", "/v1/accounts")["items"][0]["reason"] == "banned"


def test_an_account_is_paused_and_resumed(tenant: Tenant) -> None:
    account = tenant.account()
    for verb, paused in (("pause", True), ("resume", False)):
        tenant.ok("POST", f"/v1/accounts/{account}/{verb}", role=Role.OPERATOR)
        assert tenant.ok("GET", f"/v1/accounts/{account}")["paused"] is paused


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": "text/plain"}, {"Accept": "text/html,text/*"}])
def test_the_qr_as_text(house: House, tenant: Tenant, headers: dict[str, str]) -> None:
    account = tenant.account(ready=False)
    with session(house, account):
        response = tenant.ask("GET", f"/v1/accounts/{account}/qr", role=Role.OPERATOR, headers=headers)
    assert (response.status_code, response.text) == (200, PAYLOAD)
    assert response.headers["content-type"].startswith("text/plain")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("query", "accept"), [("", "image/png"), ("?format=png", "text/plain")])
def test_the_qr_as_a_picture(house: House, tenant: Tenant, query: str, accept: str) -> None:
    account = tenant.account(ready=False)
    with session(house, account):
        response = tenant.ask(
            "GET", f"/v1/accounts/{account}/qr{query}", role=Role.OPERATOR, headers={"Accept": accept}
        )
    assert response.headers["content-type"] == "image/png"
    assert response.content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", response.content[16:24])
    assert width == height > 200


def test_the_qr_as_json(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    with session(house, account):
        response = tenant.ask(
            "GET", f"/v1/accounts/{account}/qr", role=Role.OPERATOR, headers={"Accept": "application/json"}
        )
    assert response.json() == {"state": "qr", "qr": PAYLOAD}


def test_each_answer_is_the_qr_of_now(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    for payload in ("2@first", "2@second"):
        with session(house, account, qr=payload):
            assert tenant.ask("GET", f"/v1/accounts/{account}/qr", role=Role.OPERATOR).text == payload


def test_no_qr_when_the_session_shows_none(house: House, tenant: Tenant) -> None:
    account = tenant.account()
    with session(house, account, state="ready", reason="linked", qr=None):
        problem = problem_in(tenant.ask("GET", f"/v1/accounts/{account}/qr", role=Role.OPERATOR))
    assert (problem["status"], problem["rule"], problem["field"]) == (409, "no_qr", "account_id")
    assert problem["params"] == {"status": "ready", "reason": "linked"}


def test_no_qr_when_nobody_holds_the_session(tenant: Tenant) -> None:
    response = tenant.ask("GET", f"/v1/accounts/{tenant.account(ready=False)}/qr", role=Role.OPERATOR)
    assert problem_in(response)["rule"] == "no_session"
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


def test_no_qr_of_another_workspace(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    with session(house, account):
        assert (
            house.tenant().problem("GET", f"/v1/accounts/{account}/qr", role=Role.OPERATOR)["rule"] == "unknown_account"
        )


@pytest.mark.parametrize("role", sorted({*Role} - {Role.SYSTEM, Role.ADMIN, Role.OPERATOR}))
def test_only_who_may_register_accounts_sees_their_qr(house: House, tenant: Tenant, role: Role) -> None:
    account = tenant.account(ready=False)
    with session(house, account):
        assert tenant.ask("GET", f"/v1/accounts/{account}/qr", role=Role.ADMIN).text == PAYLOAD
        refused = tenant.problem("GET", f"/v1/accounts/{account}/qr", role=role)
    assert (refused["status"], refused["rule"], PAYLOAD in str(refused)) == (403, "role_required", False)
