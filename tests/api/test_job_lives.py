"""A job's life over HTTP: flagged, sent back, revised, approved, withdrawn, put off, started, paused, revised again."""

from typing import Any
from uuid import UUID

import pytest

from domain.account import ReportTrouble, Trouble
from domain.job import StartDueJob
from domain.message import Role
from tests.api.house import House, Tenant
from tests.api.test_commands import until
from tests.api.test_jobs import approve

ANOTHER = "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77"


def shown(tenant: Tenant, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = tenant.ok("GET", f"/v1/jobs/{job['id']}")
    return found


def asked(tenant: Tenant, job: dict[str, Any], verb: str, body: Any = None, role: Role = Role.MODERATOR) -> None:
    tenant.ok("POST", f"/v1/jobs/{job['id']}/{verb}", body, role=role)


def queue(tenant: Tenant, **query: str) -> list[str]:
    return [item["id"] for item in tenant.ok("GET", "/v1/review-queue", params=query)["items"]]


def me(tenant: Tenant, role: Role) -> str:
    return tenant.keys[role][9:17]


def test_a_job_is_sent_back_revised_and_approved(tenant: Tenant) -> None:
    job = tenant.job()
    asked(tenant, job, "request-changes", {"review_hash": job["review_hash"], "note": "Please name the street."})
    waiting = shown(tenant, job)
    assert waiting["status"] == "changes_requested"
    assert waiting["changes"] == {"by": me(tenant, Role.MODERATOR), "note": "Please name the street."}
    assert queue(tenant) == []
    refused = tenant.problem(
        "POST", f"/v1/jobs/{job['id']}/approve", {"review_hash": job["review_hash"]}, role=Role.MODERATOR
    )
    assert (refused["status"], refused["rule"]) == (409, "not_awaiting_review")

    words = {"title": "Spring", "parts": [{"text": "Hello {{name}}, High Street 1"}], "audience_id": job["audience_id"]}
    tenant.ok("POST", f"/v1/campaigns/{job['campaign_id']}/revise", words)
    body = {"accounts": job["accounts"], "campaign": {"campaign_id": job["campaign_id"], "version": 2}}
    asked(tenant, job, "revise", body, Role.AUTHOR)
    revised = shown(tenant, job)
    assert (revised["status"], revised["changes"], revised["revisions"]) == ("submitted", None, 1)
    assert revised["revised_by"] == me(tenant, Role.AUTHOR)
    assert (revised["campaign_version"], revised["parts"][0]["text"]) == (2, "Hello {{name}}, High Street 1")
    assert revised["review_hash"] != job["review_hash"]
    assert revised["expires_at"] == job["expires_at"]
    assert queue(tenant) == [job["id"]]
    approve(tenant, revised)
    assert shown(tenant, job)["status"] == "approved"


def test_a_withdrawn_approval_is_shown_and_the_job_is_in_the_queue_again(tenant: Tenant) -> None:
    job = tenant.job(start={"local": "2031-05-01T09:00", "zone": "Europe/Berlin"})
    assert (job["start_at"], job["start"]) == (
        "2031-05-01T07:00:00Z",
        {"local": "2031-05-01T09:00:00", "zone": "Europe/Berlin"},
    )
    assert job["expires_at"] == "2031-05-02T07:00:00Z"
    approve(tenant, job)
    assert (shown(tenant, job)["status"], queue(tenant)) == ("scheduled", [])
    asked(tenant, job, "withdraw")
    after = shown(tenant, job)
    assert (after["status"], after["approved_by"], after["approved_at"]) == ("submitted", [], None)
    [voided] = after["voided_approvals"]
    assert (voided["by"], voided["reason"]) == (me(tenant, Role.MODERATOR), "withdrawn")
    assert queue(tenant) == [job["id"]]


def test_who_has_not_approved_takes_nothing_back_and_stops_nothing(tenant: Tenant) -> None:
    job = tenant.job(start={"local": "2031-05-01T09:00", "zone": "Europe/Berlin"})
    refused = tenant.problem("POST", f"/v1/jobs/{job['id']}/withdraw", role=Role.MODERATOR)
    assert (refused["status"], refused["rule"], refused["field"]) == (409, "nothing_to_withdraw", "actor")
    assert "/stop" in refused["detail"]


def test_a_revision_that_names_nothing_but_accounts_leaves_the_schedule(tenant: Tenant) -> None:
    job = tenant.job(start={"local": "2031-05-01T09:00", "zone": "Europe/Berlin"}, expires_at="2031-05-01T12:00:00Z")
    kept = ("start_at", "start", "expires_at", "pace")
    asked(tenant, job, "revise", {"accounts": [str(tenant.account())]}, Role.AUTHOR)
    moved = shown(tenant, job)
    assert [moved[name] for name in kept] == [job[name] for name in kept]
    assert moved["accounts"] != job["accounts"]
    asked(tenant, job, "revise", {"at_once": True}, Role.AUTHOR)
    given_up = shown(tenant, job)
    assert (given_up["start_at"], given_up["start"], given_up["accounts"]) == (None, None, moved["accounts"])


def test_flagged_jobs_can_be_looked_for_and_need_two(house: House, tenant: Tenant) -> None:
    policy = {"approvals": 1, "own_approval": False, "flag_above": 3, "flag_links": True}
    tenant.ok("PUT", "/v1/workspace/moderation-policy", policy, role=Role.ADMIN)
    told = tenant.ok("GET", "/v1/workspace")["moderation_policy"]
    assert told == policy | {"flagged_approvals": 2, "review_messages": True}
    plain, many = tenant.job(rows=3), tenant.job(rows=4)
    campaign = tenant.campaign(audience_id=plain["audience_id"], parts=[{"text": "See shop.example.com/spring"}])
    answer = tenant.ok("POST", "/v1/jobs", {"campaign_id": str(campaign), "accounts": plain["accounts"]})
    linked = tenant.ok("GET", f"/v1/jobs/{answer['job_id']}")
    assert [job["flags"] for job in (plain, many, linked)] == [[], ["many_recipients"], ["link"]]
    assert queue(tenant, status="flagged") == [many["id"], linked["id"]]
    assert queue(tenant, status="submitted") == [plain["id"]]
    assert len(queue(tenant)) == 3
    approve(tenant, many)
    assert (shown(tenant, many)["status"], shown(tenant, many)["approvals_needed"]) == ("flagged", 2)
    tenant.keys[Role.MODERATOR] = house.key(tenant.workspace, Role.MODERATOR)
    approve(tenant, many)
    assert shown(tenant, many)["status"] == "approved"


def test_a_start_that_was_put_off_says_why_and_until_when(house: House, tenant: Tenant) -> None:
    job = tenant.job()
    approve(tenant, job)
    [account] = job["accounts"]
    house.decide(ReportTrouble(UUID(account), Trouble.CRASHED), tenant.workspace)
    house.decide(StartDueJob(UUID(job["id"]), 3, (UUID(account),)), tenant.workspace)
    until(lambda: shown(tenant, job)["deferred"] is not None)
    assert shown(tenant, job)["deferred"]["reason"] == "no_account_ready"
    asked(tenant, job, "start", role=Role.OPERATOR)
    after = shown(tenant, job)
    assert (after["status"], after["deferred"]) == ("running", None)


def test_of_a_rejected_job_nobody_is_pending(tenant: Tenant) -> None:
    job = tenant.job()
    asked(tenant, job, "reject", {"review_hash": job["review_hash"]})
    counts = shown(tenant, job)["counts"]
    assert (counts["pending"], counts["stopped"]) == (0, 3)
    states = [one["state"] for one in tenant.ok("GET", f"/v1/jobs/{job['id']}/deliveries")["items"]]
    assert states == ["stopped"] * 3


def test_a_paused_jobs_share_moves_to_another_account_after_a_new_approval(tenant: Tenant) -> None:
    job = tenant.job()
    approve(tenant, job)
    asked(tenant, job, "start", role=Role.OPERATOR)
    other = str(tenant.account())
    body = {"accounts": [other], "pace": {"messages": 1, "seconds": 60}}
    running = tenant.problem("POST", f"/v1/jobs/{job['id']}/revise", body)
    assert (running["status"], running["rule"]) == (409, "pause_first")
    asked(tenant, job, "pause", role=Role.OPERATOR)
    asked(tenant, job, "revise", body, Role.AUTHOR)
    revised = shown(tenant, job)
    assert (revised["status"], revised["accounts"]) == ("submitted", [other])
    assert revised["pace"] == {"messages": 1, "seconds": 60}
    assert [voided["reason"] for voided in revised["voided_approvals"]] == ["revised"]
    assert {one["account_id"] for one in tenant.ok("GET", f"/v1/jobs/{job['id']}/deliveries")["items"]} == {other}
    approve(tenant, revised)
    asked(tenant, job, "start", role=Role.OPERATOR)
    assert shown(tenant, job)["status"] == "running"


@pytest.mark.parametrize(
    ("body", "status", "rule", "field"),
    [
        ({"start": {"local": "2031-05-01T09:00", "zone": "Middle/Earth"}}, 422, "unknown_time_zone", "start.zone"),
        ({"start": {"local": "2031-05-01T09:00", "zone": "no zone!"}}, 422, "malformed", "start.zone"),
        ({"start": {"local": "2031-05-01T09:00"}}, 422, "missing", "start.zone"),
        ({"start": {"local": "2031-05-01T09:00+02:00", "zone": "UTC"}}, 422, "not_a_local_time", "start.local"),
        ({"start": {"local": "nine o'clock", "zone": "UTC"}}, 422, "datetime_parsing", "start.local"),
        ({"start": "tomorrow"}, 422, "not_an_object", "start"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "in_the_past", "expires_at"),
        ({"pace": {"messages": 5, "seconds": 30}}, 422, "faster_than_allowed", "pace"),
        ({"pace": {"messages": 1}}, 422, "missing", "pace.seconds"),
        (
            {"campaign": {"campaign_id": "5f0c8a3e-9a44-5b0e-8a55-0d6b1c1f2a77", "version": 1}},
            422,
            "another_campaign",
            "",
        ),
        ({"accounts": []}, 422, "empty", "accounts"),
    ],
)
def test_a_bad_revision_is_refused_by_field_and_rule_and_changes_nothing(
    tenant: Tenant, body: dict[str, Any], status: int, rule: str, field: str
) -> None:
    job = tenant.job()
    problem = tenant.problem("POST", f"/v1/jobs/{job['id']}/revise", {"accounts": job["accounts"]} | body)
    assert (problem["status"], problem["rule"]) == (status, rule)
    assert problem["field"].startswith(field)
    assert shown(tenant, job) == job


def test_a_note_is_needed_and_a_moderator(tenant: Tenant) -> None:
    job = tenant.job()
    body = {"review_hash": job["review_hash"]}
    missing = tenant.problem("POST", f"/v1/jobs/{job['id']}/request-changes", body, role=Role.MODERATOR)
    assert (missing["rule"], missing["field"]) == ("missing", "note")
    for verb in ("withdraw", "request-changes"):
        refused = tenant.problem("POST", f"/v1/jobs/{job['id']}/{verb}", body | {"note": "No."}, role=Role.AUTHOR)
        assert (refused["status"], refused["rule"]) == (403, "role_required")
    refused = tenant.problem("POST", f"/v1/jobs/{job['id']}/revise", {"accounts": []}, role=Role.MODERATOR)
    assert (refused["status"], refused["rule"]) == (403, "role_required")
