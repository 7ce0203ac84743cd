"""Commands over HTTP: written down before they are answered, the same under the same key, waited for if asked."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from adapters.cloudevents import Address
from domain.message import PrincipalId, Role
from tests.api.house import House, Tenant, problem_in
from workers.requests import command_key

NEW: dict[str, Any] = {"title": "Spring", "parts": [{"text": "Hello {{name}}"}]}


def until(found: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_a_command_is_accepted_with_its_id_and_that_of_what_it_makes(tenant: Tenant) -> None:
    response = tenant.ask("POST", "/v1/campaigns", json=NEW)
    assert response.status_code == 202
    answer = response.json()
    assert answer["state"] == "pending"
    assert response.headers["location"] == f"/v1/commands/{answer['command_id']}"
    until(lambda: tenant.ok("GET", response.headers["location"])["state"] == "applied")
    told = tenant.ok("GET", response.headers["location"])
    assert told["campaign_id"] == answer["campaign_id"]
    assert (told["name"], told["version"]) == ("campaign.create", 1)
    until(lambda: tenant.ask("GET", f"/v1/campaigns/{answer['campaign_id']}").status_code == 200)


def test_it_is_written_down_before_it_is_answered(house: House, tenant: Tenant) -> None:
    with house.without("intake"):
        answer = tenant.ask("POST", "/v1/campaigns", json=NEW).json()
        told = tenant.ok("GET", f"/v1/commands/{answer['command_id']}")
        assert told["state"] == "pending"
        assert "answered_at" not in told


def test_its_body_lies_sealed_and_only_while_it_is_pending(house: House, tenant: Tenant) -> None:
    secret = f"canary {uuid4()}"

    async def stored(command_id: str) -> tuple[bytes | None, str]:
        async with house.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT body, c::text FROM commands c WHERE command_id = %s", [command_id]
            )
            row = await cursor.fetchone()
            assert row is not None
            return row[0], row[1]

    with house.without("intake"):
        answer = tenant.ask("POST", "/v1/campaigns", json=NEW | {"title": secret}).json()
        body, row = house.run(stored(answer["command_id"]))
        assert body is not None
        assert secret.encode() not in body
        assert secret not in row
    until(lambda: tenant.ok("GET", f"/v1/commands/{answer['command_id']}")["state"] == "applied")
    assert house.run(stored(answer["command_id"]))[0] is None


def test_who_prefers_to_wait_is_answered_when_it_can_be_read(tenant: Tenant) -> None:
    response = tenant.ask("POST", "/v1/campaigns", json=NEW, headers={"Prefer": "wait=20"})
    assert (response.status_code, response.json()["state"]) == (200, "applied")
    assert response.headers["preference-applied"] == "wait=20"
    assert tenant.ask("GET", f"/v1/campaigns/{response.json()['campaign_id']}").status_code == 200


def test_a_wait_ends(house: House, tenant: Tenant) -> None:
    with house.without("intake"):
        began = time.monotonic()
        response = tenant.ask("POST", "/v1/campaigns", json=NEW, headers={"Prefer": "respond-async, wait=1"})
        assert 0.9 < time.monotonic() - began < 8
    assert (response.status_code, response.json()["state"]) == (202, "pending")
    assert response.headers["preference-applied"] == "wait=1"


@pytest.mark.parametrize(
    ("prefer", "applied"), [("wait=600", "wait=30"), ('wait="2"', "wait=2"), ("handling=lenient", None)]
)
def test_preferences_are_bounded_or_passed_over(tenant: Tenant, prefer: str, applied: str | None) -> None:
    response = tenant.ask("POST", "/v1/campaigns", json=NEW, headers={"Prefer": prefer})
    assert response.headers.get("preference-applied") == applied
    assert response.status_code == (200 if applied else 202)


def test_the_same_key_and_body_is_the_same_command(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "spring-1", "Prefer": "wait=20"}
    first = tenant.ask("POST", "/v1/campaigns", json=NEW, headers=headers)
    again = tenant.ask("POST", "/v1/campaigns", json=dict(reversed(NEW.items())), headers=headers)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert len(tenant.ok("GET", "/v1/campaigns")["items"]) == 1


def test_the_same_key_while_the_first_is_pending_is_still_one(house: House, tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "spring-1"}
    with house.without("intake"):
        answers = [tenant.ask("POST", "/v1/campaigns", json=NEW, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["command_id"] for answer in answers}) == 1
    command = answers[0].json()["command_id"]
    until(lambda: tenant.ok("GET", f"/v1/commands/{command}")["state"] == "applied")
    until(lambda: len(tenant.ok("GET", "/v1/campaigns")["items"]) == 1)


def test_the_same_key_with_another_body_is_refused_and_changes_nothing(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "spring-1"}
    campaign = tenant.ok("POST", "/v1/campaigns", NEW, headers=headers)["campaign_id"]
    problem = tenant.problem("POST", "/v1/campaigns", NEW | {"title": "Autumn"}, headers=headers)
    assert (problem["status"], problem["rule"], problem["field"]) == (422, "idempotency_key_reused", "Idempotency-Key")
    (found,) = tenant.ok("GET", "/v1/campaigns")["items"]
    assert (found["id"], found["title"]) == (campaign, "Spring")


def test_a_key_counts_for_one_route_and_one_credential(house: House, tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "k", "Prefer": "wait=20"}
    campaign = tenant.campaign()
    made = [
        tenant.ask("POST", "/v1/campaigns", json=NEW, headers=headers),
        tenant.ask("POST", "/v1/campaigns", json=NEW, headers=headers, role=Role.SERVICE),
        house.tenant().ask("POST", "/v1/campaigns", json=NEW, headers=headers),
        tenant.ask("POST", f"/v1/campaigns/{campaign}/revise", json=NEW, headers=headers),
    ]
    assert {response.status_code for response in made} == {200}
    assert len({response.json()["command_id"] for response in made}) == 4


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
def test_a_key_has_a_form(tenant: Tenant, key: str) -> None:
    headers: Any = {"Idempotency-Key": key.encode("latin-1")}
    problem = tenant.problem("POST", "/v1/campaigns", NEW, headers=headers)
    assert (problem["status"], problem["rule"]) == (422, "bad_idempotency_key")


def test_a_refusal_that_was_waited_for_is_a_problem_and_stays_one(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "once"}
    path = f"/v1/jobs/{UUID(int=1)}/start"
    first = tenant.problem("POST", path, role=Role.OPERATOR, headers=headers)
    again = tenant.problem("POST", path, role=Role.OPERATOR, headers=headers)
    assert first == again
    assert (first["status"], first["rule"], first["field"]) == (404, "unknown_job", "job_id")
    told = tenant.ok("GET", f"/v1/commands/{first['command_id']}")
    assert (told["state"], told["rule"], told["field"]) == ("refused", "unknown_job", "job_id")
    assert told["detail"] == first["detail"]


def test_a_command_that_crashed_is_told(house: House, tenant: Tenant) -> None:
    command = uuid4()

    async def crash() -> None:
        async with house.pool.connection() as connection:
            await connection.execute(
                "INSERT INTO commands (key, command_id, workspace, principal, name, digest, state, rule, answered_at) "
                "VALUES (%s, %s, %s, 'x', 'job.start', 'x', 'crashed', 'crashed', now())",
                [uuid4(), command, tenant.workspace],
            )

    house.run(crash())
    assert tenant.ok("GET", f"/v1/commands/{command}")["state"] == "crashed"


def test_what_is_satisfied_already_is_applied_with_nothing_new(tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    assert tenant.ok("POST", f"/v1/accounts/{account}/pause", role=Role.OPERATOR)["position"]
    again = tenant.ok("POST", f"/v1/accounts/{account}/pause", role=Role.OPERATOR)
    assert again["state"] == "applied"
    assert "position" not in again


def test_a_command_waits_for_the_bus_and_is_published_by_the_sweeper(house: House, tenant: Tenant) -> None:
    async def unreachable(*_args: Any, **_kwargs: Any) -> None:
        raise ConnectionError

    bus = house.services.bus
    kept = bus.js.publish
    bus.js.publish = unreachable  # type: ignore[method-assign,assignment]  # the broker cannot be cut off for one publisher
    try:
        with house.without("sweeper"):
            response = tenant.ask("POST", "/v1/campaigns", json=NEW)
            assert response.status_code == 202
            assert tenant.ok("GET", response.headers["location"])["state"] == "pending"
    finally:
        bus.js.publish = kept  # type: ignore[method-assign]  # as it was
    until(lambda: tenant.ok("GET", response.headers["location"])["state"] == "applied")


def test_the_row_is_the_one_that_the_bus_finds(house: House, tenant: Tenant) -> None:
    """Over HTTP and on the bus the same principal and command id are the same command."""
    answer = tenant.ok("POST", "/v1/campaigns", NEW)
    principal = PrincipalId(tenant.keys[Role.AUTHOR][9:17])
    key = command_key(tenant.workspace, principal, UUID(answer["command_id"]))
    assert house.run(house.services.inbox.find([key]))[key].state == "applied"


def test_what_comes_by_the_bus_is_seen_over_http_within_a_second(house: House, tenant: Tenant) -> None:
    key, command = tenant.keys[Role.AUTHOR], uuid4()
    body = orjson.dumps(NEW | {"campaign_id": str(uuid4())})
    address = Address(tenant.workspace, PrincipalId(key[9:17]), "campaign.create")
    began = time.monotonic()
    house.run(house.services.bus.command(address, command, body, house.services.clock()))
    until(lambda: len(tenant.ok("GET", "/v1/campaigns")["items"]) == 1)
    assert time.monotonic() - began < 1.0
    assert tenant.ok("GET", f"/v1/commands/{command}")["state"] == "applied"


def test_a_trace_goes_on_in_the_event(house: House, tenant: Tenant) -> None:
    trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
    answer = tenant.ok("POST", "/v1/campaigns", NEW, headers={"traceparent": trace})
    (recorded,) = house.run(house.services.store.page(answer["position"] - 1, 1))
    assert recorded.envelope.traceparent == trace
    assert str(recorded.envelope.causation) == answer["command_id"]


def test_a_command_nobody_gave_is_not_found(tenant: Tenant) -> None:
    assert tenant.problem("GET", f"/v1/commands/{uuid4()}")["rule"] == "unknown_command_id"
    response = tenant.ask("GET", "/v1/commands/7")
    assert (problem_in(response)["status"], problem_in(response)["field"]) == (422, "command_id")
