"""The keys' users on the bus: the embedded NATS is given them; for an external one they are written into a file.

Its configuration includes that file, and drumline has it reloaded, or says that somebody must.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from adapters.keys import Keys, id_of
from infra import deploy
from infra.child import ServerError, write_private
from infra.embedded import EmbeddedServers, NatsUser
from infra.embedded_nats import listed
from infra.servers import nats
from infra.settings import Settings

RELOAD = "`nats-server --signal reload` there, or set DRUMLINE_NATS_SYSTEM_URL and drumline does it"
HTTP_ANYHOW = "Over HTTP the keys work without it."


async def let_in(settings: Settings, secret: str = "") -> str:
    """Let exactly the live keys onto the bus; what a person has still to do, or "".

    `secret` is a live key whose entry is tried at the end. Raises ServerError.
    """
    if settings.nats_url is None or not is_external(settings):
        servers = EmbeddedServers(settings.data_dir)
        if servers.nats.home.exists():
            await deploy.reload_users(settings, servers)
        return ""
    changed = await write(settings)
    if settings.nats_system_url is not None:
        await nats.reload(settings.nats_system_url.get_secret_value())
    elif changed and not secret:
        return f"{settings.users_file} is written anew: NATS acts on it once you reload it ({RELOAD}). {HTTP_ANYHOW}"
    name = id_of(secret) if secret else None
    if name is None or await nats.lets_in(settings.nats_url.get_secret_value(), name, secret):
        return ""
    if settings.nats_system_url is not None:
        return (
            f"NATS was reloaded and does not know the key: does its configuration include {settings.users_file}, "
            f"or a copy that you bring up to date? {HTTP_ANYHOW}"
        )
    return (
        f"NATS does not know the keys yet: let its configuration include {settings.users_file} (or a copy), then "
        f"reload it ({RELOAD}). {HTTP_ANYHOW}"
    )


async def prepare(settings: Settings) -> None:
    """What a deploy does: tables, then the file without which an external NATS does not start, then streams."""
    await deploy.make_tables(settings)
    if is_external(settings):
        await write(settings)
    await deploy.declare(settings)


def is_external(settings: Settings) -> bool:
    """Whether the bus is a server of somebody else's."""
    return settings.nats_url is not None and not deploy.is_embedded(settings, settings.nats_url.get_secret_value())


async def current(settings: Settings) -> str:
    """The users as the server's configuration has them, as of now."""
    async with deploy.pool_of(settings) as pool:
        return text(await deploy.users(Keys(pool, settings.pepper())))


def text(users: Sequence[NatsUser]) -> str:
    """What is to stand in the account of the keys."""
    return f"users: {json.dumps([listed(user) for user in users], indent=1)}\n"


async def write(settings: Settings) -> bool:
    """Write the file, unless it says the same already; whether it was written. Raises ServerError."""
    wanted = await current(settings)
    return await asyncio.to_thread(replace, settings.users_file, wanted)


def replace(file: Path, wanted: str) -> bool:
    """Replace the file at once; who could read it before still can. Raises ServerError."""
    try:
        before = file.stat() if file.exists() else None
        if before and file.read_text() == wanted:
            return False
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if before is None:
            write_private(file, wanted)
            return True
        fresh = file.with_name(f"{file.name}.new")
        write_private(fresh, wanted)
        with suppress(PermissionError):  # who is not root keeps what is its own
            os.chown(fresh, before.st_uid, before.st_gid)
        fresh.chmod(before.st_mode & 0o777)
        fresh.replace(file)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ServerError(
            f"The users of NATS cannot be written to {file} ({why}): correct DRUMLINE_NATS_USERS_FILE."
        ) from None
    return True
