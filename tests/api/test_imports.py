"""Imports of any length over HTTP: uploaded, followed, told, with the rows that were left out."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.audience import LARGEST_LIST
from domain.message import Role
from tests.api.house import House, Tenant, csv_of, problem_in
from tests.api.test_commands import until
from tests.e2e.terminal import Ran, drumline

LIST = """\
Handy;Name;Ort;consent
+12025550101;Ada;Rome;yes
+1 202 555 0101;Ada Byron;;
+12025550102;Bo;=1+1;
+12025550103;Cy;Oslo;no
7;Nobody;;yes
"""
DATA = {"title": "Customers"}


def give(tenant: Tenant, text: str = LIST, **options: Any) -> httpx.Response:
    return tenant.ask("POST", "/v1/audiences/import", **({"files": csv_of(text), "data": DATA} | options))


def ended(tenant: Tenant, response: httpx.Response) -> dict[str, Any]:
    """The last that is told of an import, as it is followed."""
    assert response.status_code == 202, response.text
    path = response.headers["location"]
    headers = {"Authorization": f"Bearer {tenant.keys[Role.AUDITOR]}"}
    with tenant.house.http.stream("GET", f"{tenant.house.url}{path}/events", headers=headers) as stream:
        assert stream.status_code == 200
        told = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: ")]
    assert told[-1] == tenant.ok("GET", path)
    assert all(one["ended_at"] is None for one in told[:-1])
    last: dict[str, Any] = told[-1]
    return last


def test_a_list_is_imported_followed_and_accounted_for(tenant: Tenant) -> None:
    told = ended(tenant, give(tenant))
    names = ("state", "rows", "bad", "merged", "recipients", "written", "added", "changed", "consents")
    assert [told[name] for name in names] == ["done", 5, 2, 1, 2, 2, 2, 0, 1]
    assert [(column["header"], column["holds"]) for column in told["columns"]] == [
        ("Handy", "number"),
        ("Name", "name"),
        ("Ort", "ort"),
        ("consent", "consent"),
    ]
    until(lambda: tenant.ask("GET", f"/v1/audiences/{told['audience_id']}").status_code == 200)
    found = tenant.ok("GET", f"/v1/audiences/{told['audience_id']}")
    assert (found["title"], found["recipients"], found["bad"], found["merged"]) == ("Customers", 2, 2, 1)


def test_bad_rows_come_back_as_csv(tenant: Tenant) -> None:
    response = give(tenant)
    ended(tenant, response)
    answer = tenant.ask("GET", f"{response.headers['location']}/bad-rows")
    assert answer.headers["content-type"].startswith("text/csv")
    header, *rows = csv.reader(answer.text.splitlines())
    assert header == ["line", "reason", "column", "explanation"]
    assert [row[:3] for row in rows] == [["4", "formula", "ort"], ["6", "number_unreadable", "number"]]
    assert all(row[3].endswith(".") for row in rows)


def test_a_list_comes_to_the_same_whichever_way_it_is_imported(tenant: Tenant) -> None:
    files = {"file": ("people.csv", LIST.encode("utf-16"))}
    told = ended(tenant, give(tenant, files=files))
    answer = tenant.ok("POST", "/v1/audiences", files=files, data=DATA)
    names = ("rows", "bad", "merged", "recipients", "consents")
    assert [answer[name] for name in names] == [told[name] for name in names] == [5, 2, 1, 2, 1]
    response = tenant.ask("GET", f"/v1/audiences/imports/{told['import_id']}/bad-rows")
    _, *rows = csv.reader(response.text.splitlines())
    assert [[str(row["line"]), row["reason"], row["column"]] for row in answer["bad_rows"]] == [row[:3] for row in rows]

    async def digests() -> list[Any]:
        question = "SELECT digest FROM audience_imports WHERE audience_id = ANY(%s)"
        async with tenant.house.pool.connection() as connection:
            found = await connection.execute(question, [[UUID(told["audience_id"]), UUID(answer["audience_id"])]])
            return await found.fetchall()

    one, other = tenant.house.run(digests())
    assert one == other


def test_a_dry_run_tells_all_that_and_makes_nothing(tenant: Tenant) -> None:
    columns = json.dumps({"Ort": "city", "2": ""})
    told = ended(tenant, give(tenant, data=DATA | {"dry_run": "true", "columns": columns, "country": "us"}))
    assert (told["state"], told["audience_id"], told["recipients"], told["added"]) == ("checked", None, 2, 2)
    assert [column["holds"] for column in told["columns"]] == ["number", None, "city", "consent"]
    assert tenant.ok("GET", "/v1/audiences")["items"] == []


def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(tenant: Tenant) -> None:
    told = ended(tenant, give(tenant, files={"file": ("people.csv", b"PK\x03\x04and so on")}))
    assert (told["state"], told["rule"], told["field"]) == ("refused", "not_csv", "file")
    assert "ZIP" in told["detail"]
    told = ended(tenant, give(tenant, "name\nAda\n"))
    assert (told["state"], told["rule"], told["field"]) == ("refused", "missing_column", "number")


def test_the_same_upload_under_the_same_key_is_one_import(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "autumn"}
    first = give(tenant, headers=headers)
    told = ended(tenant, first)
    again = give(tenant, headers=headers)
    assert (again.status_code, again.json()) == (202, told)
    problem = problem_in(give(tenant, LIST + "+12025550104;Di;;\n", headers=headers))
    assert (problem["status"], problem["rule"]) == (422, "idempotency_key_reused")
    assert len(tenant.ok("GET", "/v1/audiences")["items"]) <= 1


@pytest.mark.parametrize(
    ("options", "status", "rule", "field"),
    [
        ({"data": {}}, 422, "missing", "title"),
        ({"data": {"title": ""}}, 422, "string_too_short", "title"),
        ({"files": None, "data": None, "content": b"x"}, 415, "unsupported_media_type", "Content-Type"),
        ({"files": {"title": ("a", b"b")}, "data": {}}, 422, "missing", "title"),
        ({"files": {"country": ("a", b"b")}}, 422, "missing", "file"),
        ({"files": {"list": ("a", b"b")}}, 422, "unknown_field", "body"),
        ({"files": {"country": ("a", b"b")}, "data": DATA | {"file": "number\n"}}, 422, "malformed", "country"),
        ({"data": DATA | {"country": "XX"}}, 422, "unknown_country", "country"),
        ({"data": DATA | {"country": "d e"}}, 422, "unknown_country", "country"),
        ({"data": DATA | {"dry_run": "perhaps"}}, 422, "bool_parsing", "dry_run"),
        ({"data": DATA | {"columns": "[1]"}}, 422, "not_an_object", "columns"),
        ({"data": DATA | {"columns": "{"}}, 422, "not_json", "columns"),
        ({"data": DATA | {"columns": '{"a": 1}'}}, 422, "string_type", "columns"),
        ({"data": DATA | {"columns": json.dumps({"a": "x" * 201})}}, 422, "string_too_long", "columns"),
        ({"data": DATA | {"columns": json.dumps({str(n): "" for n in range(51)})}}, 422, "too_many", "columns"),
    ],
)
def test_a_form_that_is_wrong_is_refused_and_nothing_is_kept(
    house: House, tenant: Tenant, options: dict[str, Any], status: int, rule: str, field: str
) -> None:
    problem = problem_in(give(tenant, **options))
    assert (problem["status"], problem["rule"], problem["field"]) == (status, rule, field)

    async def kept() -> int:
        question = """
            SELECT count(*) FROM import_chunks c WHERE NOT EXISTS (SELECT FROM imports i WHERE i.upload = c.upload)"""
        async with house.pool.connection() as connection:
            row = await (await connection.execute(question)).fetchone()
        assert row is not None
        return int(row[0])

    assert house.run(kept()) == 0


@pytest.mark.parametrize("path", ["/v1/audiences", "/v1/audiences/import"])
@pytest.mark.parametrize(
    ("charset", "title", "rule", "field"),
    [
        ("punycode", b"a" * 4_000, "not_utf8", "Content-Type"),
        ("utf-16", b"a", "not_utf8", "Content-Type"),
        ("utf-8", b"\xff", "not_utf8", "title"),
        ("UTF-8", b"a" * 20_000, "string_too_long", "title"),
    ],
)
def test_a_forms_fields_are_short_and_in_utf_8(
    tenant: Tenant, path: str, charset: str, title: bytes, rule: str, field: str
) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n%b\r\n' % title
    body += b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nnumber\n+12025550101\n\r\n--x--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    problem = tenant.problem("POST", path, content=body, headers=headers)
    assert (problem["rule"], problem["field"]) == (rule, field)


def test_a_file_larger_than_a_body_may_be_elsewhere_is_taken(tenant: Tenant) -> None:
    notes, columns = "," + ",".join(["x" * 900] * 40), "".join(f",note {n}" for n in range(40))
    rows = "".join(f"+1{area}55501{line:02}{notes}\n" for area in (202, 212) for line in range(100))
    assert len(rows) > 7_000_000
    told = ended(tenant, give(tenant, f"number{columns}\n{rows}"))
    assert (told["state"], told["rows"]) == ("done", 200)
    assert told["rows"] == told["bad"] + told["recipients"]


def test_an_import_of_another_workspace_does_not_exist(house: House, tenant: Tenant) -> None:
    path = give(tenant).headers["location"]
    other = house.tenant()
    for one in (path, f"{path}/events", f"{path}/bad-rows", f"/v1/audiences/imports/{uuid4()}"):
        problem = problem_in(other.ask("GET", one))
        assert (problem["status"], problem["rule"]) == (404, "unknown_import")


@pytest.mark.parametrize("role", [Role.MODERATOR, Role.OPERATOR, Role.AUDITOR])
def test_who_may_not_import_is_refused(tenant: Tenant, role: Role) -> None:
    assert problem_in(give(tenant, role=role))["rule"] == "role_required"


def run(house: House, *words: str) -> Ran:
    """`drumline audience import` against the house's API."""
    return drumline("audience", "import", *words, settings={"HTTP_PORT": str(httpx.URL(house.url).port)})


