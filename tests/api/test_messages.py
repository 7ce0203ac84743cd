"""Direct messages over HTTP."""

from typing import Any
from uuid import UUID

import pytest

from domain.message import Role
from tests.api.house import House, Tenant, csv_of

PEOPLE = "number,name,consent\n+12025550142,Ada,yes\n+12025550143,Bo,no\n"


def people(tenant: Tenant) -> tuple[str, str]:
    """Two people: one who agreed, and one who did not."""
    tenant.ok("POST", "/v1/audiences", files=csv_of(PEOPLE), data={"title": "Customers"})
    numbers = ("+12025550142", "+12025550143")
    ada, bo = (tenant.ok("POST", "/v1/recipients/look-up", {"number": number})["id"] for number in numbers)
    return ada, bo


def message(tenant: Tenant, person: str, **fields: Any) -> dict[str, Any]:
    said = [{"kind": "text", "text": "Hello {{name}}"}]
    accounts = [str(tenant.account())]
    return {"recipient_id": person, "accounts": accounts, "title": "Hello", "parts": said} | fields


def test_a_direct_message_awaits_review_as_a_job_of_one(tenant: Tenant) -> None:
    ada, _ = people(tenant)
    answer = tenant.ok("POST", "/v1/messages", message(tenant, ada))
    job = tenant.ok("GET", f"/v1/jobs/{answer['job_id']}")
    assert (job["status"], job["recipients"], job["campaign_id"], job["audience_id"]) == ("submitted", 1, None, None)
    assert [entry["id"] for entry in tenant.ok("GET", "/v1/review-queue")["items"]] == [job["id"]]
    shown = tenant.ok("POST", f"/v1/jobs/{job['id']}/preview", {"recipient_id": ada}, role=Role.MODERATOR)
    assert shown["bubbles"][0]["part"]["text"] == "Hello Ada"
    approval = {"review_hash": job["review_hash"]}
    tenant.ok("POST", f"/v1/jobs/{job['id']}/approve", approval, role=Role.MODERATOR)
    assert tenant.ok("GET", f"/v1/jobs/{job['id']}")["status"] == "approved"


def test_by_policy_it_needs_no_review(tenant: Tenant) -> None:
    ada, _ = people(tenant)
    policy = {"approvals": 1, "own_approval": False, "review_messages": False}
    tenant.ok("PUT", "/v1/workspace/moderation-policy", policy, role=Role.ADMIN)
    answer = tenant.ok("POST", "/v1/messages", message(tenant, ada))
    job = tenant.ok("GET", f"/v1/jobs/{answer['job_id']}")
    assert (job["status"], job["approvals_needed"], job["approved_by"]) == ("approved", 0, [])


def test_what_is_written_to_one_person_is_held_of_them_and_goes_with_them(tenant: Tenant, house: House) -> None:
    ada, _ = people(tenant)
    job = tenant.ok("POST", "/v1/messages", message(tenant, ada, title="Ada's appointment"))["job_id"]
    held = tenant.ok("GET", f"/v1/people/{ada}/export", role=Role.ADMIN)
    assert sorted(held["texts"]) == ["Ada's appointment", "Hello {{name}}"]
    assert house.run(house.services.vault.erase(tenant.workspace, UUID(ada)))
    told = tenant.ok("GET", f"/v1/jobs/{job}")
    assert (told["title"], told["parts"][0]["text"]) == (None, None)


def test_nobody_is_written_to_who_did_not_agree_or_is_not_there(tenant: Tenant, house: House) -> None:
    ada, bo = people(tenant)
    problem = tenant.problem("POST", "/v1/messages", message(tenant, bo))
    assert (problem["status"], problem["rule"]) == (409, "no_consent")
    tenant.ok("POST", f"/v1/recipients/{ada}/opt-out")
    assert tenant.problem("POST", "/v1/messages", message(tenant, ada))["rule"] == "opted_out"
    other = house.tenant()
    assert other.problem("POST", "/v1/messages", message(other, ada))["rule"] == "unknown_recipient"


@pytest.mark.parametrize(
    ("fields", "rule", "field"),
    [
        ({"parts": [{"text": "Hello {{city}}"}]}, "variable_missing", "recipient_id"),
        ({"parts": []}, "empty", "parts"),
        ({"accounts": []}, "empty", "accounts"),
        ({"recipient_id": "+12025550142"}, "uuid_parsing", "recipient_id"),
        ({"number": "+12025550142"}, "unknown_field", "number"),
    ],
)
def test_a_message_that_could_not_be_sent_is_refused(
    tenant: Tenant, fields: dict[str, Any], rule: str, field: str
) -> None:
    ada, _ = people(tenant)
    problem = tenant.problem("POST", "/v1/messages", message(tenant, ada) | fields)
    assert (problem["rule"], problem["field"]) == (rule, field)
