"""What one person would get, as bubbles: in their words, with what is known of the files; nothing of it stays."""

from typing import Any
from uuid import uuid4

import pytest

from domain.message import Role
from tests.adapters.files import image
from tests.api.house import House, Tenant, csv_of
from tests.api.test_media import put

PEOPLE = "number,name,consent,city,due\n+12025550142,ada lovelace,yes,London,2026-12-01\n+12025550143,Bo,no,,soon\n"


def listed(tenant: Tenant) -> tuple[str, list[str]]:
    """A list of two people: its id, and theirs."""
    answer = tenant.ok("POST", "/v1/audiences", files=csv_of(PEOPLE), data={"title": "Customers"})
    numbers = ("+12025550142", "+12025550143")
    found = [tenant.ok("POST", "/v1/recipients/look-up", {"number": number}) for number in numbers]
    return answer["audience_id"], [one["id"] for one in found]


def lose_media(tenant: Tenant) -> None:
    """Let the workspace's files be gone, as if its database were older than its campaigns."""

    async def lose() -> None:
        async with tenant.house.pool.connection() as connection:
            await connection.execute("DELETE FROM media WHERE workspace = %s", [tenant.workspace])

    tenant.house.run(lose())


def preview(tenant: Tenant, path: str, person: str) -> Any:
    return tenant.ok("POST", f"{path}/preview", {"recipient_id": person})


def test_a_campaign_is_shown_in_a_persons_words(tenant: Tenant) -> None:
    _, (ada, bo) = listed(tenant)
    parts = [
        {"kind": "text", "text": "Hello {{name:title}} from {{city|somewhere}}, ask @+12025550144"},
        {"kind": "text", "text": "Due {{due:date}}", "delay": 5, "reply_to": 0},
        {"kind": "poll", "question": "When, {{name:upper}}?", "choices": ["{{city|Here}}", "There"]},
        {"kind": "image", "media": put(tenant, image("PNG"))["id"], "caption": "For {{name}}"},
    ]
    campaign = f"/v1/campaigns/{tenant.campaign(parts=parts)}"
    lose_media(tenant)
    shown = preview(tenant, campaign, ada)
    assert shown["consented"]
    text, due, poll, picture = shown["bubbles"]
    assert text["part"]["text"] == "Hello Ada Lovelace from London, ask @12025550144"
    assert (text["mentions"], text["rejected"], text["media"]) == (["+12025550144"], None, None)
    assert due["part"] == {"kind": "text", "text": "Due 01.12.2026", "delay": 5, "reply_to": 0}
    assert (poll["part"]["question"], poll["part"]["choices"]) == ("When, ADA LOVELACE?", ["London", "There"])
    assert picture["rejected"] == {"reason": "media_gone", "field": "media"}
    assert picture["part"]["caption"] == "For {{name}}"

    other = preview(tenant, campaign, bo)
    assert not other["consented"]
    assert other["bubbles"][0]["part"]["text"].startswith("Hello Bo from somewhere")
    assert other["bubbles"][1]["rejected"] == {"reason": "unrenderable", "field": "text"}
    assert other["bubbles"][1]["part"]["text"] == "Due {{due:date}}"


def test_all_that_a_person_lacks_is_told_at_once(tenant: Tenant) -> None:
    _, (ada, bo) = listed(tenant)
    choices = ["{{city}}", "{{due:date}}", "{{hall|Hall 1}}"]
    said = [
        {"kind": "poll", "question": "{{title}} {{name:upper}}, where?", "choices": choices},
        {"kind": "location", "latitude": 1, "longitude": 2, "name": "{{hall|}}"},
    ]
    template = tenant.ok("POST", "/v1/templates", {"title": "Where", "parts": said})["template_id"]
    for person, lacks in ((ada, ["title"]), (bo, ["city", "due", "title"])):
        poll, place = preview(tenant, f"/v1/templates/{template}", person)["bubbles"]
        assert (poll["lacking"], place["lacking"], place["rejected"]) == (lacks, [], None)
        assert poll["rejected"] == {"reason": "unrenderable", "field": "choices" if person == bo else "question"}


