"""Media over HTTP: whole, in chunks as tus has it, by URL; shown, given out, deleted, and each tenant's apart."""

import asyncio
import base64
import socketserver
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.media_removal import Removal
from adapters.media_store import Directory
from domain.message import Role
from tests.adapters.files import FILES, TEXT, image, movie
from tests.adapters.test_media_fetch import Server
from tests.api.house import QUOTA, House, Tenant, problem_in
from tests.api.test_bad_input import asked
from tests.contracts import node
from workers.media import Remover

CHUNK = {"Content-Type": "application/offset+octet-stream"}
NOBODY = "0" * 64


def put(tenant: Tenant, data: bytes, **options: Any) -> dict[str, Any]:
    response = tenant.ask("POST", "/v1/media", content=data, **options)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/v1/media/{found['id']}"
    return found


def begin(tenant: Tenant, size: int) -> str:
    response = tenant.ask("POST", "/v1/media/uploads", headers={"Upload-Length": str(size), "Tus-Resumable": "1.0.0"})
    assert response.status_code == 201, response.text
    assert response.headers["upload-offset"] == "0"
    return str(response.headers["location"])


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_put_in_shown_and_given_out_again(tenant: Tenant, name: str) -> None:
    mimetype, data = FILES[name]
    found = put(tenant, data, headers={"Content-Type": "text/html"})
    assert (found["mimetype"], found["size"]) == (mimetype, len(data))
    assert tenant.ok("GET", f"/v1/media/{found['id']}", role=Role.AUDITOR) == found
    given = tenant.ask("GET", f"/v1/media/{found['id']}/content", role=Role.MODERATOR)
    assert (given.content, given.headers["content-type"].partition(";")[0]) == (data, mimetype)
    assert given.headers["content-disposition"].startswith("attachment; ")
    assert given.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in given.headers["content-security-policy"]


def test_the_same_file_is_the_same_media(tenant: Tenant) -> None:
    assert put(tenant, TEXT) == put(tenant, TEXT)
    assert len(tenant.ok("GET", "/v1/media")["items"]) == 1


def test_another_workspace_sees_nothing_and_has_other_ids(house: House, tenant: Tenant) -> None:
    found, stranger = put(tenant, TEXT), house.tenant()
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        problem = stranger.problem(method, f"/v1/media/{found['id']}{path}")
        assert asked(problem) == (404, "unknown_media", "media_id")
    assert stranger.ok("GET", "/v1/media")["items"] == []
    assert put(stranger, TEXT)["id"] != found["id"]
    upload = begin(tenant, 5)
    assert stranger.problem("GET", upload)["rule"] == "unknown_upload"


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.SYSTEM, Role.ADMIN, Role.AUTHOR, Role.SERVICE}))
def test_only_who_writes_campaigns_changes_media(tenant: Tenant, role: Role) -> None:
    found, upload = put(tenant, TEXT), begin(tenant, 5)
    for method, path in (
        ("POST", "/v1/media"),
        ("POST", "/v1/media/fetch"),
        ("POST", "/v1/media/uploads"),
        ("GET", upload),
        ("PATCH", upload),
        ("DELETE", upload),
        ("DELETE", f"/v1/media/{found['id']}"),
    ):
        headers = {"Upload-Length": "5", "Upload-Offset": "0"} | CHUNK
        assert tenant.problem(method, path, role=role, headers=headers)["rule"] == "role_required"


def test_what_is_wrong_with_a_file_is_said(tenant: Tenant) -> None:
    large = image("PNG") + bytes(200_000)
    for data, status, rule in (
        (b"", 422, "empty_file"),
        (b"<svg/>", 422, "active_content"),
        (b"MZ" + bytes(100), 422, "unknown_kind"),
        (image("JPEG")[:-300], 422, "damaged"),
        (image("JPEG") + FILES["docx"][1], 422, "ambiguous_content"),
        (large, 413, "file_too_large"),
    ):
        assert asked(tenant.problem("POST", "/v1/media", content=data)) == (status, rule, "content")
    assert tenant.ok("GET", "/v1/media")["items"] == []
    detail = tenant.problem("POST", "/v1/media", content=large)["detail"]
    assert detail == "The file (image) may have at most 200000 bytes."


def test_a_form_is_not_taken_for_a_file(tenant: Tenant) -> None:
    problem = tenant.problem("POST", "/v1/media", files={"file": ("a.txt", b"Hello")})
    assert asked(problem) == (415, "unsupported_media_type", "Content-Type")


def test_a_file_of_unknown_length_is_taken(tenant: Tenant) -> None:
    data = movie(data=5 << 20)
    found = put(tenant, iter([data[:1_000_000], data[1_000_000:]]))  # type: ignore[arg-type]  # httpx takes it
    assert tenant.ask("GET", f"/v1/media/{found['id']}/content").content == data


