"""What surrounds the workers: where the servers are, their tables, streams and users."""

import asyncio

from psycopg_pool import AsyncConnectionPool

from adapters import streams
from adapters.bus import Bus
from adapters.keys import Keys
from infra.embedded import EmbeddedServers, NatsUser, ServerError
from infra.migrate import migrate
from infra.settings import Settings, SettingsError


def addresses(settings: Settings) -> tuple[str, str]:
    """Where PostgreSQL and NATS are: as configured, else the embedded ones of the data directory."""
    return database_of(settings), bus_of(settings)


def database_of(settings: Settings) -> str:
    """Where PostgreSQL is. Raises SettingsError when that is the embedded one and it does not run."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    postgres = EmbeddedServers(settings.data_dir).postgres
    if postgres.running() is None:
        raise not_running(settings, "DRUMLINE_DATABASE_URL")
    return postgres.url


def bus_of(settings: Settings) -> str:
    """Where NATS is. Raises SettingsError when that is the embedded one and it does not run."""
    if settings.nats_url is not None:
        return settings.nats_url.get_secret_value()
    nats = EmbeddedServers(settings.data_dir).nats
    if nats.running() is None:
        raise not_running(settings, "DRUMLINE_NATS_URL")
    return nats.url


def not_running(settings: Settings, name: str) -> SettingsError:
    """What to do when an embedded server is not there."""
    return SettingsError(f"drumline does not run on {settings.data_dir}: start it by `drumline up`, or set {name}.")


async def prepare(settings: Settings) -> None:
    """What a deploy does: tables, streams and consumers, brought up to date."""
    database_url, _ = addresses(settings)
    await asyncio.to_thread(migrate, database_url)
    await declare(settings)


async def declare(settings: Settings) -> None:
    """Make the streams and consumers that are missing, and bring the others to their limits."""
    bus = await Bus.connect(bus_of(settings), "drumline-deploy")
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


def pool_of(settings: Settings) -> AsyncConnectionPool:
    """A small pool on the database of these settings, to be opened by `async with`."""
    return AsyncConnectionPool(database_of(settings), min_size=1, max_size=2, open=False, kwargs={"autocommit": True})


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
