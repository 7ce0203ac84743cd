"""`drumline rebuild`: read models made anew from the log beside whatever runs, and compared with the live ones."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from psycopg.errors import UndefinedColumn, UndefinedTable

from adapters.event_store import EventStore
from adapters.outages import OUTAGES
from infra import deploy
from infra.rebuild_screen import show, told
from infra.settings import Settings, SettingsError
from projections.apply import PROJECTIONS
from projections.beside import RebuildRefused, beside
from projections.projection import Projection
from workers.crashpoints import arm
from workers.rebuild import Progress, Rebuild, Rebuilt

ALL = "all"
DIFFERS = 1  # the exit code


async def run(settings: Settings, name: str, *, check: bool, as_json: bool) -> int:
    """Rebuild one read model or all, or only compare; 0 when the rows were and are the same, 1 when they differ."""
    chosen = named(name)
    arm(settings.crashpoint)
    try:
        with told() as tell:
            rebuilt = await rebuild(await deploy.database_of(settings), chosen, tell, swap=not check)
    except RebuildRefused as refused:
        raise SettingsError(str(refused)) from None
    except OUTAGES as error:
        raise SettingsError(
            f"PostgreSQL was lost on the way ({type(error).__name__}). All old tables serve on, or all new ones: "
            "when it is back, run this again."
        ) from None
    except (UndefinedColumn, UndefinedTable):
        raise SettingsError("The tables are older than this drumline: run `drumline migrate` first.") from None
    show(rebuilt)
    if as_json:
        print(json.dumps(asdict(rebuilt) | {"same": rebuilt.same, "events_per_second": round(rebuilt.rate)}))
    return 0 if rebuilt.same else DIFFERS


async def rebuild(
    database_url: str,
    projections: Sequence[Projection[Any]] = PROJECTIONS,
    tell: Callable[[Progress], None] = lambda _: None,
    *,
    swap: bool = True,
) -> Rebuilt:
    """Replay the log beside whatever runs on this database, and compare; without `swap` that is all."""
    store = EventStore(database_url)
    store.start()
    try:
        async with beside(database_url, projections) as new:
            return await Rebuild(store, new, tell).run(swap=swap)
    finally:
        await store.stop()


def named(name: str) -> Sequence[Projection[Any]]:
    """The read models that a word stands for."""
    known = {projection.name: projection for projection in PROJECTIONS}
    if name == ALL:
        return PROJECTIONS
    if name not in known:
        raise SettingsError(f"{name!r} is no read model: choose among {', '.join((ALL, *known))}.")
    return [known[name]]
