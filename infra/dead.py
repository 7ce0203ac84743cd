"""`drumline dead`: the dead letters of all workspaces, for who operates this installation."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast, get_args
from uuid import UUID

from rich.console import Console
from rich.table import Table

from adapters.bus import Bus
from adapters.contents import Contents
from adapters.dead_letters import DeadLetter, DeadLetters, State
from adapters.sealing import SealBroken, Sealing
from api.rules import sentence
from domain.message import PrincipalId, Refused, WorkspaceId
from infra import deploy
from infra.bootstrap import clock
from infra.commands import warn_of
from infra.settings import Settings, SettingsError

WIDE = 200
HERE = PrincipalId("terminal")  # who acts, in the trace of actions: whoever may read the master key


async def list_letters(settings: Settings, workspace: str | None, state: State | None, limit: int) -> None:
    """Print the newest."""
    rows = Table(box=None, pad_edge=False)
    for column in ("letter", "workspace", "command", "reason", "state", "died"):
        rows.add_column(column, no_wrap=True)
    if workspace:
        async with deploy.pool_of(settings) as pool:
            await warn_of(workspace, pool)
    async with letters(settings) as dead:
        for letter in await dead.page(given(workspace), state=state, limit=limit):
            died = letter.died_at.strftime("%Y-%m-%d %H:%M")
            rows.add_row(str(letter.id), letter.workspace or "-", letter.name, letter.reason, letter.state, died)
    Console(width=WIDE).print(rows)  # ids are to be copied whole, whatever the terminal


async def show(settings: Settings, letter: UUID) -> None:
    """Print a letter and what was done to it on stderr, and its body, opened, on stdout."""
    async with letters(settings) as dead:
        found = await dead.one(None, letter)
        body = await dead.show(None, letter, HERE)
        actions = await dead.actions(letter)
    tell(found)
    for one in actions:
        print(f"{one.at:%Y-%m-%d %H:%M} {one.action} by {one.principal}", file=sys.stderr)
    sys.stdout.buffer.write(body + b"\n")


async def replay(settings: Settings, letter: UUID) -> None:
    """Let a letter's command be decided again."""
    async with letters(settings, publishing=True) as dead:
        tell(await dead.replay(None, letter, HERE))


async def drop(settings: Settings, letter: UUID) -> None:
    """Forget a letter's body."""
    async with letters(settings) as dead:
        tell(await dead.drop(None, letter, HERE))


@asynccontextmanager
async def letters(settings: Settings, *, publishing: bool = False) -> AsyncIterator[DeadLetters]:
    """The dead letters; a refusal becomes one sentence."""
    async with deploy.pool_of(settings) as pool:
        bus = await Bus.connect(await deploy.bus_of(settings), "drumline-dead") if publishing else None
        try:
            yield DeadLetters(pool, Contents(pool, Sealing(settings.master_key(), settings.pepper())), bus, clock)
        except Refused as refused:
            if refused.rule == "unknown_dead_letter":  # the rule's own sentence is about one workspace
                raise SettingsError("There is no such dead letter.") from None
            raise SettingsError(sentence(refused.rule, refused.detail)) from None
        except SealBroken:
            raise SettingsError(sentence("seal_broken", {})) from None
        finally:
            if bus is not None:
                await bus.close()


def known_state(state: str) -> State | None:
    """The state of this name; None for all. Raises SettingsError."""
    for known in get_args(State):
        if state == known:
            return cast("State", known)
    if state != "all":
        raise SettingsError(f"--state: {state!r} is none of {', '.join(get_args(State))}, all.")
    return None


def given(workspace: str | None) -> WorkspaceId | None:
    return None if workspace is None else WorkspaceId(workspace)


def tell(letter: DeadLetter | None) -> None:
    """A letter as one line of JSON, on stderr."""
    if letter is not None:
        command_id = letter.command_id and str(letter.command_id)
        told = {"id": str(letter.id), "command_id": command_id, "name": letter.name}
        print(json.dumps(told | {"state": letter.state, "replays": letter.replays}), file=sys.stderr)
