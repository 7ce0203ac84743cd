"""Who may publish what: the broker itself lets a key publish the commands of its roles, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client as NatsClient
from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import Bus
from adapters.keys import Keys, NewKey
from domain import catalog
from domain.message import Role
from infra import deploy
from infra.embedded import EmbeddedNats
from tests.waiting import until

PEPPER = bytes(range(32))


@asynccontextmanager
async def keys_on(database_url: str, server: EmbeddedNats, *roles: frozenset[Role]) -> AsyncIterator[list[NewKey]]:
    """Keys of the workspace `shop` with these roles, as the server's users; COMMANDS is there."""
    async with AsyncConnectionPool(database_url, min_size=1, max_size=2, open=False) as pool:
        keys = Keys(pool, PEPPER)
        made = [await keys.create("shop", one) for one in roles]
        users = await deploy.users(keys)
    await asyncio.to_thread(server.reload_users, users)
    bus = await Bus.connect(server.url, "test")
    try:
        await streams.declare(bus.js)
        yield made
    finally:
        await bus.close()


async def connected(server: EmbeddedNats, key: NewKey, refusals: list[str] | None = None) -> NatsClient:
    """A client as anybody would write it; what the server refuses it is added to the list."""

    async def hush(error: Exception) -> None:
        if refusals is not None:
            refusals.append(str(error).lower())

    return await nats.connect(
        f"nats://{key.id}:{key.secret}@127.0.0.1:{server.port}", inbox_prefix=f"_INBOX.{key.id}", error_cb=hush
    )


async def stored(server: EmbeddedNats) -> set[str]:
    """The subjects that messages in COMMANDS have."""
    bus = await Bus.connect(server.url, "test")
    try:
        info = await bus.js.stream_info(streams.COMMANDS, subjects_filter=">")
    finally:
        await bus.close()
    return set(info.state.subjects or {})


async def test_a_key_publishes_exactly_the_commands_of_its_roles(database_url: str, nats_server: EmbeddedNats) -> None:
    roles = [frozenset({role}) for role in Role if role is not Role.SYSTEM] + [frozenset({Role.AUTHOR, Role.MODERATOR})]
    async with keys_on(database_url, nats_server, *roles) as keys:
        for key, other in zip(keys, [*keys[1:], keys[0]], strict=True):
            client = await connected(nats_server, key)
            for name in [*catalog.COMMANDS, "job.frobnicate"]:
                await client.publish(f"cmd.shop.{key.id}.{name}", b"{}")
            for elsewhere in (
                f"cmd.shop.{other.id}.campaign.create",
                f"cmd.other.{key.id}.campaign.create",
                f"cmd.shop.{key.id}.campaign.create.more",
                f"cmd.shop.{key.id}",
                "cmd.shop",
            ):
                await client.publish(elsewhere, b"{}")
            await client.flush()
            await client.close()
        expected = {
            f"cmd.shop.{key.id}.{name}"
            for key, its in zip(keys, roles, strict=True)
            for name, row in catalog.COMMANDS.items()
            if its & row.roles
        }

        async def all_came() -> bool:
            return await stored(nats_server) >= expected

        await until(all_came)
        assert await stored(nats_server) == expected


async def test_who_only_reads_cannot_publish_at_all(database_url: str, nats_server: EmbeddedNats) -> None:
    async with keys_on(database_url, nats_server, frozenset({Role.AUDITOR})) as (key,):
        refusals = list[str]()
        client = await connected(nats_server, key, refusals)
        for subject in (
            f"cmd.shop.{key.id}.job.approve",
            f"cmd.shop.{key.id}.x",
            "evt.shop.x",
            f"out.shop.{key.id}",
            "x",
        ):
            heard = await client.subscribe(f"_INBOX.{key.id}.>")
            await client.publish(subject, b"{}", reply=f"_INBOX.{key.id}.ack")
            refusal = f'permissions violation for publish to "{subject}"'.lower()

            async def refused(refusal: str = refusal) -> bool:
                return any(refusal in told for told in refusals)

            await until(refused)  # not flush(): its ping may overtake what was published
            assert heard.pending_msgs == 0
            await heard.unsubscribe()
        await client.close()
        assert await stored(nats_server) == set()
