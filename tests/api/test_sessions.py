"""An account's session over HTTP: what it means and what to do, a link code, a new start, and its watchers."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from adapters.sends import LINK_CODE, QR, RESTART, live
from adapters.sessions import SessionNow
from api.standing import ACCOUNT, DELIVERY, LONG, NOTHING, PAST, SESSION, SOON, STUCK, standing, to_do
from domain.account import ReportReady, ReportTrouble, Status, Trouble
from domain.message import Role
from domain.ports import SessionState
from domain.send import Rejection
from projections.outcomes import Outcome
from tests.api.house import House, Tenant
from tests.api.test_commands import until

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"
NUMBER = "+12025550177"


@contextmanager
def answers(
    house: House,
    account: UUID,
    verb: str,
    answer: dict[str, Any],
    told: Callable[[dict[str, Any]], bytes] = orjson.dumps,
) -> Iterator[list[bytes]]:
    """Somebody who answers for the account's session; what was asked."""
    asked: list[bytes] = []

    async def tell(request: bytes) -> bytes:
        asked.append(request)
        return told({"state": "qr", "reason": "scan"} | answer)

    async def serve() -> Callable[[], Awaitable[None]]:
        return await house.services.bus.serve(live(account, verb), tell)

    async def end() -> None:
        await stop()

    stop = house.run(serve())
    try:
        yield asked
    finally:
        house.run(end())


def says(house: House, account: UUID, state: SessionState, reason: str, *, held: bool = True) -> None:
    """A session says of itself how it is, under a lease that holds, or that nobody renewed."""

    async def put() -> None:
        async with house.pool.connection() as connection:
            await connection.execute("DELETE FROM leases WHERE account = %s", [account])
            await connection.execute("DELETE FROM session_states WHERE account_id = %s", [account])
            lease = "INSERT INTO leases (account, expires_at) VALUES (%s, now() + make_interval(secs => %s))"
            await connection.execute(lease, [account, 600 if held else -1])
            said = "INSERT INTO session_states (account_id, state, reason) VALUES (%s, %s, %s)"
            await connection.execute(said, [account, state, reason])

    house.run(put())


