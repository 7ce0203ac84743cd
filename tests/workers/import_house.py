"""All that imports a list, on a test's own database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.audience_stream import StagedImport
from adapters.audiences import Audiences, SubmissionFacts
from adapters.contents import Contents
from adapters.event_store import EventStore
from adapters.imports import ENDED, Asked, Import, Imports
from adapters.leader import Leader
from adapters.log_signal import LogSignal
from adapters.sealing import Sealing
from adapters.vault import Vault
from domain.message import Actor, PrincipalId, Recorded, Role, WorkspaceId
from domain.workspace import CreateWorkspace
from projections.apply import ReadModels
from tests.adapters.vaulted import MASTER, PEPPER
from workers.consents import Consents
from workers.decisions import Decisions, Request
from workers.imports import ImportWorker
from workers.projector import Projector

HERE = WorkspaceId("here")
AUTHOR = Actor(PrincipalId("author"), HERE, frozenset({Role.AUTHOR, Role.ADMIN}))


@dataclass
class House:
    """What tests reach for."""

    database_url: str
    pool: AsyncConnectionPool[AsyncConnection[Any]]
    store: EventStore
    decisions: Decisions
    contents: Contents
    vault: Vault
    audiences: Audiences
    imports: Imports
    projector: Projector
    models: ReadModels

    def worker(self) -> ImportWorker:
        staged = StagedImport(self.pool, self.vault, self.imports.sealing)
        leader = Leader(self.database_url, "imports", retry=0.05)
        consents = Consents(self.decisions, self.contents, self.models)
        return ImportWorker(self.imports, staged, self.decisions, consents, leader, poll=0.02)

    async def give(
        self,
        file: bytes | Sequence[bytes],
        *,
        country: str | None = None,
        columns: dict[str, str] | None = None,
        dry_run: bool = False,
        import_id: UUID | None = None,
        workspace: WorkspaceId = HERE,
    ) -> Import:
        """Upload a list to be imported."""
        upload = await self.imports.upload(workspace)
        for piece in [file] if isinstance(file, bytes) else file:
            await upload.write(piece)
        [title] = await self.contents.put_many(workspace, ["Customers"])
        asked, author = Asked(country, columns or {}), replace(AUTHOR, workspace=workspace)
        added = await self.imports.add(import_id or uuid4(), author, upload, title, asked, dry_run=dry_run)
        assert added is not None
        return added

    async def ended(self, one: Import, within: float = 30.0) -> Import:
        """The import once it is over."""
        async with asyncio.timeout(within):
            while True:
                found = await self.imports.one(HERE, one.import_id)
                assert found is not None
                if found.state in ENDED:
                    return found
                await asyncio.sleep(0.02)

    async def imported(self, file: bytes, **how: Any) -> Import:
        """A list, imported by a worker of its own."""
        one = await self.give(file, **how)
        running = asyncio.create_task(self.worker().run())
        try:
            return await self.ended(one)
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def rows(self, question: str, *values: Any) -> list[Any]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(question.encode(), values)).fetchall()

    async def events(self) -> list[Recorded]:
        return await self.store.page(0, 100_000)

    async def projected(self) -> None:
        """All that is in the log has been projected."""
        events = await self.events()
        async with asyncio.timeout(30):
            while await self.models.position() < events[-1].position:  # noqa: ASYNC110  # a condition of another process
                await asyncio.sleep(0.02)


@asynccontextmanager
async def import_house(database_url: str) -> AsyncIterator[House]:
    """Everything but a running worker; the workspace exists."""
    async with AsyncExitStack() as stack:
        pool = AsyncConnectionPool(database_url, min_size=1, max_size=8, kwargs={"autocommit": True}, open=False)
        await stack.enter_async_context(pool)
        store, signal = EventStore(database_url), LogSignal(database_url)
        store.start()
        stack.push_async_callback(store.stop)
        await signal.start()
        stack.push_async_callback(signal.stop)
        sealing = Sealing(MASTER, PEPPER)
        contents, vault, audiences = Contents(pool, sealing), Vault(pool, sealing), Audiences(pool)
        decisions = Decisions(store, SubmissionFacts(audiences, contents), lambda: datetime.now(UTC))
        models = ReadModels(pool)
        projector = Projector(store, models, signal)
        projecting = asyncio.create_task(projector.run())
        stack.push_async_callback(ended, projecting)
        made = await decisions.one(Request(CreateWorkspace(), AUTHOR, uuid4()))
        assert made.state == "applied"
        imports = Imports(pool, sealing)
        yield House(database_url, pool, store, decisions, contents, vault, audiences, imports, projector, models)


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
