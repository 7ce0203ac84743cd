"""People over HTTP: the phone book, segments of it, and what is erased."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.message import Role
from domain.ports import Arrived, MessageArrived
from tests.api.house import Tenant
from tests.api.test_commands import until


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


ADA: dict[str, Any] = {
    "number": "+1 202 555 0101",
    "name": "Ada Lovelace",
    "variables": {"city": "London", "spent": "120"},
    "tags": ["vip", "new"],
}
BO: dict[str, Any] = {"number": "(416) 555-0102", "country": "CA", "name": "Bo", "variables": {"city": "Oslo"}}


def added(tenant: Tenant, person: dict[str, Any]) -> dict[str, Any]:
    response = tenant.ask("POST", "/v1/people", json=person)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def names(tenant: Tenant, **wanted: Any) -> list[str]:
    return [one["name"] for one in tenant.ok("POST", "/v1/people/search", wanted)["items"]]


def test_a_person_is_added_found_changed_and_looked_up(tenant: Tenant) -> None:
    ada, bo = added(tenant, ADA), added(tenant, BO)
    assert ada == ADA | {
        "id": ada["id"],
        "number": "+12025550101",
        "country": "US",
        "version": 1,
        "tags": ["new", "vip"],
    }
    assert (bo["number"], bo["country"]) == ("+14165550102", "CA")
    assert names(tenant) == ["Bo", "Ada Lovelace"]
    for wanted in ({"name": "LOVELACE"}, {"name": "lovelace ada"}, {"number": "+12025550101"}, {"filter": "tag = vip"}):
        assert names(tenant, **wanted) == ["Ada Lovelace"], wanted
    for wanted in ({"name": "love"}, {"name": "ada bo"}, {"number": "+12025550199"}, {"filter": "tag = old"}):
        assert names(tenant, **wanted) == [], wanted
    path = f"/v1/people/{ada['id']}"
    changed = tenant.ok("PUT", path, {"name": "Ada King", "variables": {"city": " "}})
    assert (changed["version"], changed["variables"], changed["tags"]) == (2, {}, [])
    assert tenant.ok("GET", path) == changed
    assert tenant.ok("PUT", path, {"name": "Ada King"}) == changed
    assert names(tenant, name="King") == ["Ada King"]
    found = tenant.ok("POST", "/v1/recipients/look-up", {"number": "+12025550101"})
    assert found == {"id": ada["id"], "recorded": None}


def test_the_book_comes_in_pages(tenant: Tenant) -> None:
    for place in range(5):
        added(tenant, {"number": f"+120255501{place:02}", "name": f"P{place}"})
    first = tenant.ok("POST", "/v1/people/search", {"limit": 3})
    second = tenant.ok("POST", "/v1/people/search", {"limit": 3, "cursor": first["next"]})
    assert [one["name"] for one in first["items"] + second["items"]] == ["P4", "P3", "P2", "P1", "P0"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("body", "rule", "field"),
    [
        ({}, "missing", "number"),
        ({"number": "12"}, "string_too_short", "number"),
        ({"number": "2025550101"}, "malformed", "number"),
        ({"number": "+12025550101", "age": 3}, "unknown_field", "age"),
        ({"number": "+12025550101", "variables": {"name": "x"}}, "reserved", "variables.name"),
        ({"number": "+12025550101", "tags": ["Two words"]}, "malformed", "tags.0"),
        ({"number": "+12025550101", "name": "x" * 201}, "string_too_long", "name"),
        ({"number": "+12025550101", "name": "Ada\x00"}, "value_unreadable", "name"),
        ({"number": "+12025550101", "variables": {"city": "\x1bRome"}}, "value_unreadable", "variables.city"),
        ({"number": "+12025550101", "variables": {"Two words": "x"}}, "malformed", "variables"),
    ],
)
def test_a_person_who_cannot_be_added_is_refused(tenant: Tenant, body: dict[str, Any], rule: str, field: str) -> None:
    problem = tenant.problem("POST", "/v1/people", body)
    assert (problem["status"], problem["rule"], problem["field"]) == (422, rule, field)
    assert names(tenant) == []


def test_who_is_added_again_in_the_same_words_is_the_same_person(tenant: Tenant) -> None:
    assert added(tenant, ADA) == added(tenant, ADA)
    others: list[dict[str, Any]] = [{"name": "Ada King"}, {"tags": []}, {"variables": {}}]
    for other in others:
        assert tenant.problem("POST", "/v1/people", ADA | other)["rule"] == "number_taken"
    assert names(tenant) == ["Ada Lovelace"]


def test_a_number_is_one_persons_and_an_erased_ones_nobodys(tenant: Tenant) -> None:
    ada = added(tenant, ADA)
    problem = tenant.problem("POST", "/v1/people", ADA | {"name": "Ada King"})
    assert (problem["status"], problem["rule"], problem["field"]) == (409, "number_taken", "number")
    tenant.ok("POST", f"/v1/recipients/{ada['id']}/erase", role=Role.ADMIN)
    house = tenant.house
    assert house.run(house.services.vault.erase(tenant.workspace, UUID(ada["id"])))
    problem = tenant.problem("POST", "/v1/people", ADA)
    assert (problem["status"], problem["rule"], problem["field"]) == (409, "erased", "number")
    for path in ("", "/export"):
        assert tenant.problem("GET", f"/v1/people/{ada['id']}{path}", role=Role.ADMIN)["rule"] == "unknown_recipient"
    assert names(tenant) == []


def test_names_and_numbers_are_for_some_roles_and_for_one_workspace(tenant: Tenant) -> None:
    ada = added(tenant, ADA)
    path = f"/v1/people/{ada['id']}"
    for role in (Role.AUDITOR, Role.MODERATOR):
        assert tenant.problem("GET", path, role=role)["rule"] == "role_required"
        assert tenant.problem("POST", "/v1/people/search", {}, role=role)["rule"] == "role_required"
    assert tenant.problem("POST", "/v1/people", BO, role=Role.OPERATOR)["rule"] == "role_required"
    assert tenant.problem("GET", f"{path}/export", role=Role.AUTHOR)["rule"] == "role_required"
    other = tenant.house.tenant()
    assert other.problem("GET", path)["status"] == 404
    assert other.problem("PUT", path, {})["status"] == 404
    assert other.problem("GET", f"{path}/export", role=Role.ADMIN)["status"] == 404
    assert names(other) == []


def test_an_export_has_all_that_is_held_of_a_person(tenant: Tenant) -> None:
    ada = added(tenant, ADA)
    tenant.ok("PUT", f"/v1/people/{ada['id']}", {"name": "Ada King"})
    tenant.ok("PUT", "/v1/attributes/city", {"kind": "text"})
    consent = {"source": "paper", "given_at": "2026-01-01T00:00:00Z", "proof": "Form 12, signed by Ada"}
    tenant.ok("POST", f"/v1/recipients/{ada['id']}/consent", consent)
    audience = tenant.ok("POST", "/v1/audiences/choose", {"title": "All", "filter": "everybody"})["audience_id"]
    held = tenant.ok("GET", f"/v1/people/{ada['id']}/export", role=Role.ADMIN)
    assert [one["fields"] for one in held["versions"]] == [
        {"name": "Ada Lovelace", "city": "London", "spent": "120"},
        {"name": "Ada King"},
    ]
    assert (held["texts"], held["audiences"], held["messages"]) == (["Form 12, signed by Ada"], [audience], [])
    assert held["recorded"]["source"] == "paper"
    assert held["person"]["name"] == "Ada King"


def test_a_filter_is_counted_as_it_is_typed_and_says_where_it_is_wrong(tenant: Tenant) -> None:
    added(tenant, ADA)
    added(tenant, BO)
    tenant.ok("PUT", "/v1/attributes/city", {"kind": "text"})
    tenant.ok("PUT", "/v1/attributes/spent", {"kind": "number"})
    wait_until_ready(tenant)
    for text, count in (("", 2), ("city = london", 1), ("spent > 200", 0), ("country in (US, CA)", 2)):
        counted = tenant.ok("POST", "/v1/segments/count", {"filter": text})
        assert counted == {"count": count, "exact": True, "margin": 0}, text
    problem = tenant.problem("POST", "/v1/segments/count", {"filter": "city = london and spent >"})
    assert (problem["status"], problem["rule"], problem["field"]) == (422, "filter_expected", "filter")
    assert problem["params"] == {"position": 26, "expected": "a number"}
    assert problem["detail"] == "At character 26 of the filter, a number is expected."
    problem = tenant.problem("POST", "/v1/people/search", {"filter": "shoe = 41"})
    assert (problem["rule"], problem["params"]) == ("filter_unknown_name", {"position": 1})


def wait_until_ready(tenant: Tenant) -> None:
    until(lambda: all(one["ready"] for one in tenant.ok("GET", "/v1/attributes")["items"]))


def test_attributes_are_declared_and_withdrawn(tenant: Tenant) -> None:
    assert tenant.ok("PUT", "/v1/attributes/spent", {"kind": "number"})["items"][0]["kind"] == "number"
    for name, rule in (("Spent", "malformed"), ("country", "reserved"), ("name", "reserved")):
        assert tenant.problem("PUT", f"/v1/attributes/{name}", {"kind": "text"})["rule"] == rule
    assert tenant.problem("PUT", "/v1/attributes/spent", {"kind": "colour"})["rule"] == "enum"
    assert (
        tenant.problem("PUT", "/v1/attributes/spent", {"kind": "text"}, role=Role.OPERATOR)["rule"] == "role_required"
    )
    assert tenant.ok("DELETE", "/v1/attributes/spent") == {"items": []}
    for name in ("spent", "%00", "💥"):
        problem = tenant.problem("DELETE", f"/v1/attributes/{name}")
        assert (problem["status"], problem["rule"]) == (404, "unknown_attribute")


def test_a_kept_filter_chooses_an_audience_that_a_campaign_can_name(tenant: Tenant) -> None:
    added(tenant, ADA)
    added(tenant, BO)
    segment = uuid4()
    path = f"/v1/segments/{segment}"
    kept = tenant.ok("PUT", path, {"title": "Important", "filter": "tag = vip"})
    assert tenant.ok("GET", path) == kept
    assert tenant.ok("GET", "/v1/segments", params={"limit": 1}) == {"items": [kept], "next": None}
    chosen = tenant.ok("POST", "/v1/audiences/choose", {"title": "Autumn", "segment_id": str(segment)})
    assert (chosen["recipients"], chosen["state"]) == (1, "applied")
    audience = tenant.ok("GET", f"/v1/audiences/{chosen['audience_id']}")
    assert (audience["title"], audience["recipients"], audience["filter"]) == ("Autumn", 1, "tag = vip")
    campaign = tenant.campaign(audience_id=chosen["audience_id"])
    job = tenant.ok("POST", "/v1/jobs", {"campaign_id": str(campaign), "accounts": [str(tenant.account())]})
    assert tenant.ok("GET", f"/v1/jobs/{job['job_id']}")["recipients"] == 1
    assert tenant.ok("DELETE", path) == kept
    assert tenant.problem("GET", path)["rule"] == "unknown_segment"
    assert tenant.problem("PUT", path, {"title": "Bad", "filter": "tag ="})["rule"] == "filter_expected"


def test_a_choice_repeated_under_its_key_is_one_and_another_under_it_is_refused(tenant: Tenant) -> None:
    added(tenant, ADA)
    headers = {"Idempotency-Key": "autumn"}
    body = {"title": "Autumn", "filter": "everybody"}
    first = tenant.ok("POST", "/v1/audiences/choose", body, headers=headers)
    added(tenant, BO)
    assert tenant.ok("POST", "/v1/audiences/choose", body, headers=headers)["recipients"] == 1
    assert len(tenant.ok("GET", "/v1/audiences")["items"]) == 1
    other = tenant.problem("POST", "/v1/audiences/choose", body | {"filter": "tag = vip"}, headers=headers)
    assert (other["rule"], other["field"]) == ("idempotency_key_reused", "Idempotency-Key")
    for wrong in ({"title": "Both", "filter": "everybody", "segment_id": str(uuid4())}, {"title": "None"}):
        assert tenant.problem("POST", "/v1/audiences/choose", wrong)["rule"] == "filter_or_segment"
    missing = tenant.problem("POST", "/v1/audiences/choose", {"title": "Kept", "segment_id": str(uuid4())})
    assert (missing["status"], missing["rule"]) == (404, "unknown_segment")
    assert first["state"] == "applied"


def wrote(tenant: Tenant, number: str, *texts: str) -> None:
    """Somebody writes to an account of the workspace."""
    inbound, account = tenant.house.services.inbound, tenant.account()
    for place, text in enumerate(texts):
        said = MessageArrived(f"3EB0{place:016X}", Arrived.TEXT, 1_790_000_000.0 + place, number, "", text)
        assert tenant.house.run(inbound.keep(tenant.workspace, account, said))


def test_what_a_person_wrote_comes_in_pages_opened_for_those_who_see_people(tenant: Tenant) -> None:
    ada, bo = added(tenant, ADA), added(tenant, BO)
    wrote(tenant, "+12025550101", "Hello?", "Is it open?", "Thank you!")
    path = f"/v1/people/{ada['id']}/messages"
    first = tenant.ok("GET", f"{path}?limit=2")
    rest = tenant.ok("GET", f"{path}?limit=2&cursor={first['next']}")
    assert [one["text"] for one in first["items"] + rest["items"]] == ["Thank you!", "Is it open?", "Hello?"]
    assert rest["next"] is None
    assert tenant.ok("GET", f"/v1/people/{bo['id']}/messages", role=Role.OPERATOR) == {"items": [], "next": None}
    for role in (Role.AUDITOR, Role.MODERATOR):
        assert tenant.problem("GET", path, role=role)["rule"] == "role_required"
    for asker, person in ((tenant.house.tenant(), ada["id"]), (tenant, uuid4())):
        assert asker.problem("GET", f"/v1/people/{person}/messages")["rule"] == "unknown_recipient"
