"""Whatever an address names by an id, for another workspace it is not there; and every such address is tried."""

import re
from typing import Any
from uuid import UUID

import orjson
import pytest

from domain.message import Role
from tests.adapters.files import TEXT
from tests.api.house import House, Tenant
from tests.api.test_commands import until
from tests.api.test_dead_letters import a_letter
from tests.api.test_imports import give
from tests.api.test_media import begin, put
from tests.api.test_resolutions import begun, unknown

__all__ = ["begun", "unknown"]  # pytest finds them by these names

SEGMENT = "b1f5a4de-53e5-4b0c-9f57-1a1d3a0f6c44"
OTHERWISE = {
    # What is known of a person may begin with a consent, whose id is then somebody else's: nothing is told or done.
    "put /v1/segments/{segment_id}": 409,
    "post /v1/recipients/{recipient_id}/consent": 409,
    "post /v1/recipients/{recipient_id}/opt-out": 409,
    "post /v1/recipients/{recipient_id}/erase": 409,
    "get /v1/recipients/{recipient_id}/deliveries": 200,  # none, as of anybody of whom nothing is known
    "put /v1/attributes/{name}": 200,  # a word, and each workspace's own
    "delete /v1/attributes/{name}": 200,
}
HEADERS = {"Upload-Offset": "0", "Upload-Length": "5"}


@pytest.fixture
def ids(house: House, tenant: Tenant, unknown: UUID) -> dict[str, str]:
    """One of everything that has an id, by the name of that id in addresses."""
    until(lambda: tenant.ask("GET", f"/v1/deliveries/{unknown}").status_code == 200)
    delivery = tenant.ok("GET", f"/v1/deliveries/{unknown}")
    job = tenant.ok("GET", f"/v1/jobs/{delivery['job_id']}")
    parts = [{"text": "Hello"}]
    template = tenant.ok("POST", "/v1/templates", {"title": "Hours", "parts": parts})
    tenant.ok("PUT", f"/v1/segments/{SEGMENT}", {"title": "All", "filter": "everybody"})
    tenant.ok("PUT", "/v1/attributes/city", {"kind": "text"})
    imported = give(tenant).json()["import_id"]
    until(lambda: tenant.ask("GET", f"/v1/audiences/imports/{imported}").json()["ended_at"] is not None)
    return {
        "delivery_id": str(unknown),
        "job_id": job["id"],
        "campaign_id": job["campaign_id"],
        "audience_id": job["audience_id"],
        "account_id": delivery["account_id"],
        "recipient_id": delivery["recipient_id"],
        "template_id": template["template_id"],
        "command_id": template["command_id"],
        "segment_id": SEGMENT,
        "name": "city",
        "import_id": imported,
        "media_id": put(tenant, TEXT)["id"],
        "upload_id": begin(tenant, 5).rpartition("/")[2],
        "dead_letter_id": str(a_letter(house, tenant)),
    }


def test_what_is_one_workspaces_is_not_there_for_another(house: House, tenant: Tenant, ids: dict[str, str]) -> None:
    stranger = house.tenant()
    all_of_them = house.key(stranger.workspace, *(set(Role) - {Role.SYSTEM}))
    stranger.keys = dict.fromkeys(stranger.keys, all_of_them)
    told: dict[str, int] = {}
    for path, method, operation in addresses(house):
        address = path.format(**ids)  # a KeyError: say above what is one
        response = stranger.ask(method.upper(), address, **asking(operation, ids))
        told[f"{method} {path}"] = response.status_code
        if path.endswith("/deliveries") and response.status_code == 200:
            assert response.json()["items"] == []
        elif method == "get" and "event-stream" not in str(operation) and path.count("{") == 1:
            own = tenant.ask("GET", address, role=Role.ADMIN)  # it is there, though an account has no session
            assert own.status_code in (200, 503), f"{address} {own.text}"
    assert {name: status for name, status in told.items() if status != OTHERWISE.get(name, 404)} == {}


def addresses(house: House) -> list[tuple[str, str, dict[str, Any]]]:
    """All that name something, with what they are described as."""
    paths = house.app.openapi()["paths"]
    return [(path, method, one) for path, methods in paths.items() if "{" in path for method, one in methods.items()]


def asking(operation: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """A request that would be taken, were the thing there: with the example that is documented."""
    options: dict[str, Any] = {"headers": {"Prefer": "wait=20", **HEADERS}}
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        options["headers"]["Content-Type"] = kind
        example = orjson.dumps(content.get("example", {})).decode()
        known = re.sub(r'"recipient_id":"[^"]*"', f'"recipient_id":"{ids["recipient_id"]}"', example)
        options["content"] = b"Hello" if "example" not in content else known
    return options
