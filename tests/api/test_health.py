"""Health tells the truth: alive, and whether it can do its work."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg_pool import AsyncConnectionPool

from api.app import create
from api.deps import Services
from domain.campaign import CampaignArchived
from domain.message import Role, StreamId
from projections.apply import ReadModels
from tests.adapters.logs import an_item
from tests.api.house import House, Tenant, problem_in
from tests.api.test_commands import until


def ask(house: House, services: Services, path: str, key: str = "") -> httpx.Response:
    """One request to an application on other services, in the house's loop."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(create(services), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers={"Authorization": f"Bearer {key}"} if key else {})

    return house.run(asked())


def ready(house: House) -> tuple[int, dict[str, Any]]:
    response = house.http.get(f"{house.url}/readyz")
    return response.status_code, response.json()


def test_it_lives_and_is_ready(house: House) -> None:
    assert house.http.get(f"{house.url}/healthz").json() == {"status": "ok"}
    until(lambda: ready(house)[1]["lag_seconds"] == 0.0)
    status, told = ready(house)
    assert (status, told["status"], told["database"], told["bus"], told["projections"]) == (200, *["ok"] * 4)


def test_read_models_that_are_behind_are_told(house: House) -> None:
    without: Callable[[str], AbstractContextManager[None]] = house.without
    with without("projector"):
        old = datetime.now(UTC) - timedelta(minutes=10)
        item = an_item(StreamId(f"campaign-{uuid4()}"), CampaignArchived(), now=old)
        house.run(house.services.store.append([item]))
        status, told = ready(house)
        assert (status, told["status"], told["projections"], told["database"]) == (503, "unready", "behind", "ok")
        assert 590 < told["lag_seconds"] < 700
    until(lambda: ready(house)[0] == 200)


def test_a_database_that_is_away_is_told(house: House) -> None:
    closed = AsyncConnectionPool("", open=False)
    response = ask(house, replace(house.services, models=ReadModels(closed)), "/readyz")
    assert response.status_code == 503
    assert (response.json()["database"], response.json()["lag_seconds"]) == ("away", None)


def test_a_request_while_the_database_is_away_is_told_to_come_again(house: House, tenant: Tenant) -> None:
    closed = AsyncConnectionPool("", open=False)
    services = replace(house.services, models=ReadModels(closed))
    response = ask(house, services, "/v1/campaigns", tenant.keys[Role.AUTHOR])
    assert problem_in(response)["rule"] == "unavailable"
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


def test_a_mistake_of_ours_is_a_problem_without_particulars(house: House, tenant: Tenant) -> None:
    class Broken:
        async def by_command(self, *_asked: object) -> None:
            raise RuntimeError("secret particulars")

    services = replace(house.services, inbox=Broken())  # type: ignore[arg-type]  # broken on purpose
    response = ask(house, services, f"/v1/commands/{uuid4()}", tenant.keys[Role.AUTHOR])
    assert problem_in(response)["rule"] == "internal_error"
    assert "particulars" not in response.text


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v2/campaigns", "/docs/static/../../pyproject.toml"])
def test_nothing_is_a_problem_too(house: House, path: str) -> None:
    assert problem_in(house.http.get(house.url + path))["rule"] == "no_such_route"
