"""Jobs, the review queue and deliveries over HTTP: the states and counts that a job goes through."""

from typing import Any
from uuid import UUID

import pytest

from domain.message import Event, Role, StreamId, derive
from domain.send import (
    DeliveryDelivered,
    DeliveryRead,
    DeliverySkipped,
    Doubt,
    Rejection,
    SendConfirmed,
    SendIntended,
    SendRejected,
    SendUnknown,
    SkipReason,
    wa_id,
)
from tests.adapters.logs import an_item
from tests.api.house import House, Tenant
from tests.api.test_commands import until

NONE = dict.fromkeys(
    (
        "pending",
        "intended",
        "sent",
        "delivered",
        "read",
        "failed",
        "partial",
        "skipped",
        "unknown",
        "given_up",
        "stopped",
    ),
    0,
)


class Sends:
    """Appends to the log what sending a job to its recipients would."""

    def __init__(self, house: House, tenant: Tenant, job: dict[str, Any], parts: int = 1) -> None:
        self.house, self.tenant, self.parts = house, tenant, parts
        self.job = UUID(job["id"])
        self.account = UUID(job["accounts"][0])
        self.people = self.listed()
        self.versions: dict[int, int] = {}

    def listed(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.tenant.ok("GET", f"/v1/jobs/{self.job}/deliveries", params=query)["items"]
        return items

    def happen(self, ordinal: int, *events: Event) -> None:
        """Append to a recipient's delivery, and wait until it is shown."""
        stream = StreamId(f"delivery-{self.people[ordinal - 1]['id']}")
        expected = self.versions.get(ordinal, 0)
        item = an_item(stream, *events, expected=expected, workspace=self.tenant.workspace)
        (verdict,) = self.house.run(self.house.services.store.append([item]))
        assert verdict.position
        self.versions[ordinal] = verdict.version
        reached = verdict.position
        until(lambda: self.house.run(self.house.services.models.position()) >= reached)

    def id(self, ordinal: int) -> UUID:
        return UUID(self.people[ordinal - 1]["id"])

    def intended(self, ordinal: int, part: int = 0) -> SendIntended:
        person = UUID(self.people[ordinal - 1]["recipient_id"])
        name = wa_id(self.id(ordinal), part)
        block = derive("block", self.account)
        return SendIntended(self.job, person, self.account, ordinal, part, self.parts, 1, name, 1, block)

    def confirmed(self, ordinal: int, part: int = 0) -> SendConfirmed:
        return SendConfirmed(self.job, part, 1, wa_id(self.id(ordinal), part), part + 1 == self.parts)

    def rejected(self, ordinal: int, part: int = 0) -> SendRejected:
        return SendRejected(self.job, part, 1, wa_id(self.id(ordinal), part), Rejection.NOT_ON_WHATSAPP)

    def doubted(self, ordinal: int, part: int = 0) -> SendUnknown:
        return SendUnknown(self.job, part, 1, wa_id(self.id(ordinal), part), Doubt.DEADLINE)

    def skipped(self, ordinal: int) -> DeliverySkipped:
        person = UUID(self.people[ordinal - 1]["recipient_id"])
        return DeliverySkipped(self.job, person, self.account, ordinal, 0, SkipReason.OPTED_OUT)

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.tenant.ok("GET", f"/v1/jobs/{self.job}")["counts"]
        assert sum(counts.values()) == len(self.people), "each recipient is in one state"
        return counts

    def states(self) -> list[str]:
        return [item["state"] for item in self.listed()]


def approve(tenant: Tenant, job: dict[str, Any]) -> None:
    body = {"review_hash": job["review_hash"]}
    tenant.ok("POST", f"/v1/jobs/{job['id']}/approve", body, role=Role.MODERATOR)


def test_a_submitted_job_shows_everything_its_hash_covers(tenant: Tenant) -> None:
    tenant.ok("PUT", "/v1/workspace/sending-policy", {"messages": 3, "seconds": 60}, role=Role.ADMIN)
    job = tenant.job(rows=4, start_at="2031-05-01T09:00:00+02:00")
    campaign = tenant.ok("GET", f"/v1/campaigns/{job['campaign_id']}")
    assert (job["title"], job["parts"]) == (campaign["title"], campaign["parts"])
    assert (job["status"], job["recipients"], job["campaign_version"]) == ("submitted", 4, 1)
    assert job["start_at"] == "2031-05-01T07:00:00Z"
    assert job["pace"] == {"messages": 3, "seconds": 60}
    assert job["counts"] == NONE | {"pending": 4}
    assert len(job["review_hash"]) == 64
    assert job["submitted_by"] == tenant.keys[Role.AUTHOR][9:17]


def test_the_review_queue_holds_what_awaits_an_answer_oldest_first(tenant: Tenant) -> None:
    first, second, third = tenant.job(), tenant.job(), tenant.job()
    queue = tenant.ok("GET", "/v1/review-queue", role=Role.MODERATOR)["items"]
    assert [item["id"] for item in queue] == [first["id"], second["id"], third["id"]]
    assert queue[0] == {name: first[name] for name in queue[0]}
    assert first["flags"] == []
    approve(tenant, first)
    note = {"review_hash": second["review_hash"], "note": "The opening hours are wrong."}
    tenant.ok("POST", f"/v1/jobs/{second['id']}/reject", note, role=Role.MODERATOR)
    page = tenant.ok("GET", "/v1/review-queue", params={"limit": 1})
    assert [item["id"] for item in page["items"]] == [third["id"]]
    assert page["next"] is None
    rejected = tenant.ok("GET", f"/v1/jobs/{second['id']}")
    assert (rejected["status"], rejected["note"]) == ("rejected", "The opening hours are wrong.")
    assert rejected["rejected_by"] == tenant.keys[Role.MODERATOR][9:17]


def test_two_approvals_where_the_policy_asks_for_two(house: House, tenant: Tenant) -> None:
    tenant.ok("PUT", "/v1/workspace/moderation-policy", {"approvals": 2, "own_approval": False}, role=Role.ADMIN)
    policy = tenant.ok("GET", "/v1/workspace")["moderation_policy"]
    flags = {"flag_above": None, "flag_links": False, "flagged_approvals": 2, "review_messages": True}
    assert policy == {"approvals": 2, "own_approval": False} | flags
    job = tenant.job()
    approve(tenant, job)
    waiting = tenant.ok("GET", "/v1/review-queue")["items"][0]
    assert waiting["approved_by"] == [tenant.keys[Role.MODERATOR][9:17]]
    tenant.keys[Role.MODERATOR] = house.key(tenant.workspace, Role.MODERATOR)
    approve(tenant, job)
    assert tenant.ok("GET", f"/v1/jobs/{job['id']}")["status"] == "approved"
    assert tenant.ok("GET", "/v1/review-queue")["items"] == []


def test_jobs_are_found_by_their_status(tenant: Tenant) -> None:
    first, second = tenant.job(), tenant.job()
    approve(tenant, first)
    found = tenant.ok("GET", "/v1/jobs", params={"status": "submitted"})["items"]
    assert [job["id"] for job in found] == [second["id"]]
    assert [job["id"] for job in tenant.ok("GET", "/v1/jobs")["items"]] == [second["id"], first["id"]]
    assert tenant.problem("GET", "/v1/jobs", params={"status": "lazy"})["field"] == "status"


def test_each_recipient_is_counted_where_it_stands(house: House, tenant: Tenant) -> None:
    job = tenant.job(rows=7)
    approve(tenant, job)
    tenant.ok("POST", f"/v1/jobs/{job['id']}/start", role=Role.OPERATOR)
    sends = Sends(house, tenant, job)
    assert sends.states() == ["pending"] * 7
    for ordinal in range(1, 7):
        sends.happen(ordinal, sends.intended(ordinal))
    assert sends.counts() == NONE | {"pending": 1, "intended": 6}
    sends.happen(1, sends.confirmed(1))
    sends.happen(2, sends.confirmed(2), DeliveryDelivered(sends.job, 0, final=True))
    sends.happen(
        3, sends.confirmed(3), DeliveryDelivered(sends.job, 0, final=True), DeliveryRead(sends.job, 0, final=True)
    )
    sends.happen(4, sends.rejected(4))
    sends.happen(5, sends.doubted(5))
    sends.happen(7, sends.skipped(7))
    assert sends.states() == ["sent", "delivered", "read", "failed", "unknown", "intended", "skipped"]
    one_each = dict.fromkeys(("sent", "delivered", "read", "failed", "unknown", "intended", "skipped"), 1)
    assert sends.counts() == NONE | one_each
    sends.happen(5, sends.confirmed(5))
    assert sends.counts() == NONE | one_each | {"unknown": 0, "sent": 2}
    failed, skipped = sends.listed(state="failed"), sends.listed(state="skipped")
    assert [(one["ordinal"], one["reason"]) for one in failed + skipped] == [(4, "not_on_whatsapp"), (7, "opted_out")]
    read = sends.listed(state="read")[0]
    assert (read["part"], read["parts"], read["attempt"], read["wa_id"]) == (1, 1, 1, wa_id(sends.id(3), 0))
    assert all(read[name] for name in ("intended_at", "sent_at", "delivered_at", "read_at", "position"))
    assert tenant.ok("GET", f"/v1/deliveries/{read['id']}") == read


def test_who_was_not_reached_when_a_job_was_stopped_is_stopped(house: House, tenant: Tenant) -> None:
    job = tenant.job(rows=4)
    sends = Sends(house, tenant, job, parts=2)
    sends.happen(1, sends.intended(1), sends.confirmed(1), sends.intended(1, 1), sends.confirmed(1, 1))
    sends.happen(2, sends.intended(2), sends.confirmed(2))  # between two parts
    assert sends.states() == ["sent", "intended", "pending", "pending"]
    assert sends.counts() == NONE | {"sent": 1, "intended": 1, "pending": 2}
    assert [one["ordinal"] for one in sends.listed(state="intended")] == [2]
    tenant.ok("POST", f"/v1/jobs/{job['id']}/stop")
    assert sends.states() == ["sent", "partial", "stopped", "stopped"]
    assert sends.counts() == NONE | {"sent": 1, "partial": 1, "stopped": 2}
    assert [one["ordinal"] for one in sends.listed(state="partial")] == [2]
    assert [one["ordinal"] for one in sends.listed(state="stopped")] == [3, 4]
    assert sends.listed(state="pending") == sends.listed(state="intended") == []
    stopped = sends.listed(state="stopped")[0]
    assert stopped["position"] is None
    assert tenant.ok("GET", f"/v1/deliveries/{sends.id(2)}")["state"] == "partial"
    assert tenant.problem("GET", f"/v1/deliveries/{stopped['id']}")["rule"] == "unknown_delivery"


@pytest.mark.parametrize("state", [None, "pending", "skipped"])
def test_deliveries_come_in_pages_by_ordinal(house: House, tenant: Tenant, state: str | None) -> None:
    job = tenant.job(rows=5)
    sends = Sends(house, tenant, job)
    if state == "skipped":
        for ordinal in range(1, 6):
            sends.happen(ordinal, sends.skipped(ordinal))
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2} | ({"state": state} if state else {})
    while True:
        page = tenant.ok("GET", f"/v1/jobs/{job['id']}/deliveries", params=query)
        seen += [item["ordinal"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [1, 2, 3, 4, 5]


def test_a_job_is_started_paused_resumed_and_stopped(tenant: Tenant) -> None:
    job = tenant.job(start_at="2031-05-01T09:00:00+02:00")
    approve(tenant, job)
    path = f"/v1/jobs/{job['id']}"
    assert tenant.ok("GET", path)["status"] == "scheduled"
    for verb, status in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        tenant.ok("POST", f"{path}/{verb}", role=Role.OPERATOR)
        assert tenant.ok("GET", path)["status"] == status
    ended = tenant.ok("GET", path)
    assert ended["approved_at"] <= ended["started_at"] <= ended["ended_at"]
    problem = tenant.problem("POST", f"{path}/resume", role=Role.OPERATOR)
    assert (problem["status"], problem["rule"], problem["params"]) == (409, "not_paused", {"status": "stopped"})
    assert "stopped" in problem["detail"]
