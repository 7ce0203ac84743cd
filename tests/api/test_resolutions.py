"""Accounts removed and unknown sends resolved over HTTP, with each refusal."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.account import ReportTrouble, Trouble
from domain.allowance import GrantAllowance
from domain.message import Role
from domain.send import ConfirmSend, Doubt, DoubtSend, GiveUpSend, IntendSend, Receipt, ReportReceipt
from tests.api.house import House, Tenant
from tests.api.test_commands import until
from tests.api.test_jobs import approve

OPERATOR = {"role": Role.OPERATOR}


def removal(account: UUID) -> str:
    return f"/v1/accounts/{account}/remove"


def test_a_paused_account_is_removed_for_good_and_stays_listed(tenant: Tenant) -> None:
    account = tenant.account()
    tenant.ok("POST", f"/v1/accounts/{account}/pause", **OPERATOR)
    for _ in range(2):  # it already stands
        tenant.ok("POST", removal(account), **OPERATOR)
    found = tenant.ok("GET", f"/v1/accounts/{account}")
    assert (found["status"], found["paused"], found["linked"], found["permits"]) == ("removed", False, False, 0)
    assert [item["id"] for item in tenant.ok("GET", "/v1/accounts", params={"status": "removed"})["items"]] == [
        str(account)
    ]
    for verb in ("pause", "resume"):
        problem = tenant.problem("POST", f"/v1/accounts/{account}/{verb}", **OPERATOR)
        assert (problem["status"], problem["rule"], problem["field"]) == (409, "account_removed", "account_id")


@pytest.mark.parametrize("trouble", [None, Trouble.CRASHED, Trouble.BANNED])
def test_only_an_account_that_can_send_is_kept_from_removal(
    house: House, tenant: Tenant, trouble: Trouble | None
) -> None:
    account = tenant.account()
    if trouble is None:
        problem = tenant.problem("POST", removal(account), **OPERATOR)
        assert (problem["status"], problem["rule"], problem["field"]) == (409, "account_in_use", "account_id")
        assert tenant.ok("GET", f"/v1/accounts/{account}")["status"] == "ready"
    else:
        house.decide(ReportTrouble(account, trouble), tenant.workspace)
        tenant.ok("POST", removal(account), **OPERATOR)
        assert tenant.ok("GET", f"/v1/accounts/{account}")["status"] == "removed"


def test_accounts_of_nobody_and_of_others_are_not_removed(house: House, tenant: Tenant) -> None:
    account = tenant.account(ready=False)
    for asking, whose in ((tenant, uuid4()), (house.tenant(), account)):
        problem = asking.problem("POST", removal(whose), **OPERATOR)
        assert (problem["status"], problem["rule"], problem["field"]) == (404, "unknown_account", "account_id")
    assert tenant.ok("GET", f"/v1/accounts/{account}")["status"] == "registered"


def test_a_job_with_a_removed_account_is_neither_submitted_nor_revised(tenant: Tenant) -> None:
    job, gone = tenant.job(), tenant.account(ready=False)
    tenant.ok("POST", removal(gone), **OPERATOR)
    body = {"campaign_id": job["campaign_id"], "accounts": [str(gone)]}
    refused = [
        tenant.problem("POST", "/v1/jobs", body),
        tenant.problem("POST", f"/v1/jobs/{job['id']}/revise", {"accounts": [str(gone)]}),
    ]
    assert [(problem["rule"], problem["field"]) for problem in refused] == [("account_removed", "accounts.0")] * 2


# --- unknown sends ---------------------------------------------------------------------------------------------------


@pytest.fixture
def begun(house: House, tenant: Tenant) -> UUID:
    return a_begun_one(house, tenant)


def a_begun_one(house: House, tenant: Tenant) -> UUID:
    """A delivery of a running job, intended a moment ago."""
    job = tenant.job(rows=1)
    approve(tenant, job)
    tenant.ok("POST", f"/v1/jobs/{job['id']}/start", **OPERATOR)
    [pending] = tenant.ok("GET", f"/v1/jobs/{job['id']}/deliveries")["items"]
    account = UUID(pending["account_id"])
    house.decide(GrantAllowance(account), tenant.workspace)
    person = UUID(pending["recipient_id"])
    intend = IntendSend(UUID(pending["id"]), UUID(pending["job_id"]), person, account, ordinal=1, part=0, fence=1)
    assert house.decide(intend, tenant.workspace).state == "applied"
    return intend.delivery_id


@pytest.fixture
def unknown(house: House, tenant: Tenant, begun: UUID) -> UUID:
    return doubted(house, tenant, begun)


def doubted(house: House, tenant: Tenant, begun: UUID) -> UUID:
    """The same delivery, of which nobody can tell what became."""
    assert house.decide(DoubtSend(begun, 0, Doubt.DEADLINE), tenant.workspace).state == "applied"
    return begun


def resolve(tenant: Tenant, delivery: UUID, outcome: str, **more: Any) -> Any:
    return tenant.ok("POST", f"/v1/deliveries/{delivery}/resolve", {"outcome": outcome} | more, **OPERATOR)


def refused(tenant: Tenant, delivery: UUID, body: Any) -> tuple[int, str, str]:
    problem = tenant.problem("POST", f"/v1/deliveries/{delivery}/resolve", body, **OPERATOR)
    return problem["status"], problem["rule"], problem["field"]


def state(tenant: Tenant, delivery: UUID) -> str:
    found = tenant.ask("GET", f"/v1/deliveries/{delivery}").json()
    return str(found.get("state"))  # none, until the projector has seen it begin


@pytest.mark.parametrize(
    ("outcome", "becomes", "other"), [("sent", "sent", "not_sent"), ("not_sent", "failed", "sent")]
)
def test_somebody_says_once_what_became_of_an_unknown_send(
    tenant: Tenant, unknown: UUID, outcome: str, becomes: str, other: str
) -> None:
    until(lambda: state(tenant, unknown) == "unknown")
    resolve(tenant, unknown, outcome, note="It is on the phone of 12.")
    assert state(tenant, unknown) == becomes
    resolve(tenant, unknown, outcome)  # it already stands
    assert refused(tenant, unknown, {"outcome": other}) == (409, "not_unknown", "delivery_id")
    assert state(tenant, unknown) == becomes


def test_what_was_given_up_can_still_be_resolved_and_a_late_receipt_has_the_last_word(
    house: House, tenant: Tenant, unknown: UUID
) -> None:
    house.decide(GiveUpSend(unknown, 0), tenant.workspace)
    until(lambda: state(tenant, unknown) == "given_up")
    resolve(tenant, unknown, "not_sent", part=0)
    assert state(tenant, unknown) == "failed"
    house.decide(ReportReceipt(unknown, 0, Receipt.READ), tenant.workspace)
    until(lambda: state(tenant, unknown) == "read")


def test_what_is_not_unknown_is_not_resolved(house: House, tenant: Tenant, begun: UUID) -> None:
    for outcome in ("sent", "not_sent"):
        assert refused(tenant, begun, {"outcome": outcome}) == (409, "not_unknown", "delivery_id")
    house.decide(ConfirmSend(begun, 0), tenant.workspace)
    assert refused(tenant, begun, {"outcome": "not_sent"}) == (409, "not_unknown", "delivery_id")
    assert refused(tenant, begun, {"outcome": "sent", "part": 1}) == (409, "not_unknown", "delivery_id")
    until(lambda: state(tenant, begun) == "sent")


def test_deliveries_of_nobody_and_of_others_are_not_resolved(house: House, tenant: Tenant, unknown: UUID) -> None:
    for asking, whose in ((tenant, uuid4()), (house.tenant(), unknown)):
        assert refused(asking, whose, {"outcome": "sent"}) == (404, "unknown_delivery", "delivery_id")
    until(lambda: state(tenant, unknown) == "unknown")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "outcome"),
        ({"outcome": "given_up"}, "outcome"),
        ({"outcome": "sent", "part": "first"}, "part"),
        ({"outcome": "sent", "wa_id": "3EB0"}, "wa_id"),
    ],
)
def test_a_resolution_names_what_is_wrong_with_it(tenant: Tenant, unknown: UUID, body: Any, field: str) -> None:
    status, _, named = refused(tenant, unknown, body)
    assert (status, named) == (422, field)
    until(lambda: state(tenant, unknown) == "unknown")
