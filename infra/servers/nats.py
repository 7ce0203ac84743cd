"""NATS: whether it can be reached, is new enough, and lets drumline do its work."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError

from adapters import streams
from adapters.lean_client import LeanClient
from infra.child import ServerError
from infra.servers.faults import CONNECT_SECONDS, Server

OLDEST = (2, 12)  # atomic batches came with it
PAYLOAD = 1_048_576  # bytes: what the largest command and its headers may need
SETTING, SYSTEM = "DRUMLINE_NATS_URL", "DRUMLINE_NATS_SYSTEM_URL"
GREETING_BYTES = 1 << 16
NO_JETSTREAM = (10_039, 10_076)  # the server's codes: not enabled for this account, not enabled at all
STARTING = 10_008  # the same: not available yet
API_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Broker:
    """What a NATS is, as it says itself."""

    version: str
    server_id: str
    missing: tuple[str, ...]  # streams, or those whose consumer is
    closed: bool = False  # COMMANDS, see `streams.closed`


def named(url: str, *, embedded: bool = False, setting: str = SETTING) -> Server:
    """The server of an address. Raises ServerError when it is none."""
    try:
        said = urlsplit(url)
        host, port = said.hostname if said.scheme in ("nats", "tls") else None, said.port or 4222
    except ValueError:
        host, port = None, 0
    if not host:
        raise ServerError(f"{setting} is no address of NATS: write nats://user:password@host:4222.")
    return Server("NATS", f"{host}:{port}", None if embedded else setting)


async def look(url: str, server: Server) -> Broker:
    """Connect, and see what it is. Raises ServerError (ServerAway, when waiting may help) when it cannot be used."""
    refuse(server, await greeting(url, server), tls=url.startswith("tls:"))
    async with connected(url, server) as (client, forbidden):
        js = client.jetstream(timeout=API_SECONDS)
        try:
            await js.account_info()
            missing = await streams.missing(js)
            closed = streams.COMMANDS not in missing and await streams.closed(js)
        except APIError as error:
            if error.err_code in NO_JETSTREAM:
                wrong = "gives this user's account no JetStream"
                raise server.correctable(wrong, f"name a user of the account that has it in {SETTING}") from None
            if error.err_code == STARTING:
                raise server.away("JetStream is starting") from None
            raise server.correctable(f"refuses JetStream (error {error.err_code})") from None
        except (nats.errors.Error, TimeoutError):
            if forbidden:
                wrong = "gives this user no right to JetStream"
                raise server.correctable(wrong, f"name a user of every right in {SETTING}") from None
            raise server.away(f"JetStream not within {API_SECONDS:.0f} s") from None
        info = client._server_info  # the library hands on parts of it only
        return Broker(str(info["version"]), str(info["server_id"]), tuple(missing), closed)


async def greeting(url: str, server: Server) -> dict[str, Any]:
    """What a NATS says first, to anybody."""
    said = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(said.hostname, said.port or 4222, limit=GREETING_BYTES)
            try:
                line = await reader.readuntil(b"\n")
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        raise server.away(f"not within {CONNECT_SECONDS} s") from None
    except ConnectionRefusedError:
        raise server.away("connection refused") from None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        line = b""
    except OSError as error:
        why = "its name is not known" if "known" in str(error) or "No address" in str(error) else "no way leads there"
        raise server.away(why) from None
    try:
        info = json.loads(line.removeprefix(b"INFO ")) if line.startswith(b"INFO ") else None
    except ValueError:
        info = None
    if not isinstance(info, dict) or "version" not in info:
        raise server.correctable("is not NATS")
    return info


def refuse(server: Server, info: dict[str, Any], *, tls: bool) -> None:
    """Raise ServerError when drumline cannot work on a server that greets so."""
    version = re.match(r"(\d+)\.(\d+)", str(info["version"]))
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise server.fault(f"is version {info['version']}, and drumline needs {oldest} or newer: upgrade it.")
    if tls and not (info.get("tls_required") or info.get("tls_available")):  # the library would speak without
        raise server.correctable("does not speak TLS", f"write nats:// and not tls:// in {SETTING}")
    if not info.get("jetstream"):
        raise server.fault("has JetStream off: add a `jetstream` block to its configuration and start it again.")
    if int(info.get("max_payload", 0)) < PAYLOAD:
        raise server.fault(f"takes {info['max_payload']} bytes a message: set max_payload to {PAYLOAD} there.")


@asynccontextmanager
async def connected(url: str, server: Server, **how: Any) -> AsyncIterator[tuple[Client, list[str]]]:
    """A client that tries once, and what the server has forbidden it. Raises ServerError."""
    forbidden: list[str] = []

    async def on_error(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            forbidden.append("permissions violation")

    once: dict[str, Any] = {"allow_reconnect": False, "max_reconnect_attempts": 0, "connect_timeout": CONNECT_SECONDS}
    client = LeanClient()  # the library's own leaves connections open that were refused or given up
    try:
        async with asyncio.timeout(3 * CONNECT_SECONDS):
            await client.connect(url, name="drumline-check", error_cb=on_error, **once, **how)
    except (ssl.SSLError, ssl.CertificateError) as error:
        why = getattr(error, "verify_message", "") or "the handshake failed"
        raise server.fault(f"cannot be reached by TLS ({why}): let this machine trust its certificate.") from None
    except (nats.errors.Error, TimeoutError, OSError) as error:
        text = str(error).lower()
        if "authorization" in text or "authentication" in text:
            raise server.correctable("refuses the user's name or password") from None
        raise server.away("the connection broke off") from None
    try:
        yield client, forbidden
    finally:
        await client.close()


async def lets_in(url: str, key_id: str, secret: str) -> bool:
    """Whether the server of this address knows a key's user."""
    server = named(url)
    said = urlsplit(url)
    bare = f"{said.scheme}://{said.netloc.rpartition('@')[2]}"
    try:
        async with connected(bare, server, user=key_id, password=secret):
            return True
    except ServerError:
        return False


