"""What the smaller commands of the command line do."""

import json
import sys
from typing import Any

from psycopg_pool import AsyncConnectionPool
from rich.console import Console
from rich.table import Table

from adapters.keys import BadKey, Keys
from adapters.whatsapp_web.browser import ChromiumMissing, find_chromium
from domain.message import PrincipalId, Role, WorkspaceId
from infra import deploy
from infra.embedded import EmbeddedServers
from infra.embedded_nats import listed
from infra.erasures import erase_again
from infra.settings import Settings, SettingsError

KNOWN = "SELECT FROM read_workspaces WHERE workspace = %s"

console = Console()


async def migrate(settings: Settings, workspace: str) -> None:
    """Tables and streams up to date; on a database without keys, an admin's."""
    await deploy.prepare(settings)
    console.print("Tables, streams and consumers are up to date.")
    if said := await erase_again(settings):
        console.print(said)
    async with deploy.pool_of(settings) as pool:
        try:
            first = await keys_of(settings, pool).first(workspace, [Role.ADMIN], "first")
        except BadKey as error:
            raise SettingsError(str(error)) from None
    if first is not None:
        await let_in(settings)
        print(f"The first key of workspace {workspace}, an admin's, shown this one time:\n{first.secret}")


async def create_key(settings: Settings, workspace: str, roles: list[str], label: str) -> None:
    """Make a key and print it."""
    assignable = [str(role) for role in Role if role is not Role.SYSTEM]
    for role in roles:
        if role not in assignable:
            raise SettingsError(f"--role: {role!r} is none of {', '.join(assignable)}.")
    wanted = [Role(role) for role in roles]
    try:
        async with deploy.pool_of(settings) as pool:
            key = await keys_of(settings, pool).create(workspace, wanted, label)
            await warn_of(workspace, pool)
    except BadKey as error:
        raise SettingsError(str(error)) from None
    await let_in(settings)
    print(key.secret)


def keys_of(settings: Settings, pool: AsyncConnectionPool[Any]) -> Keys:
    """The keys, to be added to within the limits of the bus."""
    return Keys(pool, settings.pepper(), limits=settings.command_limits)


async def warn_of(workspace: str, pool: AsyncConnectionPool[Any]) -> None:
    """Say that a workspace does not exist: one may come before it, but it may be a slip."""
    async with pool.connection() as connection:
        known = await (await connection.execute(KNOWN, [workspace])).fetchone()
    if known is None:
        print(f"There is no workspace {workspace} (yet).", file=sys.stderr)


async def list_keys(settings: Settings, workspace: str) -> None:
    """Print ids, roles and times."""
    rows = Table("key", "roles", "label", box=None, pad_edge=False)
    for name in ("made", "last used", "revoked"):
        rows.add_column(name, no_wrap=True)
    async with deploy.pool_of(settings) as pool:
        await warn_of(workspace, pool)
        for key in await Keys(pool, settings.pepper()).list(WorkspaceId(workspace)):
            made = key.created_at.strftime("%Y-%m-%d")
            times = [time.strftime("%Y-%m-%d %H:%M") if time else "" for time in (key.last_used_at, key.revoked_at)]
            rows.add_row(key.id, " ".join(sorted(key.roles)), key.label, made, *times)
    console.print(rows)


async def revoke_key(settings: Settings, workspace: str, key_id: str) -> None:
    """End a key."""
    async with deploy.pool_of(settings) as pool:
        ended = await Keys(pool, settings.pepper()).revoke(WorkspaceId(workspace), PrincipalId(key_id))
    if not ended:
        raise SettingsError(f"Workspace {workspace} has no live key {key_id}.")
    await let_in(settings)
    print(f"{key_id} is revoked.")


async def nats_users(settings: Settings) -> None:
    """Print the broker's users with their permissions, as the JSON its configuration takes."""
    async with deploy.pool_of(settings) as pool:
        print(json.dumps([listed(user) for user in await deploy.users(Keys(pool, settings.pepper()))], indent=1))


def doctor(settings: Settings) -> int:
    """Print what would be used; 1 when something needed is missing."""
    missing = 0
    try:
        browser = find_chromium(settings.chromium)
        console.print(f"browser     {browser.path}")
    except ChromiumMissing as error:
        missing = 1
        console.print(f"browser     {error}", style="red")
    console.print(f"data        {settings.data_dir}")
    for name, external in (("PostgreSQL", settings.database_url), ("NATS", settings.nats_url)):
        console.print(f"{name:<11} {'external' if external else 'embedded'}")
    console.print(f"API         {settings.api_url}/docs")
    console.print(f"sandbox     {settings.sandbox_url if settings.whatsapp_url is None else 'not used'}")
    return missing


async def let_in(settings: Settings) -> None:
    """Let the live keys onto the embedded bus, if it is ours and was ever started."""
    servers = EmbeddedServers(settings.data_dir)
    if settings.nats_url is None and servers.nats.home.exists():
        await deploy.reload_users(settings, servers)
    elif settings.nats_url is not None:
        print("Tell the external NATS of the change: `drumline keys nats-users` prints its users.", file=sys.stderr)