def run_as_a_process(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DRUMLINE_HTTP_PORT": str(httpx.URL(house.url).port)}
    line = [sys.executable, "-m", "infra.cli", "audience", "import", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_the_command_imports_and_tells_what_became_of_each_row(house: House, tenant: Tenant, scratch: Path) -> None:
    file, bad = scratch / "contacts.csv", scratch / "bad.csv"
    file.write_text(LIST)
    key = ("--key", tenant.keys[Role.AUTHOR])
    file.write_text(LIST.replace("Name", "Na\x1b[31mme"))
    dry = run(house, str(file), *key, "--dry-run", "--map", "Ort=city")
    assert dry.returncode == 0, dry.stderr
    assert "column 2, Na?[31mme: na_31mme (name)" in dry.stdout
    assert "column 3, Ort: city (owner)" in dry.stdout
    file.write_text(LIST)
    assert tenant.ok("GET", "/v1/audiences")["items"] == []
    done = run_as_a_process(house, str(file), *key, "--map", "Ort=")
    assert "line 6: number_unreadable (number)" in done.stdout
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["state"], told["rows"], told["bad"], told["merged"], told["recipients"]) == ("done", 5, 1, 1, 3)
    [found] = tenant.ok("GET", "/v1/audiences")["items"]
    assert (found["id"], found["title"]) == (told["audience_id"], "contacts")
    again = run(house, str(file), *key, "--bad-rows", str(bad))
    assert json.loads(again.stdout.splitlines()[-1])["added"] == 0
    assert len(bad.read_text().splitlines()) == 3
    assert f"Left out: 2; the lines and reasons are in {bad}." in again.stderr
    assert "consent" not in again.stderr
    file.write_text(f"{LIST.splitlines()[0]}\n+12025550101;Ada;Rome;yes\n")
    assert run(house, str(file), *key, "--bad-rows", str(bad)).returncode == 0
    assert bad.read_text().splitlines() == ["line,reason,column,explanation"]
    file.write_text(f"{file.read_text()}+12025550102;Bo;Rome;yes;more\n")
    assert "line 3: too_many_values\n" in run(house, str(file), *key).stdout  # it is about no column
    assert "No column was taken for consent" in run(house, str(file), *key, "--map", "consent=").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{zip}"], "file: The file is a ZIP archive"),
        (["{good}", "--map", "Ort"], "--map: "),
        pytest.param(["{good}", "--country", "XX"], "country: ", marks=pytest.mark.long),
        (["{good}", "--key", "schlüssel"], "--key: "),
        (["{good}", "--bad-rows", "{good}/bad.csv"], "cannot be written: not a directory."),
        pytest.param(["/proc/self/mem"], "/proc/self/mem cannot be read: input/output error.", marks=pytest.mark.long),
        (["{huge}"], "file: The file is larger than 500,000,000 bytes"),
        pytest.param(["{nothing}"], "is not a file.", marks=pytest.mark.long),
    ],
)
def test_the_command_says_in_one_sentence_what_it_cannot_import(
    house: House, tenant: Tenant, scratch: Path, words: list[str], said: str
) -> None:
    places = {name: scratch / name for name in ("zip", "good", "huge", "nothing")}
    with places["huge"].open("wb") as huge:
        huge.truncate(LARGEST_LIST + 1)  # it takes no room
    places["zip"].write_bytes(b"PK\x03\x04and so on")
    places["good"].write_text(LIST)
    key = [] if "--key" in words else ["--key", tenant.keys[Role.AUTHOR]]
    done = run(house, *(word.format(**places) for word in words), *key)
    assert (done.returncode, done.stdout) == (2, "")
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("drumline: ")
    assert said in sentence
    assert "Traceback" not in done.stderr
    assert tenant.ok("GET", "/v1/audiences")["items"] == []