async def reload(url: str) -> int:
    """Have every server of a cluster read its configuration anew, as a user of its system account; how many did.

    Raises ServerError.
    """
    server = named(url, setting=SYSTEM)
    async with connected(url, server) as (client, _):
        try:
            ids = await servers(client)
            for one in ids:
                answer = json.loads((await client.request(f"$SYS.REQ.SERVER.{one}.RELOAD", timeout=API_SECONDS)).data)
                if "error" in answer:
                    raise server.fault(f"does not take its configuration: {answer['error'].get('description', '')}.")
        except (nats.errors.Error, TimeoutError):
            wrong = "does not let this user reload it"
            raise server.correctable(wrong, f"name a user of its system account in {SYSTEM}") from None
    return len(ids)


async def syncs_always(url: str) -> bool:
    """Whether the server writes to the disk before it acknowledges. Raises ServerError."""
    server = named(url, setting=SYSTEM)
    async with connected(url, server) as (client, _):
        try:
            one = (await servers(client))[0]
            said = json.loads((await client.request(f"$SYS.REQ.SERVER.{one}.VARZ", timeout=API_SECONDS)).data)
        except (nats.errors.Error, TimeoutError):
            wrong = "does not tell this user how it is set up"
            raise server.correctable(wrong, f"name a user of its system account in {SYSTEM}") from None
    if "data" not in said:
        raise server.fault(f"does not tell how it is set up: {said.get('error', {}).get('description', '')}.")
    return bool(said["data"].get("jetstream", {}).get("config", {}).get("sync_always"))


async def servers(client: Client) -> list[str]:
    """The ids of a cluster's servers: all that answer within a moment of the first."""
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    await client.publish("$SYS.REQ.SERVER.PING", reply=inbox)
    found = [await answers.next_msg(timeout=API_SECONDS)]
    while True:
        try:
            found.append(await answers.next_msg(timeout=0.3))
        except nats.errors.TimeoutError:
            return [json.loads(one.data)["server"]["id"] for one in found]
