"""Templates over HTTP, and campaigns made from them."""

from typing import Any

from tests.api.house import House, Tenant

SAID = [{"kind": "text", "text": "Hello {{name|friend}}"}, {"kind": "poll", "question": "When?", "choices": ["1", "2"]}]


def made(tenant: Tenant, **fields: Any) -> str:
    answer = tenant.ok("POST", "/v1/templates", {"title": "Opening", "parts": SAID} | fields)
    return str(answer["template_id"])


def test_a_template_is_made_revised_found_and_archived(tenant: Tenant) -> None:
    template = made(tenant)
    found = tenant.ok("GET", f"/v1/templates/{template}")
    assert (found["title"], found["version"], found["archived"]) == ("Opening", 1, False)
    assert [part["kind"] for part in found["parts"]] == ["text", "poll"]
    assert tenant.ok("GET", "/v1/templates") == {"items": [found], "next": None}
    answer = tenant.ok("POST", f"/v1/templates/{template}/revise", {"title": "Autumn", "parts": SAID[:1]})
    revised = tenant.ok("GET", f"/v1/templates/{template}")
    assert (revised["title"], revised["version"], len(revised["parts"])) == ("Autumn", 2, 1)
    earlier = tenant.ok("GET", f"/v1/templates/{template}", params={"at": answer["position"] - 1})
    assert earlier["parts"] == found["parts"]
    tenant.ok("POST", f"/v1/templates/{template}/archive")
    assert tenant.ok("GET", "/v1/templates", params={"archived": False})["items"] == []
    assert tenant.problem("GET", f"/v1/templates/{tenant.campaign()}")["rule"] == "unknown_template"


def test_a_campaign_from_a_template_names_it_and_keeps_what_it_had(tenant: Tenant) -> None:
    template = made(tenant)
    named = {"template_id": template, "version": 1}
    body = {"title": "Spring", "template": named}
    campaign = tenant.ok("POST", "/v1/campaigns", body)["campaign_id"]
    tenant.ok("POST", f"/v1/templates/{template}/revise", {"title": "Opening", "parts": SAID[1:]})
    found = tenant.ok("GET", f"/v1/campaigns/{campaign}")
    assert (found["template"], [part["kind"] for part in found["parts"]]) == (named, ["text", "poll"])
    problem = tenant.problem("POST", "/v1/campaigns", body)
    assert (problem["status"], problem["rule"], problem["field"]) == (409, "not_the_newest", "template.version")
    problem = tenant.problem("POST", "/v1/campaigns", body | {"parts": SAID})
    assert (problem["rule"], problem["field"]) == ("parts_and_template", "template")
    assert tenant.ok("GET", "/v1/campaigns", params={"template": template})["items"] == [found]


def test_a_template_of_another_workspace_does_not_exist(tenant: Tenant, house: House) -> None:
    template, other = made(tenant), house.tenant()
    body = {"title": "Spring", "template": {"template_id": template, "version": 1}}
    assert other.problem("POST", "/v1/campaigns", body)["rule"] == "unknown_template"
    assert other.problem("GET", f"/v1/templates/{template}")["rule"] == "unknown_template"
