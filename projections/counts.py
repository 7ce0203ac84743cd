"""How many rows each list of a workspace has, by one word of each."""

from collections.abc import Mapping

from psycopg import AsyncConnection

from domain.message import WorkspaceId
from projections import accounts, audiences, campaigns, jobs, recipients, templates

LISTS: Mapping[str, str] = {
    one.PROJECTION.name: f"{one.TABLE.name}_sums"
    for one in (accounts, audiences, campaigns, jobs, recipients, templates)
}
ALL = "\nUNION ALL ".join(
    f"SELECT '{name}', word, rows FROM {table} WHERE workspace = %(workspace)s AND rows <> 0"  # noqa: S608  # constants
    for name, table in LISTS.items()
).encode()


async def counts(connection: AsyncConnection, workspace: WorkspaceId) -> dict[str, dict[str, int]]:
    """The words of each list, each with how many rows it has."""
    found: dict[str, dict[str, int]] = {name: {} for name in LISTS}
    for name, word, rows in await (await connection.execute(ALL, {"workspace": workspace})).fetchall():
        found[name][word] = rows
    return found
