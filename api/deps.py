"""What endpoints are given: services, a connection to the read models, opened texts."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from adapters.audience_import import AudienceImport
from adapters.bus import Bus
from adapters.contents import Contents
from adapters.dead_letters import DeadLetters
from adapters.event_feed import Feed
from adapters.event_store import EventStore
from adapters.imports import Imports
from adapters.inbound import Inbound
from adapters.inbox import Inbox
from adapters.keys import Keys
from adapters.log_signal import LogSignal
from adapters.media import Media
from adapters.media_fetch import Fetcher
from adapters.media_uploads import Uploads
from adapters.phone_book import PhoneBook
from adapters.runtime.disk import Disk
from adapters.runtime.quotas import Quotas
from adapters.segments import Segments
from adapters.stated_consents import StatedConsents
from adapters.vault import Vault
from domain.message import Ref, WorkspaceId
from domain.rates import Rates
from projections.apply import Connection, ReadModels

LAST = 2**63 - 1  # the largest position of a log


@dataclass(frozen=True, slots=True)
class Services:
    """What the API stands on. `store` is only asked how far the log is."""

    keys: Keys
    models: ReadModels
    contents: Contents
    inbox: Inbox
    bus: Bus
    store: EventStore
    signal: LogSignal
    imports: AudienceImport
    vault: Vault
    feed: Feed
    clock: Callable[[], datetime]
    dead: DeadLetters
    uploads: Imports
    consents: StatedConsents
    media: Media
    media_uploads: Uploads
    fetcher: Fetcher
    people: PhoneBook
    segments: Segments
    inbound: Inbound
    quotas: Quotas
    rates: Rates  # of commands, by key
    disk: Disk = field(default_factory=Disk)


async def services_of(connection: HTTPConnection) -> Services:
    """The services this application was made with. (A plain function would be run in another thread.)"""
    found: Services = connection.app.state.services
    return found


Given = Annotated[Services, Depends(services_of)]


async def reading(services: Given) -> AsyncIterator[Connection]:
    """A connection for the questions of one request.

    An endpoint asks for it after its actor, and nobody waits for a second one while holding it.
    """
    async with services.models.connection() as connection:
        yield connection


Reading = Annotated[Connection, Depends(reading)]


class Texts(dict[Ref, str]):
    """Texts by their references."""

    def of(self, ref: Ref | None) -> str | None:
        """The text behind a reference, if there is one."""
        return None if ref is None else self.get(ref)


async def opened(services: Services, read: Connection, workspace: WorkspaceId, refs: Iterable[Ref | None]) -> Texts:
    """The texts behind references, in one query; whoever may read a workspace may read its words."""
    return Texts(await services.contents.open_many(workspace, {ref for ref in refs if ref is not None}, read))
