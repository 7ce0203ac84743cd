"""Lists of people over HTTP: sealed, consents recorded, bad rows reported."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from adapters.command_limits import CommandLimits
from domain.message import Role
from tests.api.house import House, Tenant, clock, csv_of, people, problem_in
from tests.api.test_commands import until
from workers.commands import Intake

LIST = """\
number,name,consent
+12025550101,Ada,yes
+1 202 555 0101,Ada Byron,yes
+12025550102,Bo,
+12025550103,Cy,no
7,Nobody,yes
"""
DATA = {"title": "Customers"}


def upload(tenant: Tenant, text: str = LIST, **options: Any) -> httpx.Response:
    headers = {"Prefer": "wait=20"} | options.pop("headers", {})
    return tenant.ask("POST", "/v1/audiences", headers=headers, **({"files": csv_of(text), "data": DATA} | options))


def consented(tenant: Tenant, audience: str) -> list[bool]:
    """Of each person of a list in order, whether a consent is recorded."""
    body = {"campaign_id": str(tenant.campaign(audience_id=audience)), "accounts": [str(tenant.account())]}
    job = tenant.ok("POST", "/v1/jobs", body)["job_id"]
    found = []
    for one in tenant.ok("GET", f"/v1/jobs/{job}/deliveries")["items"]:
        response = tenant.ask("GET", f"/v1/recipients/{one['recipient_id']}")
        found.append(response.status_code == 200 and response.json()["consented"])
    return found


def test_a_list_is_imported_and_its_rows_are_accounted_for(tenant: Tenant) -> None:
    response = upload(tenant)
    assert response.status_code == 200, response.text
    answer = response.json()
    counts = {name: answer[name] for name in ("rows", "bad", "merged", "recipients", "consents")}
    assert counts == {"rows": 5, "bad": 1, "merged": 1, "recipients": 3, "consents": 1}
    assert answer["bad_rows"] == [{"line": 6, "reason": answer["bad_rows"][0]["reason"], "column": "number"}]
    found = tenant.ok("GET", f"/v1/audiences/{answer['audience_id']}")
    assert (found["title"], found["recipients"], found["bad"], found["merged"]) == ("Customers", 3, 1, 1)
    assert tenant.ok("GET", "/v1/audiences")["items"] == [found]
    until(lambda: consented(tenant, answer["audience_id"]) == [True, False, False])


def test_nothing_personal_is_in_the_log_the_tables_or_the_answer(house: House, tenant: Tenant) -> None:
    name = f"Canary{uuid4().hex}"
    answer = upload(tenant, f"number,name,consent,consent_proof\n+12025550142,{name},yes,{name} said so\n").json()
    until(lambda: consented(tenant, answer["audience_id"]) == [True])

    async def everything() -> str:
        async with house.pool.connection() as connection:
            tables = await connection.execute(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
            )
            found = []
            for (table,) in await tables.fetchall():
                rows = await connection.execute(f"SELECT t::text FROM {table} t".encode())
                found += [row[0] for row in await rows.fetchall()]
            events = await connection.execute("SELECT convert_from(state, 'UTF8') FROM stored_events")
            return "\n".join([*found, *[row[0] for row in await events.fetchall()]])

    stored = house.run(everything())
    for secret in (name, name.encode().hex(), "2025550142", b"2025550142".hex()):
        assert secret not in stored
        assert secret not in str(answer)


def test_the_same_list_under_the_same_key_is_imported_once(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "autumn"}
    first, again = upload(tenant, headers=headers).json(), upload(tenant, headers=headers).json()
    assert first == again
    assert len(tenant.ok("GET", "/v1/audiences")["items"]) == 1


@pytest.mark.parametrize("change", [{"text": people(2)}, {"data": {"title": "Others"}}], ids=["list", "title"])
def test_another_list_under_the_same_key_is_refused(tenant: Tenant, change: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "autumn"}
    audience = upload(tenant, headers=headers).json()["audience_id"]
    problem = problem_in(upload(tenant, headers=headers, **change))
    assert (problem["status"], problem["rule"], problem["field"]) == (422, "idempotency_key_reused", "Idempotency-Key")
    (found,) = tenant.ok("GET", "/v1/audiences")["items"]
    assert (found["id"], found["title"], found["recipients"]) == (audience, "Customers", 3)


@pytest.mark.parametrize(
    ("options", "status", "rule", "field"),
    [
        ({"data": {}}, 422, "missing", "title"),
        ({"data": {"title": ""}}, 422, "string_too_short", "title"),
        ({"data": {"title": "x" * 201}}, 422, "string_too_long", "title"),
        ({"data": DATA | {"country": "XX"}}, 422, "unknown_country", "country"),
        ({"data": DATA | {"colour": "red"}}, 422, "unknown_field", "body"),
        ({"files": {"title": ("a", b"b")}, "data": {}}, 422, "missing", "title"),
        ({"files": {"list": ("a", b"b")}}, 422, "unknown_field", "body"),
        (
            {"files": {"country": ("a", b"b")}, "data": DATA | {"file": "number\n+12025550101"}},
            422,
            "malformed",
            "country",
        ),
        ({"files": {"list": ("a", b"b")} | csv_of(LIST)}, 422, "malformed", "body"),
        ({"files": csv_of("")}, 422, "empty", "file"),
        ({"files": csv_of("number,name\n")}, 422, "empty", "file"),
        ({"files": csv_of("name\nAda\n")}, 422, "missing_column", "number"),
        ({"files": {"file": ("a.csv", b"number,name\n+12025550101,\xff\n")}}, 422, "not_utf8", "file"),
        ({"files": {"file": ("a.csv", b"x" * 5_020_000)}}, 413, "too_large", "body"),
        (
            {"files": None, "data": None, "content": b"number\n+12025550101"},
            415,
            "unsupported_media_type",
            "Content-Type",
        ),
    ],
)
def test_what_is_no_list_is_refused(
    tenant: Tenant, options: dict[str, Any], status: int, rule: str, field: str
) -> None:
    problem = problem_in(upload(tenant, **options))
    assert (problem["status"], problem["rule"], problem["field"]) == (status, rule, field)
    assert tenant.ok("GET", "/v1/audiences")["items"] == []


def test_a_list_may_come_as_a_text_of_the_form(tenant: Tenant) -> None:
    """As `curl -F "file=<people.csv"` sends it."""
    fields = {"title": (None, "Customers"), "file": (None, LIST), "country": (None, "US")}
    response = upload(tenant, files=fields, data=None)
    assert (response.status_code, response.json()["recipients"]) == (200, 3)


def test_a_form_that_is_cut_off_is_refused(tenant: Tenant) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for raw in (b"", b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nCust', b"nonsense"):
        response = tenant.ask("POST", "/v1/audiences", content=raw, headers=headers)
        assert problem_in(response)["status"] == 422
    assert problem_in(
        tenant.ask("POST", "/v1/audiences", content=b"x", headers={"Content-Type": "multipart/form-data"})
    )


@contextmanager
def limited(house: House) -> Iterator[None]:
    """Each key has its rate meanwhile, as in production; on the bus each subject has its bound anyway."""
    services, limits = house.services, CommandLimits()

    async def start() -> "asyncio.Task[None]":
        given = services.bus, house.decisions, services.inbox, services.keys, services.contents, clock
        return asyncio.create_task(Intake(*given, limits=limits).run())

    async def end(task: "asyncio.Task[None]") -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    with house.without("intake"):
        intake = house.run(start())
        try:
            yield
        finally:
            house.run(end(intake))


def those(area: int, rows: int = 100) -> str:
    """Lines of people of one area, with numbers kept for fiction."""
    return "".join(f"+1{area}55501{row:02},Person {row},yes\n" for row in range(rows))


def recorded(house: House, tenant: Tenant) -> tuple[int, int]:
    """Events that tell a consent, and people who have one on record."""
    events = """
    SELECT count(*) FROM stored_events WHERE topic LIKE 'recipient.consent-recorded%%'
    AND convert_from(state, 'UTF8')::json #>> '{envelope,workspace}' = %s
    """
    people = "SELECT count(*) FROM read_recipients WHERE workspace = %s AND consented"

    async def counts() -> list[int]:
        async with house.pool.connection() as connection:
            found = [await (await connection.execute(q, [tenant.workspace])).fetchone() for q in (events, people)]
            return [row[0] for row in found if row]

    told, have = house.run(counts())
    return told, have


def test_a_long_list_has_all_its_consents_recorded_once_however_often_it_is_sent(house: House, tenant: Tenant) -> None:
    text = "number,name,consent\n" + "".join(map(those, (202, 212, 213)))
    headers = {"Idempotency-Key": "autumn"}
    with limited(house):
        first, again = upload(tenant, text, headers=headers), upload(tenant, text, headers=headers)
        assert (first.status_code, first.json()["consents"]) == (200, 300), first.text
        assert first.json() == again.json()
        until(lambda: recorded(house, tenant)[1] == 300)
        assert upload(tenant, text, headers=headers).json() == first.json()
    assert recorded(house, tenant) == (300, 300)


def test_lists_that_come_together_lose_no_consent(house: House, tenant: Tenant) -> None:
    lists = ["number,name,consent\n" + those(area, 40) for area in (202, 212, 213)]
    with limited(house), ThreadPoolExecutor() as together:
        answers = list(together.map(lambda text: upload(tenant, text), lists))
        assert [answer.status_code for answer in answers] == [200] * 3
        until(lambda: recorded(house, tenant)[1] == 120)


def test_who_sees_an_audience_sees_its_consents(house: House, tenant: Tenant) -> None:
    assert upload(tenant, "number,name,consent\n" + those(202, 60)).status_code == 200
    assert recorded(house, tenant)[0] == 60


def test_a_list_is_answered_though_nobody_records_its_consents_and_they_are_recorded_later(
    house: House, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.uploads.PATIENCE", 0.1)
    with house.without("consents"):
        assert upload(tenant, headers={"Idempotency-Key": "a"}).status_code == 200
        assert upload(tenant, headers={"Idempotency-Key": "a"}).status_code == 200
        assert recorded(house, tenant) == (0, 0)
    until(lambda: recorded(house, tenant) == (1, 1))


def test_a_person_opts_out_and_a_newer_consent_counts(tenant: Tenant) -> None:
    job = tenant.job(rows=1)
    person = tenant.ok("GET", f"/v1/jobs/{job['id']}/deliveries")["items"][0]["recipient_id"]
    path = f"/v1/recipients/{person}"
    until(lambda: tenant.ask("GET", path).status_code == 200)
    tenant.ok("POST", f"{path}/opt-out", role=Role.OPERATOR)
    found = tenant.ok("GET", path)
    assert (found["consented"], bool(found["opted_out_at"])) == (False, True)
    old = {"source": "paper", "given_at": "2020-01-01T00:00:00Z"}
    problem = tenant.problem("POST", f"{path}/consent", old)
    assert (problem["status"], problem["rule"], problem["field"]) == (409, "opted_out", "recipient_id")
    tenant.ok("POST", f"{path}/consent", old | {"given_at": datetime.now(UTC).isoformat()})
    assert tenant.ok("GET", path)["consented"]


def test_a_consent_is_checked(tenant: Tenant) -> None:
    path = f"/v1/recipients/{uuid4()}/consent"
    for body, rule, field in (
        ({"source": "hearsay", "given_at": "2026-01-01T00:00:00Z"}, "enum", "source"),
        ({"source": "paper", "given_at": "2099-01-01T00:00:00Z"}, "in_the_future", "given_at"),
        ({"source": "paper", "given_at": "0001-01-01T00:00:00+14:00"}, "too_long_ago", "given_at"),
        ({"source": "paper", "given_at": "2026-01-01T00:00:00"}, "no_time_zone", "given_at"),
    ):
        problem = tenant.problem("POST", path, body)
        assert (problem["status"], problem["rule"], problem["field"]) == (422, rule, field)
