"""What surrounds the workers: where the servers are, whether they can be used, their tables, streams and users."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import Bus
from adapters.keys import Keys
from infra.child import ServerError
from infra.embedded import EmbeddedServers, NatsUser
from infra.migrate import migrate
from infra.servers import nats, postgres
from infra.servers.faults import ServerAway
from infra.settings import Settings, SettingsError

log = logging.getLogger("drumline")
LOOK_AGAIN = 0.5  # seconds between two looks at a server that is away
Seen = TypeVar("Seen")


async def addresses(settings: Settings, patience: float = 0.0) -> tuple[str, str]:
    """Where PostgreSQL and NATS are, once both can be used; one that is away is waited for so many seconds.

    Raises ServerError, in one sentence, or SettingsError.
    """
    return await database_of(settings, patience=patience), await bus_of(settings, patience=patience)


def database_address(settings: Settings) -> str:
    """Where PostgreSQL is: as configured, else the embedded one. Raises SettingsError when that does not run."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    embedded = EmbeddedServers(settings.data_dir).postgres
    if embedded.running() is None:
        raise not_running(settings, "DRUMLINE_DATABASE_URL")
    return embedded.url


def bus_address(settings: Settings) -> str:
    """Where NATS is: as configured, else the embedded one. Raises SettingsError when that does not run."""
    if settings.nats_url is not None:
        return settings.nats_url.get_secret_value()
    embedded = EmbeddedServers(settings.data_dir).nats
    if embedded.running() is None:
        raise not_running(settings, "DRUMLINE_NATS_URL")
    return embedded.url


def is_embedded(settings: Settings, url: str) -> bool:
    """Whether this is the address of a server of ours: `up` gives it to the processes it starts."""
    ours = EmbeddedServers(settings.data_dir)
    return (ours.postgres.data.exists() and url == ours.postgres.url) or (
        (ours.nats.home / "port").exists() and url == ours.nats.url
    )


async def database_of(settings: Settings, *, migrated: bool = True, patience: float = 0.0) -> str:
    """Where PostgreSQL is, once it can be used; its tables too, but for who is about to make them.

    Raises ServerError or SettingsError.
    """
    url = database_address(settings)
    server = postgres.named(url, embedded=is_embedded(settings, url))
    seen = await patiently(lambda: postgres.look(url, server), patience)
    if migrated and seen.lacks:
        raise ServerError(
            f"The database's tables are older than this drumline (it lacks {seen.lacks[0]}): run `drumline migrate`."
        )
    return url


async def bus_of(settings: Settings, *, patience: float = 0.0) -> str:
    """Where NATS is, once it can be used. Raises ServerError or SettingsError."""
    url = bus_address(settings)
    server = nats.named(url, embedded=is_embedded(settings, url))
    await patiently(lambda: nats.look(url, server), patience)
    return url


async def patiently(look: Callable[[], Awaitable[Seen]], seconds: float) -> Seen:
    """What a look at a server finds; one that is away is looked at again until the seconds are over."""
    deadline, told = time.monotonic() + seconds, ""
    while True:
        try:
            return await look()
        except ServerAway as away:
            if time.monotonic() >= deadline:
                raise
            if str(away) != told:
                told = str(away)
                log.warning("waiting for a server", extra={"fault": told})
        await asyncio.sleep(LOOK_AGAIN)


def not_running(settings: Settings, name: str) -> SettingsError:
    """What to do when an embedded server is not there."""
    return SettingsError(f"drumline does not run on {settings.data_dir}: start it by `drumline up`, or set {name}.")


async def make_tables(settings: Settings) -> None:
    """Bring the database's tables up to date."""
    await asyncio.to_thread(migrate, await database_of(settings, migrated=False))


async def prepare(settings: Settings) -> None:
    """What a deploy does on servers of our own: tables, streams and consumers, brought up to date."""
    await make_tables(settings)
    await declare(settings)


async def declare(settings: Settings) -> None:
    """Make the streams and consumers that are missing, and bring the others to their limits."""
    bus = await Bus.connect(await bus_of(settings), "drumline-deploy")
    try:
        limits = streams.Limits(
            duplicate_window=settings.duplicate_window,
            commands_bytes=settings.commands_bytes,
            commands_waiting=settings.command_limits.waiting,
        )
        await streams.declare(bus.js, limits)
    except streams.NoStorage as error:
        raise ServerError(str(error)) from None
    finally:
        await bus.close()


@asynccontextmanager
async def pool_of(settings: Settings, *, migrated: bool = True) -> AsyncIterator[AsyncConnectionPool]:
    """A small pool on the database of these settings. Raises ServerError or SettingsError."""
    url = await database_of(settings, migrated=migrated)
    async with AsyncConnectionPool(url, min_size=1, max_size=2, open=False, kwargs={"autocommit": True}) as pool:
        yield pool


async def users(keys: Keys) -> list[NatsUser]:
    """The live keys as users of the bus, each publishing only the commands that its roles may give."""
    return [
        NatsUser(
            name=row.id,
            bcrypt_hash=row.password_hash,
            publish_allow=row.subjects,
            subscribe_allow=[f"_INBOX.{row.id}.>", f"out.{row.workspace}.{row.id}"],
        )
        for row in await keys.nats_users()
    ]


async def reload_users(settings: Settings, servers: EmbeddedServers) -> None:
    """Let exactly the live keys onto the embedded bus."""
    async with pool_of(settings) as pool:
        allowed = await users(Keys(pool, settings.pepper()))
    await asyncio.to_thread(servers.reload_users, allowed)
