"""Campaigns over HTTP."""

from tests.api.house import Tenant


def test_a_campaign_is_made_and_found(tenant: Tenant) -> None:
    campaign = tenant.campaign(title="Opening", parts=[{"text": "Hello {{name}}"}, {"text": "Until Saturday!"}])
    found = tenant.ok("GET", f"/v1/campaigns/{campaign}")
    assert found["title"] == "Opening"
    assert found["parts"] == ["Hello {{name}}", "Until Saturday!"]
    assert found["version"] == 1
    assert tenant.ok("GET", "/v1/campaigns") == {"items": [found], "next": None}
