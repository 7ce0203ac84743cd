"""`drumline doctor`: tries everything that drumline needs here, and says in a line each what to do about it."""

import asyncio
import json
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from shutil import which
from typing import Literal

import httpx
from rich.console import Console
from rich.text import Text

from adapters.keys import id_of, live_roles
from adapters.media_store import SegmentMissing, StoreUnavailable
from adapters.runtime.environment import PLAIN, allowed
from adapters.whatsapp_web.browser import ChromiumMissing, find_chromium
from infra import bus_users, deploy
from infra.child import ServerError
from infra.disk import disk_of
from infra.media import store_of
from infra.people import kept
from infra.ports import in_use
from infra.servers import nats, postgres
from infra.settings import Settings, SettingsError

CANNOT_RUN = 2  # the exit code
CONNECTIONS = 60  # to PostgreSQL: what one of each worker may open, and some for people
SKEW = 2.0  # seconds that the database's clock may differ from this host's
ANSWERS_WITHIN = 5.0  # seconds
SHOWN = 20  # streams that another workspace began
PROBE = "doctor-looks-for-this"  # an object that no bucket has
STYLES = {"ok": "green", "note": "yellow", "wrong": "red"}

Status = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `wrong`: drumline cannot run so, `note`: it can, and somebody should know."""

    check: str
    status: Status
    says: str


Findings = AsyncIterator[Finding]


async def doctor(settings: Settings, *, as_json: bool = False) -> int:
    """Print what each check finds; CANNOT_RUN when one of them is wrong."""
    found: list[Finding] = []
    console = Console(highlight=False, soft_wrap=True)
    for check in CHECKS:
        async for finding in check(settings):
            found.append(finding)
            if not as_json:
                console.print(
                    Text(f"{finding.status:<6}", STYLES[finding.status]), f"{finding.check:<11}", finding.says
                )
    wrong = any(finding.status == "wrong" for finding in found)
    if as_json:
        document = {"version": version("drumline"), "ok": not wrong, "checks": [asdict(one) for one in found]}
        console.print(json.dumps(document, indent=1), markup=False)
    return CANNOT_RUN if wrong else 0


async def data(settings: Settings) -> Findings:
    """The data directory: it can be written to, and only its owner reads it."""
    place = settings.data_dir
    existing = next(path for path in (place, *place.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "data", "wrong", f"{existing} cannot be written to: give its user the right, or choose --data-dir."
        )
    elif place.exists() and stat.S_IMODE(place.stat().st_mode) & 0o066:
        yield Finding("data", "note", f"{place} can be read by others: chmod 711 {place}")
    else:
        yield Finding("data", "ok", f"{place}{'' if place.exists() else ' (made at the first start)'}")
    for secret in (settings.secrets_dir / "master.key", settings.secrets_dir / "pepper.key"):
        if secret.exists() and stat.S_IMODE(secret.stat().st_mode) & 0o077:
            yield Finding("secrets", "wrong", f"{secret} can be read by others: chmod 600 {secret}")
    disk = disk_of(settings)
    disk.look()
    if disk.full:
        why = f"Less than {settings.disk_reserve} MB are free under {place}: drumline takes no new work. Make room."
        yield Finding("disk", "wrong", why)
    else:
        yield Finding("disk", "ok", f"{disk.free / 1e9:.1f} GB are free under {place}.")


async def browser(settings: Settings) -> Findings:
    """The browser: there is one, it starts, and so does what locks its profile."""
    if which("flock") is None:
        yield Finding("browser", "wrong", "The browsers need the command flock (Debian: the package util-linux).")
    try:
        found = find_chromium(settings.chromium).path
    except ChromiumMissing as error:
        yield Finding("browser", "wrong", str(error))
        return
    try:
        line = [str(found), "--version"]
        said = await asyncio.to_thread(
            lambda: subprocess.run(
                line, env=allowed(PLAIN), capture_output=True, text=True, timeout=30, check=True
            ).stdout.strip()
        )
    except (OSError, subprocess.SubprocessError):
        yield Finding("browser", "wrong", f"{found} does not start: run it by hand, or set DRUMLINE_CHROMIUM.")
    else:
        yield Finding("browser", "ok", f"{found} ({said})")


async def ports(settings: Settings) -> Findings:
    """The API's and the sandbox's ports: ours, or free."""
    asked = [("API", settings.http_host, settings.http_port, "HTTP_PORT", "/readyz")]
    if settings.whatsapp_url is None:
        asked.append(("sandbox", "127.0.0.1", settings.sandbox_port, "SANDBOX_PORT", "/control/phones"))
    for name, host, port, setting, path in asked:
        if not in_use(port, host):
            yield Finding(name, "ok", f"{host}:{port} is free for it; it does not run now.")
            continue
        said = await asked_of(f"http://{host}:{port}{path}")
        if said is None:
            wrong = f"{host}:{port} is in use by another program: end it, or set DRUMLINE_{setting}."
            yield Finding(name, "wrong", wrong)
        elif said:
            yield Finding(name, "wrong", f"http://{host}:{port} runs and is not ready: {', '.join(said)} (see {path}).")
        else:
            yield Finding(name, "ok", f"It answers at http://{host}:{port}.")


async def asked_of(url: str) -> list[str] | None:
    """The parts that a drumline at this address says are not ready; None when it is no drumline."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWERS_WITHIN) as http:
            said = (await http.get(url)).json()
    except (httpx.HTTPError, ValueError):
        return None
    match said:
        case {"checks": {**checks}}:
            words = {str(part): one.get("status") if isinstance(one, dict) else None for part, one in checks.items()}
            if not all(isinstance(word, str) for word in words.values()):
                return None
            return [part for part, word in words.items() if word not in ("ok", "silent")]
        case list() | {"items": _}:
            return []
    return None


