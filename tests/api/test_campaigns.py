"""Campaigns and lists over HTTP."""

from typing import Any

import pytest

from tests.adapters.files import FILES
from tests.api.house import Tenant
from tests.api.test_media import put


def test_a_campaign_is_made_and_found(tenant: Tenant) -> None:
    campaign = tenant.campaign(title="Opening", parts=[{"text": "Hello {{name}}"}, {"text": "Until Saturday!"}])
    found = tenant.ok("GET", f"/v1/campaigns/{campaign}")
    assert found["title"] == "Opening"
    assert [part["text"] for part in found["parts"]] == ["Hello {{name}}", "Until Saturday!"]
    assert found["version"] == 1
    assert tenant.ok("GET", "/v1/campaigns") == {"items": [found], "next": None}


def test_a_campaign_is_revised_and_archived(tenant: Tenant) -> None:
    campaign = tenant.campaign()
    tenant.ok("POST", f"/v1/campaigns/{campaign}/revise", {"title": "Autumn", "parts": [{"text": "Bye"}]})
    revised = tenant.ok("GET", f"/v1/campaigns/{campaign}")
    said = [{"kind": "text", "text": "Bye", "delay": 0, "reply_to": None}]
    assert (revised["title"], revised["parts"], revised["version"]) == ("Autumn", said, 2)
    assert not revised["archived"]
    tenant.ok("POST", f"/v1/campaigns/{campaign}/archive")
    assert tenant.ok("GET", f"/v1/campaigns/{campaign}")["archived"]
    problem = tenant.problem("POST", f"/v1/campaigns/{campaign}/revise", {"title": "X", "parts": [{"text": "Y"}]})
    assert (problem["status"], problem["rule"]) == (409, "archived")


def test_words_of_any_script_come_back_as_they_were(tenant: Tenant) -> None:
    words = "Привет, {{name}} 👋🏽 \u202e مرحبا \n\t\u2019 \u0001 🇳🇱"
    campaign = tenant.campaign(title="日本語", parts=[{"text": words}])
    found = tenant.ok("GET", f"/v1/campaigns/{campaign}")
    assert (found["title"], found["parts"][0]["text"]) == ("日本語", words)


def test_every_kind_of_part_is_shown_as_it_is_taken(tenant: Tenant) -> None:
    files = [put(tenant, FILES[name][1])["id"] for name in ("png", "opus", "webp", "pdf")]
    image = {"kind": "image", "media": files[0], "caption": "For {{name}}", "filename": None}
    parts: list[dict[str, Any]] = [
        {"kind": "text", "text": "Hello {{name}}"},
        image | {"delay": 5, "reply_to": 0},
        {"kind": "voice", "media": files[1], "caption": None, "filename": None},
        {"kind": "sticker", "media": files[2], "caption": None, "filename": None},
        {"kind": "document", "media": files[3], "caption": None, "filename": "Menu for {{name}}.pdf"},
        {"kind": "location", "latitude": 52.52, "longitude": 13.405, "name": "The shop", "address": None},
        {"kind": "contact", "name": "Front desk", "number": "+12025550142"},
        {"kind": "poll", "question": "When, {{name}}?", "choices": ["Saturday", "Sunday"], "selectable": 2},
    ]
    whole = [{"delay": 0, "reply_to": None} | part for part in parts]
    campaign = tenant.campaign(parts=parts)
    assert tenant.ok("GET", f"/v1/campaigns/{campaign}")["parts"] == whole
    assert tenant.ok("GET", "/v1/campaigns")["items"][0]["parts"] == whole
    again = tenant.ok("POST", f"/v1/campaigns/{campaign}/revise", {"title": "Spring", "parts": whole})
    assert again["version"] == 1, "what is shown can be sent back, and says the same"


def test_pages_hold_everything_once_newest_first(tenant: Tenant) -> None:
    made = [str(tenant.campaign(title=f"No. {number}")) for number in range(5)]
    seen: list[str] = []
    late = ""
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = tenant.ok("GET", "/v1/campaigns", params=query)
        seen += [item["id"] for item in page["items"]]
        if len(seen) == 2:
            late = str(tenant.campaign(title="made meanwhile"))
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == made[::-1]
    assert late not in seen, "what is made while somebody reads is before the first page"


@pytest.mark.parametrize("limit", ["0", "-1", "201", "many", "1.5"])
def test_a_page_has_bounds(tenant: Tenant, limit: str) -> None:
    problem = tenant.problem("GET", "/v1/campaigns", params={"limit": limit})
    assert (problem["status"], problem["field"]) == (422, "limit")


@pytest.mark.parametrize(
    "cursor", ["", "x", "cDQxMjA=", "cC03", "cDQ5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "p7", "💥", "cDA3"]
)
def test_a_cursor_is_one_of_ours(tenant: Tenant, cursor: str) -> None:
    problem = tenant.problem("GET", "/v1/campaigns", params={"cursor": cursor})
    assert (problem["status"], problem["rule"], problem["field"]) == (422, "bad_cursor", "cursor")
