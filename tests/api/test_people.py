"""People over HTTP: found, changed, erased."""

from uuid import uuid4

from domain.message import Role
from tests.api.house import Tenant


def member(tenant: Tenant) -> str:
    """Somebody of a list."""
    job = tenant.job(rows=1)
    found: str = tenant.ok("GET", f"/v1/jobs/{job['id']}/deliveries")["items"][0]["recipient_id"]
    return found


def test_an_erased_person_is_told_as_such_and_no_consent_brings_them_back(tenant: Tenant) -> None:
    path = f"/v1/recipients/{member(tenant)}"
    tenant.ok("POST", f"{path}/erase", role=Role.ADMIN)
    told = tenant.ok("GET", path)
    assert told["erased_at"]
    assert (told["consented"], told["source"], told["given_at"]) == (False, None, None)
    tenant.ok("POST", f"{path}/erase", role=Role.SERVICE)
    consent = {"source": "paper", "given_at": "2026-01-01T00:00:00Z"}
    problem = tenant.problem("POST", f"{path}/consent", consent)
    assert (problem["status"], problem["rule"], problem["field"]) == (409, "erased", "recipient_id")
    assert tenant.ok("GET", "/v1/counts")["recipients"]["by"] == {"erased": 1}


def test_only_admins_and_services_erase_and_only_people_who_are_there(tenant: Tenant) -> None:
    path = f"/v1/recipients/{member(tenant)}/erase"
    for role in (Role.AUTHOR, Role.OPERATOR, Role.MODERATOR, Role.AUDITOR):
        assert tenant.problem("POST", path, role=role)["rule"] == "role_required"
    problem = tenant.problem("POST", f"/v1/recipients/{uuid4()}/erase", role=Role.ADMIN)
    assert (problem["status"], problem["rule"]) == (404, "unknown_recipient")
    assert tenant.house.tenant().problem("POST", path, role=Role.ADMIN)["rule"] == "unknown_recipient"
