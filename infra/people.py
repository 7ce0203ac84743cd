"""The people of a workspace and their API keys, kept in a private file for who runs drumline by hand."""

import json
from dataclasses import dataclass
from pathlib import Path

from adapters.keys import Keys
from domain.message import Role, WorkspaceId
from infra.child import write_private

# Who `demo` and `up` make keys for. The author moderates too: so the refusal of the own job can be seen.
PEOPLE: dict[str, tuple[Role, ...]] = {
    "admin": (Role.ADMIN,),
    "author": (Role.AUTHOR, Role.MODERATOR),
    "moderator": (Role.MODERATOR,),
    "operator": (Role.OPERATOR,),
    "auditor": (Role.AUDITOR,),
}


@dataclass(frozen=True, slots=True)
class People:
    """A workspace and the secret of each of its people, by name."""

    workspace: WorkspaceId
    keys: dict[str, str]


def kept(file: Path) -> People | None:
    """The people of the file, if it was written."""
    if not file.exists():
        return None
    said = json.loads(file.read_text())
    return People(WorkspaceId(said["workspace"]), said["keys"])


async def people(keys: Keys, file: Path, workspace: str) -> People:
    """The people of the file; made, with their keys, when there are none yet or the database knows them not."""
    known = kept(file)
    if known and all([await keys.verify(secret) for secret in known.keys.values()]):
        return known
    made = {name: (await keys.create(workspace, roles, name)).secret for name, roles in PEOPLE.items()}
    write_private(file, json.dumps({"workspace": workspace, "keys": made}, indent=2))
    return People(WorkspaceId(workspace), made)
