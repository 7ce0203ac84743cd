"""The composition root: the only place that builds objects, and knows which worker needs what."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from adapters.audience_import import AudienceImport
from adapters.audience_stream import StagedImport
from adapters.audiences import Audiences, SubmissionFacts
from adapters.bus import Bus, BusLost
from adapters.connecting import ALIVE, RECONNECT
from adapters.contents import Contents
from adapters.cursors import Cursors
from adapters.dead_letters import DeadLetters
from adapters.erasure_ledger import ErasureLedger
from adapters.erasures import Erasures
from adapters.event_feed import Feed
from adapters.event_store import EventStore
from adapters.forgotten_chats import ForgottenChats
from adapters.imports import Imports
from adapters.inbound import Inbound
from adapters.inbox import Inbox
from adapters.keys import Keys
from adapters.leader import Leader
from adapters.leases import Leases, Owner
from adapters.log_signal import LogSignal
from adapters.media_fetch import Fetcher
from adapters.phone_book import PhoneBook
from adapters.progress import Progress
from adapters.runtime.disk import Disk
from adapters.runtime.host_clock import HostClock
from adapters.sealing import Sealing
from adapters.segments import Segments
from adapters.sends import Sends
from adapters.sessions import Sessions
from adapters.stated_consents import StatedConsents
from adapters.streams import COMMANDS, DEAD, EVENTS, SENDS
from adapters.timers import TimerTable
from adapters.unplaced import Unplaced
from adapters.vault import Vault
from domain.rates import Rates
from infra.child import ServerError
from infra.deploy import addresses
from infra.disk import disk_of
from infra.media import MediaParts, media_parts
from infra.quotas import limits_of, quotas_of, segments_of
from infra.serving import Server, configured
from infra.settings import Settings
from projections.apply import ReadModels
from workers.batches import Batches
from workers.commands import Intake
from workers.consents import Consents, ConsentWorker
from workers.decisions import Decisions
from workers.dispatch import Dispatch
from workers.filling import Filling
from workers.forgetting import Forgetting
from workers.imports import ImportWorker
from workers.media import Remover
from workers.projector import Projector
from workers.reactors import Reactors
from workers.receipts import Receipts
from workers.relay import Relay
from workers.sweeper import Sweeper
from workers.timers import Timers

START_PATIENCE = 20.0  # seconds for which a process waits for a server at its start, before it ends
POOL = 12  # connections of one process, beside those of the log and of leaders


@dataclass(frozen=True, slots=True)
class Parts:
    """What every process has: its connections, and the adapters on them."""

    settings: Settings
    database_url: str
    pool: AsyncConnectionPool
    bus: Bus
    store: EventStore
    signal: LogSignal
    inbox: Inbox
    keys: Keys
    sealing: Sealing
    contents: Contents
    vault: Vault
    audiences: Audiences
    media: MediaParts
    imports: AudienceImport
    models: ReadModels
    decisions: Decisions
    disk: Disk
    host_clock: HostClock

    def leader(self, task: str) -> Leader:
        return Leader(self.database_url, task)


def clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def connected(settings: Settings, name: str) -> AsyncIterator[Parts]:
    """Connect and build the adapters; everything is closed in the reverse order."""
    database_url, nats_url = await addresses(settings, START_PATIENCE)
    set_json_loads(orjson.loads)
    async with AsyncExitStack() as stack:
        pool = AsyncConnectionPool(
            database_url,
            min_size=1,
            max_size=POOL,
            open=False,
            reconnect_timeout=RECONNECT,
            kwargs={"autocommit": True, "application_name": f"drumline-{name}", **ALIVE},
        )
        await stack.enter_async_context(pool)
        try:
            bus = await Bus.connect(nats_url, f"drumline-{name}")
        except BusLost as lost:
            raise ServerError(str(lost)) from None
        stack.push_async_callback(bus.close)
        signal = LogSignal(database_url)
        await signal.start()
        stack.push_async_callback(signal.stop)
        store = EventStore(database_url)
        store.start()
        stack.push_async_callback(store.stop)
        sealing = Sealing(settings.master_key(), settings.pepper())
        contents, vault, audiences = Contents(pool, sealing), Vault(pool, sealing), Audiences(pool)
        media, host_clock = media_parts(settings, pool, sealing), HostClock(pool)
        await host_clock.load()
        stack.callback(media.opened.close)
        yield Parts(
            settings=settings,
            database_url=database_url,
            pool=pool,
            bus=bus,
            store=store,
            signal=signal,
            inbox=Inbox(pool, settings.dead_letter_quota),
            keys=Keys(pool, settings.pepper(), limits=settings.command_limits),
            sealing=sealing,
            contents=contents,
            vault=vault,
            media=media,
            audiences=audiences,
            imports=AudienceImport(pool, vault, sealing, clock),
            models=ReadModels(pool),
            decisions=Decisions(
                store, SubmissionFacts(audiences, contents), clock, files=media.media, steady=host_clock.look
            ),
            disk=disk_of(settings),
            host_clock=host_clock,
        )


Run = Callable[[], Awaitable[None]]


def core(parts: Parts) -> dict[str, Run]:
    """The loops of `work core`, by name."""
    sends = Sends(parts.bus)
    timers = Timers(TimerTable(parts.pool), parts.decisions, clock, parts.host_clock.look)
    bus, decisions, limits = parts.bus, parts.decisions, parts.settings.command_limits
    intake = Intake(bus, decisions, parts.inbox, parts.keys, parts.contents, clock, disk=parts.disk, limits=limits)
    leases, lead = Leases(parts.pool, Owner.here()), parts.leader("dispatch")
    given = parts.store, parts.decisions, Cursors(parts.pool), parts.audiences, leases, sends, lead, clock
    dispatch = Dispatch(*given, parts.disk, parts.host_clock.look)
    patience = timedelta(seconds=parts.settings.unknown_after)
    reactors = Reactors(
        parts.store, Progress(parts.pool), timers, parts.signal, sends, parts.leader("reactors"), clock, patience
    )
    return watches(parts) | {
        "intake": intake.run,
        "relay": Relay(parts.bus, parts.store, parts.signal, parts.leader("relay")).run,
        "sweeper": Sweeper(parts.bus, parts.inbox, parts.contents, clock, parts.settings.sweep_after).run,
        "projector": Projector(parts.store, parts.models, parts.signal).run,
        "reactors": reactors.run,
        "timers": timers.run,
        "dispatch": dispatch.run,
        "forgetting": forgetting(parts).run,
        "filling": Filling(Segments(parts.pool, parts.vault, parts.sealing, clock)).run,
        "media": Remover(parts.media.removal, parts.store, parts.models).run,
        "bus": partial(parts.bus.watch, COMMANDS, SENDS, EVENTS, DEAD),
    }


def forgetting(parts: Parts) -> Forgetting:
    """Who carries out erasures."""
    ledger = ErasureLedger(parts.settings.erasures_file)
    dead = DeadLetters(parts.pool, parts.contents, None, clock)
    return Forgetting(parts.vault, Erasures(parts.pool), dead, ledger, parts.decisions)


def watches(parts: Parts) -> dict[str, Run]:
    """The loops that look after what a worker stands on."""
    return {
        "bus": parts.bus.watch,
        "log-signal": parts.signal.watch,
        "disk": parts.disk.run,
        "clock": parts.host_clock.run,
    }


def imports(parts: Parts) -> dict[str, Run]:
    """The loops of `work imports`, by name."""
    uploads = Imports(parts.pool, parts.sealing, parts.settings.imports_waiting)
    staged = StagedImport(parts.pool, parts.vault, parts.sealing)
    consents = Consents(parts.decisions, parts.contents, parts.models)
    worker = ImportWorker(uploads, staged, parts.decisions, consents, parts.leader("imports"), disk=parts.disk)
    recording = ConsentWorker(StatedConsents(parts.pool, parts.sealing), consents)
    return {"imports": worker.run, "consents": recording.run} | watches(parts)


def api(parts: Parts) -> dict[str, Run]:
    """The loops of `work api`, by name."""
    # Here, for the other workers have no use for it, and it is two fifths of the time in which they start.
    from api import app as rest
    from api.deps import Services

    quotas = quotas_of(parts.settings)
    feed = Feed(parts.store, parts.signal, quotas.streams)
    services = Services(
        keys=parts.keys,
        models=parts.models,
        contents=parts.contents,
        inbox=parts.inbox,
        bus=parts.bus,
        store=parts.store,
        signal=parts.signal,
        imports=parts.imports,
        vault=parts.vault,
        feed=feed,
        clock=clock,
        people=PhoneBook(parts.pool, parts.vault, parts.sealing),
        segments=Segments(parts.pool, parts.vault, parts.sealing, clock, *segments_of(parts.settings)),
        inbound=Inbound(parts.pool, parts.sealing, parts.vault),
        rates=Rates(parts.settings.command_rate),
        dead=DeadLetters(parts.pool, parts.contents, parts.bus, clock),
        uploads=Imports(parts.pool, parts.sealing, parts.settings.imports_waiting),
        consents=StatedConsents(parts.pool, parts.sealing),
        media=parts.media.media,
        media_uploads=parts.media.uploads,
        fetcher=Fetcher(),
        quotas=quotas,
        disk=parts.disk,
    )
    config = configured(
        rest.create(services),
        limits_of(parts.settings),
        host=parts.settings.http_host,
        port=parts.settings.http_port,
        timeout_graceful_shutdown=3,
    )
    return {"api": Server(config).run_until_cancelled, "feed": feed.run} | watches(parts)


@asynccontextmanager
async def sessions(parts: Parts) -> AsyncIterator[dict[str, Run]]:
    """The loops of `work sessions`, by name; the browsers end with it."""
    from adapters.whatsapp_web.driver import WhatsAppWeb  # here, for the same reason
    from infra.profiles import Profiles
    from workers.session import SessionWorker
    from workers.session_tools import Tools

    async with WhatsAppWeb(url=parts.settings.page_url, chromium=parts.settings.chromium) as web:
        profiles = Profiles(web, parts.settings.data_dir / "profiles")
        states = Sessions(parts.pool)
        receipts = Receipts(states, parts.decisions)
        tools = Tools(
            store=parts.store,
            decisions=parts.decisions,
            batches=Batches(parts.store, parts.audiences, parts.contents, parts.vault, parts.media.media),
            progress=Progress(parts.pool),
            sessions=states,
            inbound=Inbound(parts.pool, parts.sealing, parts.vault),
            unplaced=Unplaced(parts.pool, parts.sealing),
            vault=parts.vault,
            leases=Leases(parts.pool, Owner.here()),
            sends=Sends(parts.bus),
            receipts=receipts,
            chats=ForgottenChats(parts.pool, parts.sealing),
            open_messenger=profiles.open,
            kill_former=profiles.kill,
            erase_profile=profiles.erase,
            deadline=parts.settings.send_deadline,
            browser_memory=parts.settings.browser_memory << 20,
            typing=parts.settings.typing_longest,
        )
        yield watches(parts) | {
            "sessions": SessionWorker(tools, most=parts.settings.sessions_max).run,
            "opened-media": parts.media.opened.run,
            "bus": partial(parts.bus.watch, SENDS),
        }
