"""Who may do what: a key is an actor, roles decide, and a workspace sees only its own."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import APIRouter, FastAPI

from adapters.keys import checksum
from api.app import create
from api.auth import UndeclaredAccess, require_access
from domain import catalog
from domain.message import PrincipalId, Role, WorkspaceId
from tests.api.house import House, Tenant, problem_in

LISTS = ["campaigns", "audiences", "jobs", "review-queue", "accounts", "recipients", "timers"]
ROLES = sorted(set(Role) - {Role.SYSTEM})
SOME = UUID(int=7)
COMMANDS: dict[str, tuple[str, str, Any]] = {
    "workspace.create": ("POST", "/v1/workspace", None),
    "workspace.set-moderation-policy": (
        "PUT",
        "/v1/workspace/moderation-policy",
        {"approvals": 2, "own_approval": True},
    ),
    "workspace.set-sending-policy": ("PUT", "/v1/workspace/sending-policy", {"messages": 5, "seconds": 60}),
    "account.register": ("POST", "/v1/accounts", {"label": "Desk"}),
    "account.pause": ("POST", f"/v1/accounts/{SOME}/pause", None),
    "account.resume": ("POST", f"/v1/accounts/{SOME}/resume", None),
    "account.log-out": ("POST", f"/v1/accounts/{SOME}/log-out", None),
    "account.remove": ("POST", f"/v1/accounts/{SOME}/remove", None),
    "audience.import": ("POST", "/v1/audiences", None),
    "recipient.record-consent": (
        "POST",
        f"/v1/recipients/{SOME}/consent",
        {"source": "paper", "given_at": "2026-01-01T00:00:00Z"},
    ),
    "audience.choose": ("POST", "/v1/audiences/choose", {"title": "Spring", "filter": "everybody"}),
    "recipient.erase": ("POST", f"/v1/recipients/{SOME}/erase", None),
    "recipient.opt-out": ("POST", f"/v1/recipients/{SOME}/opt-out", None),
    "template.create": ("POST", "/v1/templates", {"title": "Spring", "parts": [{"text": "Hello"}]}),
    "template.revise": ("POST", f"/v1/templates/{SOME}/revise", {"title": "Spring", "parts": [{"text": "Hello"}]}),
    "template.archive": ("POST", f"/v1/templates/{SOME}/archive", None),
    "campaign.create": ("POST", "/v1/campaigns", {"title": "Spring", "parts": [{"text": "Hello"}]}),
    "campaign.revise": ("POST", f"/v1/campaigns/{SOME}/revise", {"title": "Spring", "parts": [{"text": "Hello"}]}),
    "campaign.archive": ("POST", f"/v1/campaigns/{SOME}/archive", None),
    "job.submit-message": ("POST", "/v1/messages", {"recipient_id": str(SOME), "accounts": [], "title": "Spring"}),
    "job.submit": ("POST", "/v1/jobs", {"campaign_id": str(SOME), "accounts": []}),
    "job.revise": ("POST", f"/v1/jobs/{SOME}/revise", {"accounts": []}),
    "job.withdraw": ("POST", f"/v1/jobs/{SOME}/withdraw", None),
    "job.request-changes": (
        "POST",
        f"/v1/jobs/{SOME}/request-changes",
        {"review_hash": "0" * 64, "note": "No."},
    ),
    "job.approve": ("POST", f"/v1/jobs/{SOME}/approve", {"review_hash": "0" * 64}),
    "job.reject": ("POST", f"/v1/jobs/{SOME}/reject", {"review_hash": "0" * 64}),
    "job.start": ("POST", f"/v1/jobs/{SOME}/start", None),
    "job.pause": ("POST", f"/v1/jobs/{SOME}/pause", None),
    "job.resume": ("POST", f"/v1/jobs/{SOME}/resume", None),
    "job.stop": ("POST", f"/v1/jobs/{SOME}/stop", None),
    "delivery.resolve-unknown": ("POST", f"/v1/deliveries/{SOME}/resolve", {"outcome": "sent"}),
}


def test_every_command_of_the_catalog_has_a_route() -> None:
    assert set(COMMANDS) == set(catalog.COMMANDS)


def altered(key: str) -> str:
    """A well-formed key that was never made."""
    body = key[:17] + "A" * 32
    return body + checksum(body)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic dTpw", "Bearer drl_live_short", "Bearer ü"])
def test_without_a_key_nothing_is_told(house: House, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    response = house.http.get(f"{house.url}/v1/campaigns", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert problem_in(response)["rule"] == "unauthenticated"


def test_a_key_with_a_wrong_secret_or_checksum_is_nobody(tenant: Tenant) -> None:
    key = tenant.keys[Role.AUTHOR]
    for wrong in (altered(key), key[:-1] + ("0" if key[-1] != "0" else "1"), key + "0"):
        tenant.keys[Role.AUTHOR] = wrong
        assert tenant.problem("GET", "/v1/campaigns")["status"] == 401


def test_a_revoked_key_is_nobody_within_its_memory(house: House, tenant: Tenant) -> None:
    key = tenant.keys[Role.AUTHOR]
    tenant.ok("GET", "/v1/campaigns")
    house.run(house.services.keys.revoke(tenant.workspace, PrincipalId(key[9:17])))
    assert tenant.problem("GET", "/v1/campaigns")["rule"] == "unauthenticated"


@pytest.mark.parametrize("name", COMMANDS)
def test_roles_decide_who_may_give_a_command(tenant: Tenant, name: str) -> None:
    method, path, body = COMMANDS[name]
    for role in ROLES:
        response = tenant.ask(method, path, role=role, json=body or {})
        if role in catalog.COMMANDS[name].roles:
            assert response.status_code != 403, response.text
        else:
            problem = problem_in(response)
            assert (problem["status"], problem["rule"], problem["field"]) == (403, "role_required", "actor")


def test_an_auditor_reads_everything_and_changes_nothing(tenant: Tenant) -> None:
    assert not any(Role.AUDITOR in row.roles for row in catalog.COMMANDS.values())
    for path in [*LISTS, "workspace"]:
        assert tenant.ask("GET", f"/v1/{path}", role=Role.AUDITOR).status_code == 200


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", LISTS)
def test_every_role_reads_its_workspace(tenant: Tenant, role: Role, path: str) -> None:
    assert tenant.ok("GET", f"/v1/{path}", role=role)["items"] == []


def test_another_workspace_sees_nothing_and_can_touch_nothing(house: House, tenant: Tenant) -> None:
    job = tenant.job()
    stranger = house.tenant()
    for path in LISTS:
        assert stranger.ok("GET", f"/v1/{path}") == {"items": [], "next": None}
    for path in (
        f"campaigns/{job['campaign_id']}",
        f"audiences/{job['audience_id']}",
        f"accounts/{job['accounts'][0]}",
        f"jobs/{job['id']}",
        f"jobs/{job['id']}/deliveries",
    ):
        assert tenant.ask("GET", f"/v1/{path}", headers={"Accept": "*/*"}).status_code != 404
        assert stranger.problem("GET", f"/v1/{path}")["status"] == 404
    approval = {"review_hash": job["review_hash"]}
    refused = stranger.problem("POST", f"/v1/jobs/{job['id']}/approve", approval, role=Role.MODERATOR)
    assert (refused["status"], refused["rule"]) == (404, "unknown_job")
    assert stranger.problem("POST", f"/v1/campaigns/{job['campaign_id']}/archive")["status"] == 404
    assert tenant.ok("GET", f"/v1/jobs/{job['id']}") == job
    assert not tenant.ok("GET", f"/v1/campaigns/{job['campaign_id']}")["archived"]


def test_a_command_of_another_workspace_is_not_told(house: House, tenant: Tenant) -> None:
    made = tenant.ask("POST", "/v1/campaigns", json={"title": "Spring", "parts": [{"text": "Hello"}]}).json()
    assert tenant.ok("GET", f"/v1/commands/{made['command_id']}")["command_id"] == made["command_id"]
    assert house.tenant().problem("GET", f"/v1/commands/{made['command_id']}")["rule"] == "unknown_command_id"


def test_a_route_without_declared_access_does_not_start(house: House) -> None:
    app = create(house.services)
    require_access(app)
    router = APIRouter()

    @router.get("/v1/open")
    async def open_to_all() -> None:
        """Nobody said who may come here."""

    app.include_router(router)
    with pytest.raises(UndeclaredAccess, match=r"/v1/open"):
        require_access(app)


def test_what_is_open_to_all_is_little(house: House) -> None:
    """Without a key only health, the documentation and its files answer."""
    app: FastAPI = house.app
    paths = app.openapi()["paths"]
    open_ones = []
    for path, operations in paths.items():
        for method in operations:
            response = house.http.request(method, house.url + path.replace("{", "").replace("}", ""))
            if response.status_code != 401:
                open_ones.append(path)
    assert sorted(open_ones) == ["/healthz", "/readyz"]


def test_the_actor_of_an_event_is_the_key(house: House, tenant: Tenant) -> None:
    campaign = tenant.campaign()
    found = tenant.ok("GET", f"/v1/campaigns/{campaign}")
    assert found["created_by"] == tenant.keys[Role.AUTHOR][9:17]


def test_an_unknown_workspace_is_said_so(house: House) -> None:
    nobody = house.tenant(created=False)
    problem = nobody.problem("POST", "/v1/campaigns", {"title": "Spring", "parts": [{"text": "Hello"}]})
    assert (problem["status"], problem["rule"], problem["field"]) == (422, "unknown_workspace", "workspace")
    assert nobody.problem("GET", "/v1/workspace")["status"] == 404


def test_a_key_belongs_to_one_workspace(house: House) -> None:
    """There is no way to name another one: not in a path, and not in a body."""
    tenant = house.tenant()
    problem = tenant.problem("POST", "/v1/workspace", {"workspace": "other"}, role=Role.ADMIN)
    assert (problem["rule"], problem["field"]) == ("unknown_field", "workspace")
    assert house.run(house.services.keys.verify(house.key(WorkspaceId(f"x{uuid4().hex[:8]}"), Role.ADMIN)))
