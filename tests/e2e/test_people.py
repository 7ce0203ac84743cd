"""The people of `up` and `demo`: made once, mended one by one, and never of another workspace."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from psycopg_pool import AsyncConnectionPool

from adapters.keys import Keys, id_of
from domain.message import WorkspaceId
from infra.people import PEOPLE, people
from infra.settings import SettingsError


@pytest.fixture
async def keys(database_url: str) -> AsyncIterator[Keys]:
    async with AsyncConnectionPool(database_url, open=False, min_size=1, kwargs={"autocommit": True}) as pool:
        yield Keys(pool, bytes(32))


async def test_they_are_made_once(keys: Keys, tmp_path: Path) -> None:
    first = await people(keys, tmp_path / "keys.json", "demo")
    assert set(first.keys) == set(PEOPLE)
    assert await people(keys, tmp_path / "keys.json", "demo") == first


async def test_a_revoked_key_alone_is_made_anew(keys: Keys, tmp_path: Path) -> None:
    first = await people(keys, tmp_path / "keys.json", "demo")
    revoked = id_of(first.keys["author"])
    assert revoked is not None
    assert await keys.revoke(WorkspaceId("demo"), revoked)
    second = await people(keys, tmp_path / "keys.json", "demo")
    assert {name for name in PEOPLE if first.keys[name] != second.keys[name]} == {"author"}
    assert json.loads((tmp_path / "keys.json").read_text())["keys"] == second.keys


async def test_another_workspace_is_not_taken_for_the_one_of_the_file(keys: Keys, tmp_path: Path) -> None:
    await people(keys, tmp_path / "keys.json", "demo")
    with pytest.raises(SettingsError, match="holds the keys of workspace demo"):
        await people(keys, tmp_path / "keys.json", "other")
