"""`/metrics` of the API: open to all, told by templates; and a trace that came with a request goes on."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from adapters import metrics
from domain.message import Role
from tests.api.house import House, Tenant
from tests.api.test_health import ask

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def shown(house: House) -> str:
    response = house.http.get(f"{house.url}/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == metrics.MEDIA_TYPE
    return response.text


def test_requests_are_told_by_their_routes_template(house: House, tenant: Tenant) -> None:
    campaign = tenant.campaign()
    tenant.ok("GET", f"/v1/campaigns/{campaign}")
    tenant.problem("GET", "/v1/somebody/+12025550143")
    text = shown(house)
    assert 'method="GET",route="/v1/campaigns/{campaign_id}",status="2xx"' in text
    assert 'method="POST",route="/v1/campaigns",status="2xx"' in text
    assert 'method="GET",route="unmatched",status="4xx"' in text
    for word in (str(campaign), "12025550143", tenant.workspace):
        assert word not in text


def test_a_mistake_of_ours_is_counted(house: House, tenant: Tenant) -> None:
    class Broken:
        async def by_command(self, *_asked: object) -> None:
            raise RuntimeError("secret particulars")

    services = replace(house.services, inbox=Broken())  # type: ignore[arg-type]  # broken on purpose
    ask(house, services, f"/v1/commands/{uuid4()}", tenant.keys[Role.AUTHOR])
    assert 'route="/v1/commands/{command_id}",status="5xx"' in shown(house)


def test_outcomes_of_commands_are_counted_by_their_rule(house: House, tenant: Tenant) -> None:
    metrics.know_rules(["unknown_campaign"])
    tenant.problem("POST", f"/v1/campaigns/{uuid4()}/archive")
    assert 'drumline_commands_total{command="campaign.archive",rule="unknown_campaign",state="refused"}' in shown(house)


@pytest.mark.parametrize("given", [TRACE, "nonsense"])
def test_a_trace_that_came_with_a_request_goes_on_with_its_command(house: House, tenant: Tenant, given: str) -> None:
    body = {"title": "Spring", "parts": [{"text": "Hello"}]}
    answer = tenant.ok("POST", "/v1/campaigns", body, headers={"traceparent": given})
    command = house.run(house.services.inbox.by_command(tenant.workspace, UUID(answer["command_id"])))
    assert command is not None
    assert command.traceparent == (TRACE if given == TRACE else "")
