"""`?at=`: things as they were at a position of the log, and what is refused."""

from uuid import uuid4

import pytest

from domain.message import Role
from tests.api.house import House, Tenant
from tests.api.test_jobs import Sends, approve


def head(house: House) -> int:
    return house.run(house.services.store.head())


def test_a_job_is_shown_as_it_stood_with_its_counts_and_deliveries(house: House, tenant: Tenant) -> None:
    job = tenant.job(rows=4)
    path, seen = f"/v1/jobs/{job['id']}", {}

    def look() -> None:
        seen[head(house)] = tenant.ok("GET", path), tenant.ok("GET", f"{path}/deliveries")

    look()
    approve(tenant, job)
    look()
    sends = Sends(house, tenant, job)
    for ordinal in (1, 2):
        sends.happen(ordinal, sends.intended(ordinal))
        look()
    sends.happen(1, sends.confirmed(1))
    sends.happen(3, sends.skipped(3))
    look()
    sends.happen(2, sends.rejected(2))
    tenant.ok("POST", f"{path}/stop", role=Role.OPERATOR)
    look()
    assert len({position: job["status"] for position, (job, _) in seen.items()}) == len(seen)
    for position, (then, deliveries) in seen.items():
        at = {"at": position}
        assert tenant.ok("GET", path, params=at) == then
        assert tenant.ok("GET", f"{path}/deliveries", params=at) == deliveries
        first = tenant.ok("GET", f"{path}/deliveries", params=at | {"limit": 3})
        rest = tenant.ok("GET", f"{path}/deliveries", params=at | {"cursor": first["next"]})
        assert first["items"] + rest["items"] == deliveries["items"]
        for delivery in deliveries["items"]:
            if delivery["position"] is not None:
                assert tenant.ok("GET", f"/v1/deliveries/{delivery['id']}", params=at) == delivery


def test_a_campaign_and_an_account_are_shown_as_they_stood(house: House, tenant: Tenant) -> None:
    campaign, account = tenant.campaign(title="Before"), tenant.account(ready=False)
    paths = (f"/v1/campaigns/{campaign}", f"/v1/accounts/{account}")
    at, before = head(house), [tenant.ok("GET", path) for path in paths]
    tenant.ok("POST", f"{paths[0]}/revise", {"title": "After", "parts": [{"text": "Bye"}]})
    tenant.ok("POST", f"{paths[1]}/pause", role=Role.OPERATOR)
    assert [tenant.ok("GET", path, params={"at": at}) for path in paths] == before
    now = {"at": head(house)}
    assert [tenant.ok("GET", path, params=now) for path in paths] == [tenant.ok("GET", path) for path in paths]
    assert tenant.ok("GET", paths[0])["title"] == "After"


@pytest.mark.parametrize("kind", ["campaigns", "accounts", "jobs", "deliveries"])
def test_what_nobody_knows_has_no_past_either(house: House, tenant: Tenant, kind: str) -> None:
    problem = tenant.problem("GET", f"/v1/{kind}/{uuid4()}", params={"at": 1})
    assert problem["status"] == 404
    stranger = house.tenant(created=False)
    campaign = tenant.campaign()
    assert stranger.problem("GET", f"/v1/campaigns/{campaign}", params={"at": head(house)})["status"] == 404


def test_positions_that_cannot_be_are_refused_by_field_and_rule(house: House, tenant: Tenant) -> None:
    before = head(house)
    job = tenant.job()
    for path in (f"/v1/jobs/{job['id']}", f"/v1/jobs/{job['id']}/deliveries", f"/v1/campaigns/{job['campaign_id']}"):
        refused = {
            before: "not_yet_begun",
            head(house) + 1_000_000: "ahead_of_log",
            0: "greater_than_equal",
            2**63: "less_than_equal",
            "now": "int_parsing",
        }
        for at, rule in refused.items():
            problem = tenant.problem("GET", path, params={"at": at})
            assert (problem["status"], problem["field"], problem["rule"]) == (422, "at", rule)
    problem = tenant.problem("GET", f"/v1/jobs/{job['id']}/deliveries", params={"at": head(house), "state": "sent"})
    assert (problem["field"], problem["rule"]) == ("state", "not_with_at")
