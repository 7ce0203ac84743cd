"""What the smaller commands of the command line do."""

import sys
from typing import Any

from psycopg_pool import AsyncConnectionPool
from rich.console import Console
from rich.table import Table

from adapters.keys import BadKey, Keys
from domain.message import PrincipalId, Role, WorkspaceId
from infra import bus_users, deploy
from infra.erasures import erase_again
from infra.settings import Settings, SettingsError

KNOWN = "SELECT FROM read_workspaces WHERE workspace = %s"

console = Console()


async def migrate(settings: Settings, workspace: str) -> None:
    """Tables and streams up to date; on a database without keys, an admin's."""
    await bus_users.prepare(settings)
    console.print("Tables, streams and consumers are up to date.")
    if said := await erase_again(settings):
        console.print(said)
    async with deploy.pool_of(settings) as pool:
        try:
            first = await keys_of(settings, pool).first(workspace, [Role.ADMIN], "first")
        except BadKey as error:
            raise SettingsError(str(error)) from None
    await tell_bus(settings, first.secret if first else "")
    if first is not None:
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
    await tell_bus(settings, key.secret)
    print(key.secret)


def keys_of(settings: Settings, pool: AsyncConnectionPool[Any]) -> Keys:
    """The keys, to be added to within the limits of the bus."""
    return Keys(pool, settings.pepper(), limits=settings.command_limits)


async def warn_of(workspace: str, pool: AsyncConnectionPool[Any]) -> None:
    """Say that a workspace does not exist: one may come before it, but it may be a slip."""
    async with pool.connection() as connection:
        known = await (await connection.execute(KNOWN, [workspace])).fetchone()
    if known is None:
        print(f"There is no workspace {workspace} yet: an admin's key begins it (POST /v1/workspace).", file=sys.stderr)


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
    await tell_bus(settings)
    print(f"{key_id} is revoked.")


async def nats_users(settings: Settings) -> None:
    """Print the broker's users with their permissions, as a file that its configuration includes."""
    print(await bus_users.current(settings), end="")


async def tell_bus(settings: Settings, secret: str = "") -> None:
    """Let exactly the live keys onto the bus, and say what a person has still to do."""
    if said := await bus_users.let_in(settings, secret):
        print(said, file=sys.stderr)
