"""API keys against the real database: shown once, proven by HMAC, remembered for seconds, ended by revoking."""

import asyncio
from collections.abc import AsyncIterator

import bcrypt
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import AsyncConnectionPool

from adapters.keys import ALPHABET, BadKey, Keys, checksum, id_of, mint
from domain.message import Actor, PrincipalId, Role, WorkspaceId

PEPPER = b"p" * 32
SHOP = WorkspaceId("shop")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(database_url, min_size=1, max_size=4, kwargs={"autocommit": True}) as pool:
        yield pool


@pytest.fixture
def keys(pool: AsyncConnectionPool) -> Keys:
    return Keys(pool, PEPPER, ttl=0.0)


async def test_a_new_key_proves_its_actor(keys: Keys) -> None:
    key = await keys.create("shop", [Role.AUTHOR, Role.MODERATOR], "counter")
    actor = await keys.verify(key.secret)
    assert actor is not None
    assert actor == Actor(key.id, SHOP, frozenset({Role.AUTHOR, Role.MODERATOR}))
    assert await keys.actor(key.id) == actor


async def test_the_key_itself_lies_nowhere(keys: Keys, database_url: str) -> None:
    key = await keys.create("shop", [Role.AUTHOR])
    with psycopg.connect(database_url) as connection:
        row = str(connection.execute("SELECT * FROM api_keys").fetchall())
    assert key.secret not in row
    assert key.secret[17:] not in row
    assert key.secret not in repr(key)


async def test_another_secret_under_a_known_id_is_nobody(keys: Keys) -> None:
    key = await keys.create("shop", [Role.AUTHOR])
    forged = "drl_live_" + key.id + mint().secret[17:-6]  # well-formed: only the proof can tell
    forged += checksum(forged)
    assert id_of(forged) == key.id
    assert await keys.verify(forged) is None


async def test_another_pepper_knows_nobody(keys: Keys, pool: AsyncConnectionPool) -> None:
    key = await keys.create("shop", [Role.AUTHOR])
    assert await Keys(pool, b"q" * 32).verify(key.secret) is None


@given(place=st.integers(0, 54), letter=st.sampled_from(ALPHABET + "_ ü"))
def test_a_key_with_one_letter_changed_never_reaches_the_database(place: int, letter: str) -> None:
    secret = mint().secret
    changed = secret[:place] + letter + secret[place + 1 :]
    assert id_of(changed) == (id_of(secret) if changed == secret else None)


def test_a_key_has_the_published_shape() -> None:
    key = mint()
    assert len(key.secret) == len("drl_live_") + 8 + 32 + 6
    assert key.secret.startswith(f"drl_live_{key.id}")
    assert len({mint().secret for _ in range(100)}) == 100


async def test_a_revoked_key_is_nobody_here_and_on_the_bus(keys: Keys) -> None:
    key = await keys.create("shop", [Role.OPERATOR])
    assert await keys.revoke(SHOP, key.id)
    assert await keys.verify(key.secret) is None
    assert await keys.actor(key.id) is None
    assert await keys.nats_users() == []
    assert not await keys.revoke(SHOP, key.id)


async def test_a_key_is_revoked_only_from_its_own_workspace(keys: Keys) -> None:
    key = await keys.create("shop", [Role.OPERATOR])
    assert not await keys.revoke(WorkspaceId("other"), key.id)
    assert await keys.verify(key.secret) is not None


async def test_what_is_remembered_ends_with_its_seconds_or_at_once_when_told(pool: AsyncConnectionPool) -> None:
    keys, elsewhere = Keys(pool, PEPPER, ttl=60.0), Keys(pool, PEPPER)
    key = await keys.create("shop", [Role.OPERATOR])
    assert await keys.verify(key.secret)
    assert await keys.actor(key.id)
    await elsewhere.revoke(SHOP, key.id)
    assert await keys.verify(key.secret), "remembered for 60 s"
    keys.forget()
    assert await keys.verify(key.secret) is None
    assert await keys.actor(key.id) is None


async def test_each_key_is_a_user_of_the_broker_by_its_bcrypt(keys: Keys) -> None:
    key = await keys.create("shop", [Role.SERVICE])
    (user,) = await keys.nats_users()
    assert (user.id, user.workspace, user.roles) == (key.id, SHOP, frozenset({Role.SERVICE}))
    assert user.password_hash.startswith(("$2a$04$", "$2b$04$"))
    assert bcrypt.checkpw(key.secret.encode(), user.password_hash.encode())
    assert user.password_hash not in repr(user)


async def test_use_is_noted(keys: Keys) -> None:
    key = await keys.create("shop", [Role.AUTHOR])
    assert (await keys.list(SHOP))[0].last_used_at is None
    await keys.verify(key.secret)
    assert (await keys.list(SHOP))[0].last_used_at is not None


async def test_two_migrations_at_once_make_one_first_key(pool: AsyncConnectionPool) -> None:
    made = await asyncio.gather(*(Keys(pool, PEPPER).first("main", [Role.ADMIN], "first") for _ in range(4)))
    assert sum(key is not None for key in made) == 1


async def test_a_new_or_revoked_key_is_announced(keys: Keys, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("LISTEN drumline_keys")
        key = await keys.create("shop", [Role.AUTHOR])
        await keys.verify(key.secret)  # its use is not news
        await keys.revoke(SHOP, key.id)
        heard = [notice.payload async for notice in connection.notifies(timeout=5, stop_after=2)]
        heard += [notice.payload async for notice in connection.notifies(timeout=0.1)]
    assert heard == [key.id, key.id]


@pytest.mark.parametrize("roles", [[], [Role.SYSTEM], [Role.AUTHOR, Role.SYSTEM]])
async def test_nobody_gets_the_role_of_drumline_itself(keys: Keys, roles: list[Role]) -> None:
    with pytest.raises(BadKey):
        await keys.create("shop", roles)


@pytest.mark.parametrize("workspace", ["", "Shop", "-a", "a.b", "a>b", "x" * 41])
async def test_a_workspace_is_a_short_name_that_fits_a_subject(keys: Keys, workspace: str) -> None:
    with pytest.raises(BadKey):
        await keys.create(workspace, [Role.AUTHOR])


async def test_an_id_that_no_key_has_is_nobody(keys: Keys) -> None:
    assert await keys.actor(PrincipalId("system-relay")) is None
