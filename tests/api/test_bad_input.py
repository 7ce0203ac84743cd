"""What bad input gets: a problem that names the field and the rule, neighbours untouched, nothing half done."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from adapters.command_limits import MAX_BODY
from adapters.metrics import REGISTRY
from domain.message import Role
from domain.rates import Rates
from tests.api.house import House, Tenant, csv_of, problem_in

NEW: dict[str, Any] = {"title": "Spring", "parts": [{"text": "Hello {{name}}"}]}
JSON = {"Content-Type": "application/json"}
# Routes that need no deep JSON to be written, for they read a few values of it: they say which one is wrong.
NAME_THE_FIELD = {
    "/v1/attributes/{name}",
    "/v1/audiences/choose",
    "/v1/campaigns/{campaign_id}/preview",
    "/v1/jobs/{job_id}/preview",
    "/v1/media/fetch",
    "/v1/people",
    "/v1/people/search",
    "/v1/people/{recipient_id}",
    "/v1/recipients/look-up",
    "/v1/search",
    "/v1/segments/count",
    "/v1/segments/{segment_id}",
    "/v1/templates/{template_id}/preview",
}
# Routes that are about a session: the account, which nobody has here, is looked up before the body is read.
LOOK_UP_FIRST = {
    f"/v1/accounts/{{account_id}}/{what}"
    for what in ("check-number", "contacts", "groups", "groups/members", "link-code")
}


@contextmanager
def nothing_happens(house: House, tenant: Tenant) -> Iterator[None]:
    """Nothing of this workspace is appended to the log meanwhile, and nothing of it stays pending."""
    head = house.run(house.services.store.head())
    yield
    later = house.run(house.services.store.page(head, 1000))
    assert [recorded for recorded in later if recorded.envelope.workspace == tenant.workspace] == []


def asked(problem: dict[str, Any]) -> tuple[int, str, str]:
    return problem["status"], problem["rule"], problem["field"]


@pytest.mark.parametrize(
    ("body", "rule", "field"),
    [
        ({}, "missing", "title"),
        ({"title": "Spring"}, "empty", "parts"),
        (NEW | {"parts": []}, "empty", "parts"),
        (NEW | {"parts": [{"text": "x"}] * 11}, "too_many", "parts"),
        (NEW | {"parts": [{"text": "x"}] * 101}, "too_long", "parts"),
        (NEW | {"parts": [{"text": ""}]}, "string_too_short", "parts.0.text"),
        (NEW | {"parts": [{"text": "x" * 4097}]}, "string_too_long", "parts.0.text"),
        (NEW | {"parts": [{"text": "Hello {{Name}}"}]}, "malformed_variable", "parts.0.text"),
        (NEW | {"parts": [{"text": 7}]}, "string_type", "parts.0.text"),
        (NEW | {"parts": [{"text": "x", "colour": "red"}]}, "unknown_field", "parts.0.colour"),
        (NEW | {"title": "x" * 201}, "string_too_long", "title"),
        (NEW | {"title": None}, "string_type", "title"),
        (NEW | {"colour": "red"}, "unknown_field", "colour"),
        (NEW | {"campaign_id": str(uuid4())}, "unknown_field", "campaign_id"),
        (NEW | {"audience_id": "7"}, "uuid_parsing", "audience_id"),
        (NEW | {"audience_id": str(uuid4())}, "unknown_audience", "audience_id"),
        ([], "not_an_object", "body"),
        ("text", "not_an_object", "body"),
        (None, "not_an_object", "body"),
    ],
)
def test_a_body_of_another_shape(house: House, tenant: Tenant, body: Any, rule: str, field: str) -> None:
    with nothing_happens(house, tenant):
        response = tenant.ask("POST", "/v1/campaigns", content=orjson.dumps(body), headers=JSON | {"Prefer": "wait=20"})
        assert asked(problem_in(response)) == (422, rule, field)
    assert tenant.ok("GET", "/v1/campaigns")["items"] == []


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"{", "not_json"),
        (b"{'title': 1}", "not_json"),
        (b'{"title": "\xff\xfe"}', "not_utf8"),
        (b'{"title": NaN}', "not_json"),
        (b"[" * 5000, "not_json"),
        (b'{"title": "\\ud800", "parts": []}', "not_json"),
    ],
)
def test_bytes_that_are_no_json(house: House, tenant: Tenant, raw: bytes, rule: str) -> None:
    with nothing_happens(house, tenant):
        response = tenant.ask("POST", "/v1/campaigns", content=raw, headers=JSON)
    assert asked(problem_in(response)) == (422, rule, "body")


def test_no_route_stumbles_over_json_nested_deeper_than_can_be_written(house: House, tenant: Tenant) -> None:
    """Alone, and within a field that each body has."""
    key = house.key(tenant.workspace, *(set(Role) - {Role.SYSTEM}))
    headers = JSON | {"Authorization": f"Bearer {key}"}
    documents = house.http.get(f"{house.url}/openapi.json").json()
    count = 0
    for path, methods in documents["paths"].items():
        for method, route in methods.items():
            content = route.get("requestBody", {}).get("content", {})
            if "application/json" not in content:
                continue
            schema = content["application/json"]["schema"]
            known = schema.get("properties") or documents["components"]["schemas"][schema["$ref"].split("/")[-1]].get(
                "properties", {}
            )
            deep = b"[" * 300 + b"]" * 300
            for name in ["x", *list(known)[:1]]:
                where = house.url + re.sub("{[^}]+}", str(uuid4()), path)
                response = house.http.request(
                    method, where, headers=headers, content=b'{"%b": %b}' % (name.encode(), deep)
                )
                status, rule, field = asked(problem_in(response))
                if path in LOOK_UP_FIRST:
                    assert (status, rule, field) == (404, "unknown_account", "account_id"), path
                elif path in NAME_THE_FIELD:
                    assert (status, field == "body") == (422, False), (method, path, name, rule, field)
                else:
                    assert (status, rule, field) == (422, "not_json", "body"), (method, path, name)
                count += 1
    assert count > 30


def test_a_body_of_another_type(house: House, tenant: Tenant) -> None:
    with nothing_happens(house, tenant):
        response = tenant.ask("POST", "/v1/campaigns", content=b"title=Spring", headers={"Content-Type": "text/plain"})
    assert asked(problem_in(response)) == (415, "unsupported_media_type", "Content-Type")


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "streamed"])
def test_more_than_a_megabyte(house: House, tenant: Tenant, declared: bool) -> None:
    raw = b'{"title": "' + b"x" * 1_000_000 + b'"}'

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(raw), 100_000):
            yield raw[start : start + 100_000]

    with nothing_happens(house, tenant):
        response = tenant.ask("POST", "/v1/campaigns", content=raw if declared else pieces(), headers=JSON)
    assert asked(problem_in(response)) == (413, "too_large", "body")
    tenant.campaign()


def test_a_command_of_64_kb_is_read_and_refused_for_what_is_wrong_with_it_and_a_larger_one_unread(
    tenant: Tenant,
) -> None:
    def given(size: int) -> bytes:
        return b'{"title": "' + b"x" * (size - 13) + b'"}'

    refused = tenant.ask("POST", "/v1/campaigns", content=given(MAX_BODY - 100), headers=JSON)
    assert asked(problem_in(refused)) == (422, "string_too_long", "title")
    for size in (MAX_BODY, MAX_BODY + 1):  # with the id that is added it is too large for the bus
        too_large = problem_in(tenant.ask("POST", "/v1/campaigns", content=given(size), headers=JSON))
        assert asked(too_large) == (413, "too_large", "body")
        assert too_large["params"] == {"maximum": MAX_BODY}


def test_a_key_over_its_rate_of_commands_is_told_when_to_come_again(tenant: Tenant) -> None:
    state, services = tenant.house.app.state, tenant.house.services
    state.services = replace(services, rates=Rates(0.5))
    before = REGISTRY.get_sample_value("drumline_commands_over_rate_total") or 0.0
    try:
        answers = [tenant.ask("POST", "/v1/campaigns", json=NEW) for _ in range(3)]
    finally:
        state.services = services
    answer = next(one for one in answers if one.status_code == 429)
    assert asked(problem_in(answer)) == (429, "too_many", "actor")
    assert REGISTRY.get_sample_value("drumline_commands_over_rate_total") > before  # type: ignore[operator]  # it exists
    assert 1 <= int(answer.headers["Retry-After"]) <= 2


def test_no_words_of_a_body_come_back(tenant: Tenant) -> None:
    secret = f"canary{uuid4().hex}"
    bodies: list[Any] = [{secret: 1}, NEW | {"title": secret * 40}, NEW | {"audience_id": secret}, [secret]]
    for body in bodies:
        assert secret not in tenant.ask("POST", "/v1/campaigns", json=body).text
    assert secret not in tenant.ask("GET", f"/v1/campaigns/{secret}").text
    assert secret not in tenant.ask("GET", f"/v1/campaigns?limit={secret}&cursor={secret}").text


def test_an_unknown_command(tenant: Tenant) -> None:
    problem = tenant.problem("POST", f"/v1/jobs/{UUID(int=1)}/bless")
    assert asked(problem) == (404, "no_such_route", "path")


def test_a_slash_too_many_is_no_route(tenant: Tenant) -> None:
    assert asked(tenant.problem("GET", "/v1/campaigns/")) == (404, "no_such_route", "path")


def test_another_method(tenant: Tenant) -> None:
    response = tenant.ask("DELETE", "/v1/campaigns")
    assert asked(problem_in(response)) == (405, "method_not_allowed", "method")
    assert response.headers["allow"]


def test_an_id_that_is_none(tenant: Tenant) -> None:
    assert asked(tenant.problem("GET", "/v1/jobs/7")) == (422, "uuid_parsing", "job_id")


def test_a_word_that_is_none_of_those_known_is_answered_with_them(tenant: Tenant) -> None:
    problem = tenant.problem("GET", f"/v1/jobs/{uuid4()}/deliveries?state=reed")
    assert asked(problem) == (422, "enum", "state")
    assert "'read'" in problem["params"]["expected"]
    assert "reed" not in str(problem)


def test_a_variable_that_recipients_lack_is_named_with_their_number(house: House, tenant: Tenant) -> None:
    rows = "number,name,consent,city\n+12025550101,Ada,yes,Bern\n+12025550102,Bo,yes,\n+12025550103,Cy,yes,"
    audience = tenant.ok("POST", "/v1/audiences", files=csv_of(rows), data={"title": "List"})["audience_id"]
    campaign = tenant.campaign(parts=[{"text": "Hello {{name}} in {{city}}"}], audience_id=audience)
    account = tenant.account()
    with nothing_happens(house, tenant):
        problem = tenant.problem("POST", "/v1/jobs", {"campaign_id": str(campaign), "accounts": [str(account)]})
    assert asked(problem) == (422, "variable_missing", "campaign_id")
    assert problem["params"] == {"variable": "city", "recipients": 2}
    assert "2 recipients" in problem["detail"]
    assert tenant.ok("GET", "/v1/jobs")["items"] == []


def test_approval_after_others_answered(house: House, tenant: Tenant) -> None:
    job = tenant.job()
    path, body = f"/v1/jobs/{job['id']}/approve", {"review_hash": job["review_hash"]}
    first = tenant.keys[Role.MODERATOR][9:17]
    tenant.ok("POST", path, body, role=Role.MODERATOR)
    again = tenant.ok("POST", path, body, role=Role.MODERATOR)
    assert (again["state"], again.get("position")) == ("applied", None), "the same moderator: it stands already"
    tenant.keys[Role.MODERATOR] = house.key(tenant.workspace, Role.MODERATOR)
    with nothing_happens(house, tenant):
        problem = tenant.problem("POST", path, body, role=Role.MODERATOR)
    assert asked(problem) == (409, "not_awaiting_review", "job_id")
    assert problem["params"]["status"] in ("approved", "running")
    assert tenant.ok("GET", f"/v1/jobs/{job['id']}")["approved_by"] == [first]


def test_approval_of_another_hash(house: House, tenant: Tenant) -> None:
    job = tenant.job()
    for verb in ("approve", "reject"):
        with nothing_happens(house, tenant):
            problem = tenant.problem(
                "POST", f"/v1/jobs/{job['id']}/{verb}", {"review_hash": "0" * 64}, role=Role.MODERATOR
            )
        assert asked(problem) == (409, "not_what_was_reviewed", "review_hash")
    assert tenant.ok("GET", "/v1/review-queue")["items"][0]["id"] == job["id"]


def test_approval_by_the_submitter(house: House, tenant: Tenant) -> None:
    both = house.key(tenant.workspace, Role.AUTHOR, Role.MODERATOR)
    tenant.keys[Role.AUTHOR] = tenant.keys[Role.MODERATOR] = both
    job = tenant.job()
    with nothing_happens(house, tenant):
        problem = tenant.problem("POST", f"/v1/jobs/{job['id']}/approve", {"review_hash": job["review_hash"]})
    assert asked(problem) == (403, "own_job", "actor")


@pytest.mark.parametrize(
    ("start_at", "rule"),
    [
        ((datetime.now(UTC) - timedelta(minutes=1)).isoformat(), "in_the_past"),
        ("9999-12-31T23:59:59-14:00", "too_far_ahead"),
        ("2030-01-01T09:00:00", "no_time_zone"),
        ("tomorrow", "datetime_parsing"),
        (1_900_000_000, "datetime_type"),
    ],
    ids=["past", "beyond-calendars", "no-zone", "words", "number"],
)
def test_a_start_that_is_none(house: House, tenant: Tenant, start_at: Any, rule: str) -> None:
    campaign, account = tenant.campaign(audience_id=str(tenant.audience())), tenant.account()
    body = {"campaign_id": str(campaign), "accounts": [str(account)], "start_at": start_at}
    with nothing_happens(house, tenant):
        assert asked(tenant.problem("POST", "/v1/jobs", body)) == (422, rule, "start_at")


def test_an_account_that_cannot_be_used(house: House, tenant: Tenant) -> None:
    campaign, linked = tenant.campaign(audience_id=str(tenant.audience())), str(tenant.account())
    unlinked, foreign = str(tenant.account(ready=False)), str(house.tenant().account())
    for accounts, expected in (
        ([linked, unlinked], (409, "account_not_linked", "accounts.1")),
        ([foreign], (422, "unknown_account", "accounts.0")),
        ([linked, linked], (422, "repeated", "accounts")),
        ([], (422, "empty", "accounts")),
    ):
        with nothing_happens(house, tenant):
            problem = tenant.problem("POST", "/v1/jobs", {"campaign_id": str(campaign), "accounts": accounts})
        assert asked(problem) == expected
    assert tenant.ok("GET", "/v1/jobs")["items"] == []


def test_bad_commands_among_good_ones_touch_none_of_them(tenant: Tenant) -> None:
    for number in range(3):
        tenant.campaign(title=f"Good {number}")
        tenant.problem("POST", "/v1/campaigns", NEW | {"audience_id": str(uuid4())})
        tenant.problem("POST", "/v1/campaigns", {"title": 7})
    titles = [campaign["title"] for campaign in tenant.ok("GET", "/v1/campaigns")["items"]]
    assert titles == ["Good 2", "Good 1", "Good 0"]


def test_limits_of_the_rules(house: House, tenant: Tenant) -> None:
    for path, body, field in (
        ("sending-policy", {"messages": 0, "seconds": 30}, "messages"),
        ("sending-policy", {"messages": 1, "seconds": 86_401}, "seconds"),
        ("moderation-policy", {"approvals": 6, "own_approval": False}, "approvals"),
    ):
        with nothing_happens(house, tenant):
            problem = tenant.problem("PUT", f"/v1/workspace/{path}", body, role=Role.ADMIN)
        assert asked(problem) == (422, "out_of_range", field)
        assert str(problem["params"]["maximum"]) in problem["detail"].replace(",", "")


@pytest.mark.parametrize(
    ("body", "query", "limit"),
    [
        (NEW | {"title": "x" * 201}, None, 200),
        (NEW | {"title": ""}, None, 1),
        (NEW | {"parts": [{"text": "x"}] * 101}, None, 100),
        (None, {"limit": 201}, 200),
        (None, {"limit": 0}, 1),
        (None, {"cursor": "x" * 201}, 200),
    ],
    ids=["title-long", "title-short", "parts", "limit-high", "limit-low", "cursor"],
)
def test_a_limit_is_told_by_its_number(tenant: Tenant, body: Any, query: Any, limit: int) -> None:
    problem = tenant.problem("POST" if body else "GET", "/v1/campaigns", body, params=query)
    assert limit in problem["params"].values()
    assert f" {limit} " in problem["detail"] or f" {limit}." in problem["detail"]
