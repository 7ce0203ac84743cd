"""Lists over HTTP: filters, cursors, counts, search; and what is asked in a body, for no address is a place for it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.inbox import Pending
from domain.message import PrincipalId, Role
from projections import (
    accounts,
    audiences,
    campaigns,
    commands,
    jobs,
    media,
    outcomes,
    recipients,
    review_queue,
    timers,
)
from tests.api.house import House, Tenant, csv_of
from tests.api.test_bad_input import asked
from tests.api.test_commands import NEW, until
from tests.api.test_jobs import Sends, approve

LISTS = {
    "/v1/accounts": accounts.LIST.filters,
    "/v1/audiences": audiences.LIST.filters,
    "/v1/campaigns": campaigns.LIST.filters,
    "/v1/commands": commands.LIST.filters,
    "/v1/jobs": jobs.LIST.filters,
    "/v1/jobs/{job_id}/deliveries": outcomes.OF_JOB,
    "/v1/media": media.LIST.filters,
    "/v1/recipients": recipients.LIST.filters,
    "/v1/recipients/{recipient_id}/deliveries": outcomes.OF_PERSON,
    "/v1/review-queue": review_queue.LIST.filters,
    "/v1/timers": timers.LIST.filters,
}
NUMBER = "+12025550100"  # the first of `people`


def ids(tenant: Tenant, path: str, role: Role = Role.AUTHOR, **query: Any) -> list[str]:
    found = tenant.ok("GET", path, params=query, role=role)["items"]
    return [item.get("id") or item["command_id"] for item in found]


def test_every_list_says_what_it_can_be_asked_for_with_an_example(house: House) -> None:
    paths = house.app.openapi()["paths"]
    for path, filters in LISTS.items():
        told = {one["name"]: one for one in paths[path]["get"]["parameters"] if one["in"] == "query"}
        assert set(told) - {"at"} == {*filters, "limit", "cursor"}, path
        for name in filters:
            assert told[name]["description"], (path, name)
            assert told[name]["schema"]["examples"], (path, name)


def test_every_example_of_a_filter_is_taken(tenant: Tenant) -> None:
    job = tenant.job()
    for path, filters in LISTS.items():
        address = path.format(job_id=job["id"], recipient_id=uuid4())
        for name, one in filters.items():
            tenant.ok("GET", address, params={name: one.example}, role=Role.AUDITOR)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/jobs?stat=running", "stat"),
        ("/v1/jobs?limit=5&Status=running", "query"),
        ("/v1/workspace?verbose=1", "verbose"),
        ("/v1/counts?a=1", "a"),
        (f"/v1/jobs/{UUID(int=7)}?x=", "x"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused_by_its_name(tenant: Tenant, path: str, field: str) -> None:
    assert asked(tenant.problem("GET", path)) == (422, "unknown_parameter", field)


def test_a_command_takes_no_parameters(tenant: Tenant) -> None:
    assert asked(tenant.problem("POST", "/v1/campaigns?dry_run=true", NEW)) == (422, "unknown_parameter", "dry_run")
    assert ids(tenant, "/v1/campaigns") == []


def test_a_parameter_is_given_once(tenant: Tenant) -> None:
    assert asked(tenant.problem("GET", "/v1/jobs?status=running&status=paused")) == (422, "repeated", "status")


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("/v1/jobs?since=2026-11-21T09:00:00", "no_time_zone"),
        ("/v1/jobs?since=yesterday", "datetime_from_date_parsing"),
        ("/v1/jobs?submitted_by=%00", "malformed"),
        ("/v1/jobs?id=xyz1", "malformed"),
        ("/v1/jobs?id=abc", "malformed"),
        (f"/v1/jobs?id={'a' * 33}", "malformed"),
        ("/v1/commands?stream=%27%20OR%201=1", "malformed"),
        ("/v1/commands?name=job", "malformed"),
        ("/v1/recipients?consented=perhaps", "bool_parsing"),
        (f"/v1/jobs/{UUID(int=7)}/deliveries?part=0", "greater_than_equal"),
    ],
)
def test_a_value_that_is_none_is_refused_by_its_parameter(tenant: Tenant, query: str, rule: str) -> None:
    field = query.partition("?")[2].partition("=")[0]
    assert asked(tenant.problem("GET", query)) == (422, rule, field)


def test_a_cursor_leads_on_in_its_own_list_with_its_own_filters_and_nowhere_else(house: House, tenant: Tenant) -> None:
    made = [str(tenant.campaign(title=f"Number {n}")) for n in range(3)]
    first = tenant.ok("GET", "/v1/campaigns", params={"limit": 1, "archived": False})
    following = {"limit": 2, "cursor": first["next"]}
    assert ids(tenant, "/v1/campaigns", archived=False, **following) == [made[1], made[0]]
    other = house.tenant()
    for who, path, query in (
        (tenant, "/v1/campaigns", following),
        (tenant, "/v1/campaigns", following | {"archived": True}),
        (tenant, "/v1/jobs", following),
        (other, "/v1/campaigns", following | {"archived": False}),
        (
            tenant,
            "/v1/campaigns",
            {"archived": False, "cursor": f"{'A' if first['next'][0] != 'A' else 'B'}{first['next'][1:]}"},
        ),
    ):
        assert asked(who.problem("GET", path, params=query)) == (422, "bad_cursor", "cursor")


def test_campaigns_are_found_by_what_they_are(tenant: Tenant) -> None:
    audience = tenant.audience()
    old, new = tenant.campaign(), tenant.campaign(audience_id=str(audience))
    tenant.ok("POST", f"/v1/campaigns/{old}/archive")
    author = tenant.keys[Role.AUTHOR][9:17]
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for query, expected in (
        ({}, [new, old]),
        ({"archived": True}, [old]),
        ({"archived": False}, [new]),
        ({"audience": audience}, [new]),
        ({"created_by": author}, [new, old]),
        ({"created_by": "Nobody01"}, []),
        ({"created_by": author, "archived": True, "audience": audience}, []),
        ({"since": later}, []),
        ({"until": later}, [new, old]),
        ({"id": str(old)[:8]}, [old]),
        ({"id": str(old).upper()}, [old]),
    ):
        assert ids(tenant, "/v1/campaigns", **query) == [str(one) for one in expected], query


def test_jobs_are_found_by_what_they_are(tenant: Tenant) -> None:
    first, second = tenant.job(), tenant.job()
    approve(tenant, first)
    author = tenant.keys[Role.AUTHOR][9:17]
    both = [second["id"], first["id"]]
    for query, expected in (
        ({"status": "submitted"}, [second["id"]]),
        ({"campaign": first["campaign_id"]}, [first["id"]]),
        ({"campaign": first["campaign_id"], "status": "submitted"}, []),
        ({"account": second["accounts"][0]}, [second["id"]]),
        ({"submitted_by": author}, both),
        ({"since": first["submitted_at"]}, both),
        ({"since": second["submitted_at"]}, [second["id"]]),
        ({"until": second["submitted_at"]}, [first["id"]]),
    ):
        assert ids(tenant, "/v1/jobs", **query) == expected, query
    assert ids(tenant, "/v1/review-queue", campaign=second["campaign_id"]) == [second["id"]]
    assert ids(tenant, "/v1/review-queue", campaign=first["campaign_id"]) == []


def test_accounts_and_audiences_are_found_by_what_they_are(tenant: Tenant) -> None:
    ready, unlinked = tenant.account(), tenant.account(ready=False)
    tenant.ok("POST", f"/v1/accounts/{ready}/pause", role=Role.OPERATOR)
    assert ids(tenant, "/v1/accounts", status="registered") == [str(unlinked)]
    assert ids(tenant, "/v1/accounts", paused=True) == [str(ready)]
    assert ids(tenant, "/v1/accounts", paused=True, status="registered") == []
    audience = tenant.audience()
    assert ids(tenant, "/v1/audiences", id=str(audience)[:6], since="2026-01-01T00:00:00Z") == [str(audience)]
    assert ids(tenant, "/v1/audiences", until="2026-01-01T00:00:00Z") == []


def test_deliveries_of_a_job_are_found_by_what_became_of_them(house: House, tenant: Tenant) -> None:
    job = tenant.job(rows=6)
    approve(tenant, job)
    sends = Sends(house, tenant, job, parts=2)
    sends.happen(1, sends.intended(1), sends.confirmed(1))
    sends.happen(2, sends.intended(2), sends.confirmed(2), sends.intended(2, 1), sends.confirmed(2, 1))
    sends.happen(3, sends.intended(3), sends.rejected(3))
    sends.happen(4, sends.skipped(4))
    account, person = str(sends.account), {n: sends.people[n - 1]["recipient_id"] for n in range(1, 7)}
    for query, expected in (
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"account": account}, [1, 2, 3, 4, 5, 6]),
        ({"account": uuid4()}, []),
        ({"account": account, "state": "pending"}, [5, 6]),
        ({"account": uuid4(), "state": "pending"}, []),
        ({"account": account, "state": "failed"}, [3]),
        ({"account": uuid4(), "state": "failed"}, []),
        ({"state": "intended"}, [1]),
        ({"reason": "opted_out"}, [4]),
        ({"reason": "opted_out", "state": "failed"}, []),
        ({"part": 2}, [2]),
        ({"part": 1}, [1, 3, 4]),
        ({"recipient": person[2]}, [2]),
        ({"recipient": person[6]}, [6]),
        ({"recipient": person[6], "state": "pending"}, [6]),
        ({"recipient": person[6], "state": "sent"}, []),
        ({"recipient": person[2], "state": "sent", "part": 2, "account": account}, [2]),
        ({"recipient": person[2], "state": "pending"}, []),
        ({"recipient": uuid4()}, []),
    ):
        found = sends.listed(**query)
        assert [one["ordinal"] for one in found] == expected, query


def test_a_recipient_is_found_in_every_job(house: House, tenant: Tenant) -> None:
    first, second = tenant.job(rows=2), tenant.job(rows=2)
    people = set()
    for job in (first, second):
        approve(tenant, job)
        sends = Sends(house, tenant, job)
        sends.happen(1, sends.intended(1), sends.confirmed(1))
        people.add(sends.people[0]["recipient_id"])
    path = f"/v1/recipients/{people.pop()}/deliveries"
    assert not people, "the same person"
    found = tenant.ok("GET", path)["items"]
    assert [(one["job_id"], one["state"]) for one in found] == [(second["id"], "sent"), (first["id"], "sent")]
    assert [one["job_id"] for one in tenant.ok("GET", path, params={"job": first["id"]})["items"]] == [first["id"]]
    assert tenant.ok("GET", path, params={"reason": "opted_out"})["items"] == []
    assert house.tenant().ok("GET", path)["items"] == []


def test_recipients_are_found_by_their_consent(tenant: Tenant) -> None:
    tenant.audience(3)
    until(lambda: len(ids(tenant, "/v1/recipients")) == 3)
    everybody = ids(tenant, "/v1/recipients")
    tenant.ok("POST", f"/v1/recipients/{everybody[0]}/opt-out")
    assert ids(tenant, "/v1/recipients", consented=False) == [everybody[0]]
    assert ids(tenant, "/v1/recipients", consented=True, source="import") == everybody[1:]
    assert ids(tenant, "/v1/recipients", source="paper") == []


def test_a_recipient_is_looked_up_by_number_in_a_body(house: House, tenant: Tenant) -> None:
    tenant.audience(1)
    until(lambda: len(ids(tenant, "/v1/recipients")) == 1)
    found = tenant.ok("POST", "/v1/recipients/look-up", {"number": "+1 (202) 555-0100"})
    assert [found["id"]] == ids(tenant, "/v1/recipients")
    assert found["recorded"]["consented"] is True
    assert "555" not in str(found)
    unknown = tenant.problem("POST", "/v1/recipients/look-up", {"number": "+12025550199"})
    assert asked(unknown) == (404, "unknown_recipient", "recipient_id")
    assert house.tenant().problem("POST", "/v1/recipients/look-up", {"number": NUMBER})["status"] == 404


def test_somebody_without_a_consent_is_looked_up_too(tenant: Tenant) -> None:
    rows = "number,name,consent\n+12025550142,Ada,"
    tenant.ok("POST", "/v1/audiences", files=csv_of(rows), data={"title": "List"})
    found = tenant.ok("POST", "/v1/recipients/look-up", {"number": "+12025550142"})
    assert found["recorded"] is None


@pytest.mark.parametrize(
    ("body", "rule", "field"),
    [
        ({}, "missing", "number"),
        ({"number": 7}, "string_type", "number"),
        ({"number": "2025550100"}, "malformed", "number"),
        ({"number": "nobody"}, "malformed", "number"),
        ({"number": NUMBER, "name": "Ada"}, "unknown_field", "name"),
        ([], "not_an_object", "body"),
    ],
)
def test_a_number_that_is_none_is_refused_and_not_repeated(tenant: Tenant, body: Any, rule: str, field: str) -> None:
    problem = tenant.problem("POST", "/v1/recipients/look-up", body)
    assert asked(problem) == (422, rule, field)
    assert "nobody" not in str(problem)


def test_a_number_is_looked_up_by_those_who_may_record_an_opt_out(tenant: Tenant) -> None:
    for role in (Role.AUDITOR, Role.MODERATOR):
        problem = tenant.problem("POST", "/v1/recipients/look-up", {"number": NUMBER}, role=role)
        assert asked(problem) == (403, "role_required", "actor")


def test_titles_are_searched_in_a_body_in_any_case(house: House, tenant: Tenant) -> None:
    spring, _, straße = (tenant.campaign(title=title) for title in ("Spring opening", "Autumn", "Große STRASSE"))
    account = tenant.ok("POST", "/v1/accounts", {"label": "Spring desk"}, role=Role.OPERATOR)["account_id"]
    greeting = {"title": "Spring greeting", "parts": [{"text": "Hello"}]}
    template = tenant.ok("POST", "/v1/templates", greeting)["template_id"]
    found = tenant.ok("POST", "/v1/search", {"title": "sprinG"})
    assert [one["id"] for one in found["campaigns"]["items"]] == [str(spring)]
    assert found["templates"] == {"items": [{"id": template, "title": "Spring greeting"}], "all": True}
    assert found["accounts"] == {"items": [{"id": account, "title": "Spring desk"}], "all": True}
    assert found["jobs"] == found["audiences"] == {"items": [], "all": True}
    strasse = tenant.ok("POST", "/v1/search", {"title": "große straße"})
    assert [one["id"] for one in strasse["campaigns"]["items"]] == [str(straße)]
    assert house.tenant().ok("POST", "/v1/search", {"title": "spring"})["campaigns"]["items"] == []
    assert asked(tenant.problem("POST", "/v1/search", {"title": "x"})) == (422, "string_too_short", "title")


def test_counts_are_those_of_the_lists(tenant: Tenant) -> None:
    first, second = tenant.job(), tenant.job()
    approve(tenant, first)
    tenant.ok("POST", f"/v1/jobs/{second['id']}/stop")
    tenant.ok("POST", f"/v1/campaigns/{second['campaign_id']}/archive")
    said = [{"title": title, "parts": [{"text": title}]} for title in ("Hello", "Goodbye")]
    templates = [tenant.ok("POST", "/v1/templates", one)["template_id"] for one in said]
    tenant.ok("POST", f"/v1/templates/{templates[0]}/archive")
    until(lambda: len(ids(tenant, "/v1/recipients")) == 3)
    tenant.ok("POST", f"/v1/recipients/{ids(tenant, '/v1/recipients')[0]}/opt-out")
    counts = tenant.ok("GET", "/v1/counts")
    assert counts["jobs"] == {"total": 2, "by": {"approved": 1, "stopped": 1}}
    assert counts["campaigns"] == {"total": 2, "by": {"open": 1, "archived": 1}}
    assert counts["templates"] == {"total": 2, "by": {"open": 1, "archived": 1}}
    assert counts["recipients"] == {"total": 3, "by": {"consented": 2, "opted_out": 1}}
    assert counts["audiences"] == {"total": 2, "by": {"imported": 2}}
    for name, count in counts.items():
        assert count["total"] == len(ids(tenant, f"/v1/{name}")) == sum(count["by"].values())


def test_each_key_lists_its_own_commands_auditors_and_admins_everybodys(house: House, tenant: Tenant) -> None:
    tenant.campaign()
    tenant.account()
    author, operator = tenant.keys[Role.AUTHOR][9:17], tenant.keys[Role.OPERATOR][9:17]
    names = [one["name"] for one in tenant.ok("GET", "/v1/commands")["items"]]
    assert names == ["campaign.create"]
    for role in (Role.AUDITOR, Role.ADMIN):
        every = tenant.ok("GET", "/v1/commands", role=role)["items"]
        assert [one["name"] for one in every] == ["account.register", "campaign.create", "workspace.create"]
        assert every[0]["principal"] == operator
        mine = tenant.ok("GET", "/v1/commands", params={"principal": author}, role=role)["items"]
        assert [one["name"] for one in mine] == ["campaign.create"]
    assert asked(tenant.problem("GET", f"/v1/commands?principal={operator}")) == (403, "role_required", "actor")
    assert house.tenant().ok("GET", "/v1/commands", role=Role.AUTHOR)["items"] == []


def test_commands_are_found_by_what_became_of_them(tenant: Tenant) -> None:
    campaign = tenant.campaign()
    tenant.problem("POST", f"/v1/campaigns/{uuid4()}/archive")
    tenant.ok("POST", f"/v1/campaigns/{campaign}/archive")
    for query, expected in (
        ({}, ["campaign.archive", "campaign.archive", "campaign.create"]),
        ({"state": "applied"}, ["campaign.archive", "campaign.create"]),
        ({"state": "refused"}, ["campaign.archive"]),
        ({"state": "pending"}, []),
        ({"name": "campaign.create"}, ["campaign.create"]),
        ({"stream": f"campaign-{campaign}"}, ["campaign.archive", "campaign.create"]),
        ({"stream": f"campaign-{campaign}", "name": "campaign.create", "state": "applied"}, ["campaign.create"]),
        ({"since": "2100-01-01T00:00:00Z"}, []),
    ):
        found = tenant.ok("GET", "/v1/commands", params=query)["items"]
        assert [one["name"] for one in found] == expected, query
        assert all(one["command_id"] in ids(tenant, "/v1/commands", id=one["command_id"][:8]) for one in found)


def test_of_two_keys_equal_ids_each_is_told_its_own(house: House, tenant: Tenant) -> None:
    """On the bus a sender chooses the id; over HTTP each then asks for what it gave itself."""
    same, digest = uuid4(), bytes(32)
    for role, name in ((Role.AUTHOR, "campaign.create"), (Role.MODERATOR, "job.approve")):
        principal = PrincipalId(tenant.keys[role][9:17])
        house.run(
            house.services.inbox.crash(Pending(uuid4(), same, tenant.workspace, principal, name, digest, b""), "x")
        )
    assert tenant.ok("GET", f"/v1/commands/{same}", role=Role.AUTHOR)["name"] == "campaign.create"
    assert tenant.ok("GET", f"/v1/commands/{same}", role=Role.MODERATOR)["name"] == "job.approve"
    assert tenant.ok("GET", f"/v1/commands/{same}", role=Role.AUDITOR)["name"] == "campaign.create", "the first"


def test_timers_tell_what_comes_next(house: House, tenant: Tenant) -> None:
    async def put() -> None:
        async with house.pool.connection() as connection:
            for number, kind in enumerate(("start", "complete")):
                await connection.execute(
                    "INSERT INTO timers (id, workspace, kind, subject, serves, due_at) VALUES (%s, %s, %s, %s, 1, "
                    "'2031-05-01T09:00:00Z'::timestamptz + %s * interval '1 hour')",
                    [uuid4(), tenant.workspace, kind, UUID(int=number), number],
                )

    house.run(put())
    assert [one["kind"] for one in tenant.ok("GET", "/v1/timers")["items"]] == ["start", "complete"]
    assert [one["kind"] for one in tenant.ok("GET", "/v1/timers", params={"kind": "complete"})["items"]] == ["complete"]
    first = tenant.ok("GET", "/v1/timers", params={"limit": 1})
    rest = tenant.ok("GET", "/v1/timers", params={"limit": 1, "cursor": first["next"]})
    assert [one["kind"] for one in rest["items"]] == ["complete"]
    assert rest["next"] is None
    assert ids(tenant, "/v1/timers", until="2031-05-01T09:30:00Z") == [first["items"][0]["id"]]
    assert house.tenant().ok("GET", "/v1/timers")["items"] == []


def test_more_requests_at_once_than_connections_do_not_wait_for_each_other(house: House, tenant: Tenant) -> None:
    """Each holds one connection to the database at most; with a new key each has to look the key up, too."""
    tenant.campaign()
    paths = ("/v1/recipients", "/v1/timers", f"/v1/recipients/{uuid4()}/deliveries", "/v1/campaigns", "/v1/commands")
    keys = [house.key(tenant.workspace, Role.AUTHOR) for _ in range(8 * len(paths))]

    def ask(number: int) -> int:
        headers = {"Authorization": f"Bearer {keys[number]}"}
        return house.http.get(house.url + paths[number % len(paths)], headers=headers, timeout=20).status_code

    with ThreadPoolExecutor(len(keys)) as many:
        assert set(many.map(ask, range(len(keys)))) == {200}


@pytest.mark.parametrize(
    ("path", "field", "rule", "says"),
    [
        ("/v1/review-queue?status=approved", "status", "enum", "words"),
        ("/v1/jobs?status=unknown", "status", "enum", "words"),
        ("/v1/dead-letters?state=foo", "state", "enum", "words"),
        (f"/v1/jobs/{UUID(int=7)}/deliveries?reason=xx", "reason", "enum", "words"),
        ("/v1/jobs?id=ab", "id", "malformed", "4 hexadecimal digits"),
        ("/v1/jobs?since=2026-11-21T09:00:00", "since", "no_time_zone", "%2B"),
        ("/v1/jobs?since=2026-11-21T09:00:00+01:00", "since", "datetime_from_date_parsing", "00Z"),
    ],
)
def test_a_filter_that_could_never_match_says_what_it_takes(
    tenant: Tenant, path: str, field: str, rule: str, says: str
) -> None:
    problem = tenant.problem("GET", path)
    assert (problem["status"], problem["field"]) == (422, field)
    assert (problem["rule"], says in problem["detail"]) == (rule, True), problem