def test_a_file_comes_in_chunks_and_goes_on_after_a_break(tenant: Tenant) -> None:
    data = image("JPEG")
    upload, became = begin(tenant, len(data)), None
    for start in range(0, len(data), 500):
        asking = tenant.ask("HEAD", upload)
        assert (asking.headers["upload-offset"], asking.headers["upload-length"]) == (str(start), str(len(data)))
        assert asking.headers["cache-control"] == "no-store"
        chunk = data[start : start + 500]
        answer = tenant.ask("PATCH", upload, content=chunk, headers={"Upload-Offset": str(start)} | CHUNK)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(start + len(chunk)))
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert "upload-expires" in answer.headers
        became = answer.headers.get("drl-media")
    state = tenant.ok("GET", upload)
    assert state["media"] == put(tenant, data)
    assert became == state["media"]["id"]


def test_a_chunk_at_another_place_is_refused_with_the_place_to_go_on_from(tenant: Tenant) -> None:
    upload = begin(tenant, 100)
    tenant.ask("PATCH", upload, content=b"a" * 10, headers={"Upload-Offset": "0"} | CHUNK)
    problem = tenant.problem("PATCH", upload, content=b"b", headers={"Upload-Offset": "9"} | CHUNK)
    assert asked(problem) == (409, "offset_mismatch", "Upload-Offset")
    assert problem["params"] == {"offset": 10}
    for headers, expected in (
        ({"Upload-Offset": "10"}, (415, "unsupported_media_type", "Content-Type")),
        ({"Upload-Offset": "-1"} | CHUNK, (422, "greater_than_equal", "Upload-Offset")),
        (CHUNK, (422, "missing", "Upload-Offset")),
        ({"Upload-Offset": "10", "Tus-Resumable": "0.2.0"} | CHUNK, (412, "tus_version", "Tus-Resumable")),
    ):
        assert asked(tenant.problem("PATCH", upload, content=b"b", headers=headers)) == expected
    assert tenant.ok("GET", upload)["offset"] == 10


def test_an_upload_is_given_up(tenant: Tenant) -> None:
    upload = begin(tenant, 100)
    assert tenant.ask("DELETE", upload).status_code == 204
    for method in ("GET", "DELETE"):
        assert tenant.problem(method, upload)["rule"] == "unknown_upload"
    answer = tenant.ask("PATCH", upload, content=b"a", headers={"Upload-Offset": "0"} | CHUNK)
    assert problem_in(answer)["rule"] == "unknown_upload"


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("0", (422, "greater_than_equal", "Upload-Length")),
        ("x", (422, "int_parsing", "Upload-Length")),
        ("10000001", (413, "file_too_large", "content")),
    ],
)
def test_an_upload_has_a_length(tenant: Tenant, length: str, expected: tuple[int, str, str]) -> None:
    assert asked(tenant.problem("POST", "/v1/media/uploads", headers={"Upload-Length": length})) == expected