async def database(settings: Settings) -> Findings:
    """PostgreSQL: it can be used, has our tables, is as safe as it must be, and its clock is this host's."""
    name = "PostgreSQL"
    try:
        url = deploy.database_address(settings)
    except SettingsError:
        yield Finding(name, "ok", "The embedded one does not run now: `drumline up` starts it.")
        return
    try:
        server = postgres.named(url, embedded=deploy.is_embedded(settings, url))
        before = datetime.now(UTC)
        seen = await postgres.look(url, server)
    except ServerError as error:
        yield Finding(name, "wrong", str(error))
        return
    middle = before + (datetime.now(UTC) - before) / 2
    yield Finding(name, "ok", f"{server.title} answers, version {seen.version}.")
    if server.setting:
        yield Finding("disk", "note", "How full PostgreSQL's disk is cannot be seen from here: watch it there.")
    if seen.strange:
        yield Finding("tables", "note", seen.strange)
    elif seen.lacks:
        yield Finding("tables", "wrong", f"{len(seen.lacks)} migrations are not applied: run `drumline migrate`.")
    else:
        yield Finding("tables", "ok", "All migrations are applied.")
        async for finding in people(url):
            yield finding
        yield await room(settings)
    for setting, value in seen.settings.items():
        if value == "off":
            why = f"{setting} is off in PostgreSQL: a power cut loses what was acknowledged. Set it to on there."
            yield Finding(name, "note", why)
    if seen.max_connections < CONNECTIONS:
        why = f"It takes {seen.max_connections} connections; drumline opens up to {CONNECTIONS}: raise max_connections."
        yield Finding(name, "note", why)
    skew = abs((seen.now - middle).total_seconds())
    if skew > SKEW:
        why = f"PostgreSQL's clock differs from this host's by {skew:.0f} s: let NTP set both."
        yield Finding("clock", "note", why)
    else:
        yield Finding("clock", "ok", "PostgreSQL's clock and this host's agree.")


async def people(url: str) -> Findings:
    """The people: nobody's stream was begun by another workspace than theirs."""
    found = await postgres.begun_elsewhere(url, SHOWN)
    if found is None:
        why = "Who began their streams could not be looked at: try again when the database has less to do."
        yield Finding("people", "note", why)
    elif found:
        first = f", the first {SHOWN}" if found[0]["all"] > SHOWN else ""
        why = f"{found[0]['all']} people's streams were begun by another workspace than theirs (see the how-to){first}:"
        yield Finding("people", "note", why)
    for one in found or ():
        says = f"drumline audit replay recipient-{one['id']}  # {one['person_of']}'s, begun by {one['begun_by']}"
        yield Finding("people", "note", says)


