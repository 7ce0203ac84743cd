"""The people of a workspace and their API keys, kept in a private file for who runs drumline by hand."""

import json
from dataclasses import dataclass
from pathlib import Path

from adapters.keys import BadKey, Keys
from domain.message import Role, WorkspaceId
from infra.child import write_private
from infra.settings import SettingsError

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
    """The people of the file; a key is made, and kept there, for whoever has no live one. Raises SettingsError."""
    known = kept(file)
    if known and known.workspace != workspace:
        raise SettingsError(f"{file} holds the keys of workspace {known.workspace}: name that one, or move the file.")
    have = known.keys if known else {}
    live = {name: secret for name, secret in have.items() if await keys.verify(secret)}
    try:
        new = {name: (await keys.create(workspace, PEOPLE[name], name)).secret for name in PEOPLE if name not in live}
    except BadKey as error:
        raise SettingsError(str(error)) from None
    everybody = {name: live.get(name) or new[name] for name in PEOPLE}
    if new:
        write_private(file, json.dumps({"workspace": workspace, "keys": everybody}, indent=2))
    return People(WorkspaceId(workspace), everybody)