def test_a_quota_holds_for_what_is_begun(tenant: Tenant) -> None:
    for _ in range(QUOTA // 10_000_000):
        begin(tenant, 10_000_000)
    problem = tenant.problem("POST", "/v1/media", content=TEXT)
    assert asked(problem) == (409, "quota_reached", "content")
    assert problem["params"] == {"maximum": QUOTA, "used": QUOTA}


def served(data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(data) + data


@contextmanager
def serving(answer: bytes, *, ends: bool = True) -> Iterator[socketserver.BaseServer]:
    with Server(answer, ends=ends) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever, 0.01)
        try:
            yield server
        finally:
            server.shutdown()


def test_a_file_is_fetched_by_its_url(tenant: Tenant) -> None:
    data = movie(data=5 << 20)
    with serving(served(data)) as server:
        assert isinstance(server, Server)
        url = f"http://pictures.example:{server.port}/spring"
        answer = tenant.ask("POST", "/v1/media/fetch", json={"url": url})
    assert answer.status_code == 201, answer.text
    assert tenant.ask("GET", f"/v1/media/{answer.json()['id']}/content").content == data


def test_what_cannot_be_fetched_is_refused_by_its_rule(tenant: Tenant) -> None:
    with serving(served(b"<html>")) as server:
        assert isinstance(server, Server)
        for url, expected in (
            (f"http://pictures.example:{server.port}/", (422, "active_content", "content")),
            (f"http://[::1]:{server.port}/", (422, "address_not_global", "url")),
            ("http://10.0.0.1/", (422, "address_not_global", "url")),
            ("file:///etc/passwd", (422, "bad_url", "url")),
            ("x" * 2_001, (422, "string_too_long", "url")),
        ):
            assert asked(tenant.problem("POST", "/v1/media/fetch", {"url": url})) == expected
    assert asked(tenant.problem("POST", "/v1/media/fetch", {"uri": "x"})) == (422, "missing", "url")


def test_a_file_without_an_end_is_left_and_nothing_of_it_is_kept(house: House, tenant: Tenant) -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + bytes(1 << 20) + b"\r\n") * 13
    with serving(endless, ends=False) as server:
        assert isinstance(server, Server)
        problem = tenant.problem("POST", "/v1/media/fetch", {"url": f"http://pictures.example:{server.port}/"})
    assert asked(problem) == (413, "file_too_large", "content")
    for _ in range(QUOTA // 10_000_000):  # all of the room is there
        begin(tenant, 10_000_000)


def test_media_that_a_campaign_has_is_not_deleted(tenant: Tenant) -> None:
    found, other = put(tenant, image("PNG")), put(tenant, TEXT)
    campaign = tenant.campaign(parts=[{"kind": "image", "media": found["id"]}])
    problem = tenant.problem("DELETE", f"/v1/media/{found['id']}")
    assert asked(problem) == (409, "media_in_use", "media_id")
    assert tenant.ask("DELETE", f"/v1/media/{other['id']}").status_code == 204
    assert tenant.problem("GET", f"/v1/media/{other['id']}")["rule"] == "unknown_media"
    tenant.ok("POST", f"/v1/campaigns/{campaign}/archive")
    assert tenant.ask("DELETE", f"/v1/media/{found['id']}").status_code == 204
    assert tenant.ok("GET", "/v1/media")["items"] == []


def test_what_is_not_there_is_not_found(tenant: Tenant) -> None:
    assert asked(tenant.problem("GET", f"/v1/media/{NOBODY}")) == (404, "unknown_media", "media_id")
    assert asked(tenant.problem("DELETE", f"/v1/media/{NOBODY}")) == (404, "unknown_media", "media_id")
    assert asked(tenant.problem("GET", "/v1/media/abc")) == (422, "malformed", "media_id")
    assert tenant.problem("GET", f"/v1/media/uploads/{uuid4()}")["rule"] == "unknown_upload"


def test_media_are_listed_the_newest_first_by_kind(tenant: Tenant) -> None:
    made = [put(tenant, data)["id"] for _, data in list(FILES.values())[:6]][::-1]
    first = tenant.ok("GET", "/v1/media", params={"limit": 4})
    rest = tenant.ok("GET", "/v1/media", params={"limit": 4, "cursor": first["next"]})
    assert [item["id"] for item in first["items"] + rest["items"]] == made
    stickers = tenant.ok("GET", "/v1/media", params={"kind": "sticker"})["items"]
    assert [item["mimetype"] for item in stickers] == ["image/webp"]


def test_the_protocol_s_own_client_breaks_off_and_goes_on(house: House, tenant: Tenant) -> None:
    data = movie(data=3_000_000)
    given = {
        "endpoint": f"{house.url}/v1/media/uploads",
        "key": tenant.keys[Role.SERVICE],
        "data": base64.b64encode(data).decode(),
        "chunk": 1_000_000,
    }
    told = node.run("send_by_tus.mjs", given)
    assert (told["begun"]["accepted"], told["begun"]["media"]) == (1_000_000, None)
    assert told["ended"]["url"] == told["begun"]["url"]
    assert tenant.ask("GET", f"/v1/media/{told['ended']['media']}/content").content == data


def test_a_message_carries_only_files_that_are_there_as_what_they_are(house: House, tenant: Tenant) -> None:
    picture, paper = put(tenant, image("PNG"))["id"], put(tenant, FILES["pdf"][1])["id"]
    elsewhere = put(house.tenant(), image("PNG"))["id"]
    for kind, media, expected in (
        ("image", NOBODY, (422, "unknown_media", "parts.1.media")),
        ("image", elsewhere, (422, "unknown_media", "parts.1.media")),
        ("image", paper, (422, "not_to_be_sent_so", "parts.1.kind")),
        ("voice", picture, (422, "not_to_be_sent_so", "parts.1.kind")),
    ):
        body = {"title": "Spring", "parts": [{"text": "Hello"}, {"kind": kind, "media": media}]}
        for path in ("/v1/campaigns", "/v1/templates"):
            assert asked(tenant.problem("POST", path, body)) == expected
    tenant.campaign(parts=[{"kind": "image", "media": picture}, {"kind": "document", "media": picture}])


def test_what_an_unfinished_job_carries_stays_and_goes_after_it(house: House, tenant: Tenant, scratch: Path) -> None:
    picture, unused = put(tenant, image("PNG"))["id"], put(tenant, TEXT)["id"]
    campaign = tenant.campaign(parts=[{"kind": "image", "media": picture}], audience_id=str(tenant.audience()))
    body = {"campaign_id": str(campaign), "accounts": [str(tenant.account())]}
    job = tenant.ok("POST", "/v1/jobs", body)["job_id"]
    tenant.ok("POST", f"/v1/campaigns/{campaign}/archive")
    services = house.services
    removal = Removal(house.pool, Directory(scratch), services.media_uploads)
    remover = Remover(removal, services.store, services.models)

    async def a_week_later() -> None:
        async with house.pool.connection() as connection:
            shift = "UPDATE media SET used_at = now() - interval '7 days' WHERE workspace = %s"
            await connection.execute(shift, [tenant.workspace])
        async with asyncio.timeout(30):
            while not await remover.step():  # the read models may be behind
                pass

    house.run(a_week_later())
    assert tenant.problem("GET", f"/v1/media/{unused}")["rule"] == "unknown_media"
    assert tenant.problem("DELETE", f"/v1/media/{picture}")["rule"] == "media_in_use"
    tenant.ok("POST", f"/v1/jobs/{job}/stop")
    house.run(a_week_later())
    assert tenant.problem("GET", f"/v1/media/{picture}")["rule"] == "unknown_media"