async def room(settings: Settings) -> Finding:
    """Whether COMMANDS has room for all keys: with an upgrade or another setting there may be too many."""
    async with deploy.pool_of(settings) as pool, pool.connection() as connection:
        roles = await live_roles(connection)
    if settings.command_limits.fits(roles):
        return Finding("keys", "ok", f"COMMANDS has room for all that {len(roles)} keys may have waiting.")
    why = f"What {len(roles)} keys may have waiting does not fit into COMMANDS, so one's flood can refuse others: "
    return Finding("keys", "note", f"{why}revoke keys, raise DRUMLINE_COMMANDS_BYTES or lower DRUMLINE_COMMAND_RATE.")


async def bus(settings: Settings) -> Findings:
    """NATS: it can be used, has our streams, writes before it acknowledges, and knows the keys."""
    name = "NATS"
    try:
        url = deploy.bus_address(settings)
    except SettingsError:
        yield Finding(name, "ok", "The embedded one does not run now: `drumline up` starts it.")
        return
    try:
        server = nats.named(url, embedded=deploy.is_embedded(settings, url))
        seen = await nats.look(url, server)
    except ServerError as error:
        yield Finding(name, "wrong", str(error))
        return
    yield Finding(name, "ok", f"{server.title} answers, version {seen.version}.")
    if seen.missing:
        why = f"The streams {', '.join(seen.missing)}, or their consumers, are missing: run `drumline migrate`."
        yield Finding("streams", "wrong", why)
    elif seen.closed:
        yield Finding("streams", "wrong", "COMMANDS was left closed: run `drumline migrate`.")
    else:
        yield Finding("streams", "ok", "All are there.")
    if bus_users.is_external(settings):
        async for finding in external(settings, url):
            yield finding


async def external(settings: Settings, url: str) -> Findings:
    """What only an external NATS can have wrong."""
    if settings.nats_system_url is None:
        why = "Whether sync_interval is `always` is not to be seen from here (DRUMLINE_NATS_SYSTEM_URL lets it)."
        yield Finding("NATS", "note", why)
    else:
        try:
            if not await nats.syncs_always(settings.nats_system_url.get_secret_value()):
                why = "sync_interval is not `always` in NATS: a power cut loses what it acknowledged. Set it there."
                yield Finding("NATS", "note", why)
        except ServerError as error:
            yield Finding("NATS", "wrong", str(error))
    try:
        wanted = await bus_users.current(settings)
    except ServerError:
        return  # it is said already
    except SettingsError as error:
        yield Finding("bus users", "note", f"Which keys are live is not to be seen: {error}")
        return
    file = settings.users_file
    if not file.exists() or file.read_text() != wanted:
        why = f"{file} is not the list of live keys: run `drumline migrate`, then reload NATS."
        yield Finding("bus users", "note", why)
        return
    team = kept(settings.keys_file)
    for who, secret in (team.keys if team else {}).items():
        name = id_of(secret)
        if name and not await nats.lets_in(url, name, secret):
            why = f"NATS does not let the {who}'s key in: reload it, and see that it includes {file} as it is."
            yield Finding("bus users", "note", why)
            return
    yield Finding("bus users", "ok", f"{file} is the list of live keys.")


async def bucket(settings: Settings) -> Findings:
    """The bucket of media, where there is one."""
    if settings.media_bucket is None:
        return
    try:
        async with asyncio.timeout(4 * ANSWERS_WITHIN):
            await store_of(settings).read(PROBE)
    except SegmentMissing:
        yield Finding("bucket", "ok", f"{settings.media_bucket} answers.")
    except (StoreUnavailable, TimeoutError):
        why = f"{settings.media_bucket} cannot be read: correct the DRUMLINE_MEDIA_ settings, or the key's rights."
        yield Finding("bucket", "wrong", why)


CHECKS: tuple[Callable[[Settings], Findings], ...] = (data, browser, ports, database, bus, bucket)
