"""The vault and its neighbours on a test's own database, under keys of the test."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg_pool import AsyncConnectionPool

from adapters.audience_import import AudienceImport
from adapters.audiences import Audiences, SubmissionFacts
from adapters.contents import Contents
from adapters.sealing import Sealing
from adapters.vault import Vault
from domain.message import WorkspaceId

MASTER, PEPPER = bytes(range(32)), bytes(range(32, 64))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE, THERE = WorkspaceId("here"), WorkspaceId("there")


@dataclass(frozen=True)
class Vaulted:
    """Everything of the vault, built as the composition root builds it."""

    pool: AsyncConnectionPool
    sealing: Sealing
    contents: Contents
    vault: Vault
    imports: AudienceImport
    audiences: Audiences
    facts: SubmissionFacts


@asynccontextmanager
async def vaulted(url: str, clock: Callable[[], datetime] = lambda: NOW) -> AsyncIterator[Vaulted]:
    """The vault on this database."""
    async with AsyncConnectionPool(url, min_size=1, max_size=4, kwargs={"autocommit": True}, open=False) as pool:
        sealing = Sealing(MASTER, PEPPER)
        contents, vault, audiences = Contents(pool, sealing), Vault(pool, sealing), Audiences(pool)
        imports = AudienceImport(pool, vault, sealing, clock)
        yield Vaulted(pool, sealing, contents, vault, imports, audiences, SubmissionFacts(audiences, contents))