def test_an_account_tells_how_its_session_stands_and_what_to_do(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    path = f"/v1/accounts/{account}"
    assert (tenant.ok("GET", path)["session"], tenant.ok("GET", path)["says"]) == (None, SOON.says)
    says(house, account, SessionState.QR, "scan")
    found = tenant.ok("GET", path)
    assert (found["session"]["state"], found["session"]["reason"]) == ("qr", "scan")
    assert (found["says"], found["do"]) == (SESSION["qr", ""].says, SESSION["qr", ""].do)
    says(house, account, SessionState.READY, "main", held=False)
    assert tenant.ok("GET", path)["session"]["reason"] == "no_worker"
    house.decide(ReportReady(account), tenant.workspace)
    house.decide(ReportTrouble(account, Trouble.BANNED), tenant.workspace)
    until(lambda: tenant.ok("GET", path)["do"] == ACCOUNT["restricted", "banned"].do)


def test_the_number_is_told_to_those_who_may_link(house: House, tenant: Tenant) -> None:
    account = tenant.account()
    house.run(house.services.inbound.put_number(tenant.workspace, account, NUMBER, "17"))
    assert tenant.ok("GET", f"/v1/accounts/{account}", role=Role.OPERATOR)["number"] == NUMBER
    assert tenant.ok("GET", f"/v1/accounts/{account}", role=Role.AUTHOR)["number"] is None


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("session", [None, *SessionState])
def test_there_is_always_something_to_be_said(status: Status, session: SessionState | None) -> None:
    now = None if session is None else SessionNow(UUID(int=1), session, "any", NOW)
    for reason in (None, *Trouble):
        for paused in (True, False):
            told = standing(status, reason, paused=paused, session=now, now=NOW)
            assert told.says.endswith(".")
            assert told.do.endswith(".")


def test_what_takes_too_long_is_told_as_stuck() -> None:
    for since, stuck in ((NOW - LONG, False), (NOW - LONG - timedelta(seconds=1), True)):
        for state in SessionState:
            now = SessionNow(UUID(int=1), state, "", since)
            told = standing(Status.READY, None, paused=False, session=now, now=NOW)
            passing = state in (SessionState.LAUNCHING, SessionState.LOADING, SessionState.SYNCING)
            assert (told == STUCK) is (stuck and passing)


@pytest.mark.parametrize(
    ("outcome", "reason", "told"),
    [
        (Outcome.READ, None, "Nothing."),
        (Outcome.PENDING, None, NOTHING),
        (Outcome.SKIPPED, "opted_out", "Nothing."),
        (Outcome.UNKNOWN, "deadline", DELIVERY["unknown"]),
        (Outcome.GIVEN_UP, "given_up", DELIVERY["given_up"]),
        (Outcome.FAILED, "not_sent", "Nothing."),  # a person said so
        *((state, reason, DELIVERY[reason]) for state in (Outcome.FAILED, Outcome.PARTIAL) for reason in Rejection),
    ],
)
def test_a_delivery_says_what_there_is_to_be_done(outcome: Outcome, reason: str | None, told: str) -> None:
    assert to_do(outcome, reason) == told


def test_the_reference_has_each_sentence() -> None:
    text = REFERENCE.read_text()
    for table in (ACCOUNT, SESSION):
        for (state, reason), advice in table.items():
            named = f"`{reason}`" if reason else ""
            assert f"| `{state}` | {named} | {advice.says} | {advice.do} |" in text
    for name, do in DELIVERY.items():
        assert f"| `{name}` | {do} |" in text
    assert set(PAST.values()) <= set(SESSION)
    for advice in (STUCK, SOON):
        assert f"{advice.says} {advice.do}" in text


def test_a_link_code_is_asked_for_live_and_told_to_the_asker(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    path = f"/v1/accounts/{account}/link-code"
    inbound = house.services.inbound
    sealed = partial(inbound.sealed, tenant.workspace, account)
    with answers(house, account, LINK_CODE, {"code": "4XK29PLM"}, sealed) as asked:
        response = tenant.ask("POST", path, json={"number": "+1 (202) 555-0177"}, role=Role.OPERATOR)
        assert (response.status_code, response.json()) == (200, {"code": "4XK29PLM"})
        assert response.headers["cache-control"] == "no-store"
        assert [inbound.opened(tenant.workspace, account, one) for one in asked] == [NUMBER]
        wrong = tenant.problem("POST", path, {"number": "call me"}, role=Role.OPERATOR)
        assert (wrong["status"], wrong["rule"], wrong["field"]) == (422, "malformed", "number")
        assert tenant.problem("POST", path, {"number": NUMBER}, role=Role.AUTHOR)["rule"] == "role_required"
        assert len(asked) == 1
    for refused, rule in (("not_waiting", "no_link_code"), ("deadline", "whatsapp_refused")):
        with answers(house, account, LINK_CODE, {"code": None, "refused": refused}, sealed):
            problem = tenant.problem("POST", path, {"number": NUMBER}, role=Role.OPERATOR)
        assert (problem["status"], problem["rule"]) == (409, rule)
    assert tenant.problem("POST", path, {"number": NUMBER}, role=Role.OPERATOR)["rule"] == "no_session"


def test_a_session_is_restarted(house: House, tenant: Tenant) -> None:
    account = tenant.account()
    path = f"/v1/accounts/{account}/restart"
    with answers(house, account, RESTART, {"state": "ready", "reason": "main"}) as asked:
        assert tenant.ask("POST", path, role=Role.OPERATOR).status_code == 202
        assert tenant.problem("POST", path, role=Role.AUTHOR)["rule"] == "role_required"
        assert house.tenant().problem("POST", path, role=Role.OPERATOR)["rule"] == "unknown_account"
    assert len(asked) == 1


def test_an_account_that_was_removed_has_no_session_to_be_asked(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    tenant.ok("POST", f"/v1/accounts/{account}/remove", role=Role.OPERATOR)
    described = house.app.openapi()["paths"]
    number = {"number": NUMBER}
    asked: list[tuple[str, str, Any]] = [("GET", "qr", None), ("GET", "live", None), ("POST", "restart", None)]
    asked += [("POST", "link-code", number), ("POST", "check-number", number), ("POST", "contacts", {})]
    asked += [("POST", "groups", {}), ("POST", "groups/members", {"group": "120363025551234567@g.us"})]
    for method, what, body in asked:
        problem = tenant.problem(method, f"/v1/accounts/{account}/{what}", body, role=Role.OPERATOR)
        assert (problem["status"], problem["rule"], problem["field"]) == (409, "account_removed", "account_id")
        assert "409" in described[f"/v1/accounts/{{account_id}}/{what}"][method.lower()]["responses"]


def test_a_watcher_is_told_each_state_and_each_code_once(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    says(house, account, SessionState.QR, "scan")
    address = f"{house.url}/v1/accounts/{account}/live"
    headers = {"Authorization": f"Bearer {tenant.keys[Role.OPERATOR]}"}
    with (
        httpx.Client(trust_env=False, timeout=30) as http,
        http.stream("GET", address, headers=headers) as stream,
        answers(house, account, QR, {"qr": "2@first"}),
    ):
        assert stream.status_code == 200
        heard = (orjson.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: "))
        first = next(one for one in heard if one["qr"])
        says(house, account, SessionState.SYNCING, "syncing")
        second = next(heard)
        until(lambda: tenant.ok("GET", f"/v1/accounts/{account}")["session"]["state"] == "syncing")
    assert (first["qr"], first["session"]["state"], first["do"]) == ("2@first", "qr", SESSION["qr", ""].do)
    assert (second["qr"], second["session"]["state"]) == (None, "syncing")