def test_a_file_is_described(tenant: Tenant) -> None:
    _, (ada, _) = listed(tenant)
    kind = {"Content-Type": "application/octet-stream"}
    file = tenant.ask("POST", "/v1/media", headers=kind, content=image("PNG")).json()
    parts = [{"kind": "image", "media": file["id"], "caption": "For {{name}}, @+12025550144"}]
    parts.append({"kind": "image", "media": file["id"]})
    bubbles = preview(tenant, f"/v1/campaigns/{tenant.campaign(parts=parts)}", ada)["bubbles"]
    assert [bubble["part"]["caption"] for bubble in bubbles] == ["For ada lovelace, @12025550144", None]
    assert [bubble["mentions"] for bubble in bubbles] == [["+12025550144"], []]
    assert bubbles[0]["media"] == {name: file[name] for name in ("id", "mimetype", "size", "width", "height")}


def test_a_job_shows_what_was_frozen_and_a_template_what_is_known_now(tenant: Tenant) -> None:
    audience, (ada, _) = listed(tenant)
    said = [{"text": "Hello {{name}}"}]
    campaign = tenant.campaign(audience_id=audience, parts=said)
    body = {"campaign_id": str(campaign), "accounts": [str(tenant.account())]}
    job = tenant.ok("POST", "/v1/jobs", body)["job_id"]
    template = tenant.ok("POST", "/v1/templates", {"title": "Hello", "parts": said})["template_id"]
    renamed = PEOPLE.replace("ada lovelace", "Countess")
    tenant.ok("POST", "/v1/audiences", files=csv_of(renamed), data={"title": "Customers"})
    for path, text in (
        (f"/v1/jobs/{job}", "Hello ada lovelace"),
        (f"/v1/campaigns/{campaign}", "Hello Countess"),
        (f"/v1/templates/{template}", "Hello Countess"),
    ):
        assert preview(tenant, path, ada)["bubbles"][0]["part"]["text"] == text


def test_only_people_and_things_of_ones_own_are_shown(tenant: Tenant, house: House) -> None:
    _, (ada, _) = listed(tenant)
    other, mine = house.tenant(), tenant.campaign()
    for asker, campaign, person, rule in (
        (other, other.campaign(), ada, "unknown_recipient"),
        (other, mine, ada, "unknown_campaign"),
        (tenant, mine, str(uuid4()), "unknown_recipient"),
        (tenant, uuid4(), ada, "unknown_campaign"),
    ):
        problem = asker.problem("POST", f"/v1/campaigns/{campaign}/preview", {"recipient_id": person})
        assert (problem["status"], problem["rule"]) == (404, rule)


@pytest.mark.parametrize("role", [Role.AUTHOR, Role.MODERATOR, Role.OPERATOR, Role.SERVICE, Role.ADMIN])
def test_who_works_with_people_may_see_it_and_an_auditor_not(tenant: Tenant, role: Role) -> None:
    _, (ada, _) = listed(tenant)
    path, asked = f"/v1/campaigns/{tenant.campaign()}/preview", {"recipient_id": ada}
    assert tenant.ok("POST", path, asked, role=role)["bubbles"]
    assert tenant.problem("POST", path, asked, role=Role.AUDITOR)["status"] == 403


@pytest.mark.parametrize(
    ("body", "field"), [({}, "recipient_id"), ({"recipient_id": 7}, "recipient_id"), ({"number": "+1"}, "recipient_id")]
)
def test_a_preview_is_of_somebody(tenant: Tenant, body: dict[str, Any], field: str) -> None:
    problem = tenant.problem("POST", f"/v1/campaigns/{tenant.campaign()}/preview", body)
    assert (problem["status"], problem["field"]) == (422, field)
