"""The AsyncAPI 3.0 document, from the catalog: every command, event and outcome on the bus, the streams over HTTP."""

from functools import cache
from importlib.metadata import version
from typing import Any

from adapters import message_schemas as schemas
from adapters import streams
from adapters.cloudevents import REPLY_TO
from api.asyncapi_messages import COMMAND_HEADERS, EVENT_HEADERS, SERVICE_KEY, Document, messages, ref
from domain import catalog
from domain.hearing import who_hears
from domain.message import Role

REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = """\
Commands go in on NATS JetStream and are answered by outcomes; events are what followed. Messages are CloudEvents in
NATS binary mode: attributes in headers, the body JSON. A key is a principal: user = its id (the 8 characters after
`drl_live_`), password = the whole key, inbox prefix `_INBOX.<key id>`. It may publish its own commands and hear its own
outcomes. Events are heard over HTTP (`/v1/events`); the stream EVENTS, a window of the log, is for drumline's own
credential."""


def channel(address: str | None, title: str, server: str, *messages: str, **more: Any) -> Document:
    """Where messages go."""
    names = [part[1:-1] for part in (address or "").split(".") if part.startswith("{")]
    parameters = {"parameters": {name: ref("components", "parameters", name) for name in names}} if names else {}
    told = {name: ref("components", "messages", name) for name in messages}
    return {
        "address": address,
        "title": title,
        "servers": [ref("servers", server)],
        "messages": told,
        **parameters,
        **more,
    }


def operation(action: str, where: str, summary: str, tag: str, *messages: str, **more: Any) -> Document:
    """What drumline does on a channel: it receives, or it sends."""
    told = [ref("channels", where, "messages", name) for name in messages]
    return {
        "action": action,
        "channel": ref("channels", where),
        "summary": summary,
        "tags": [{"name": tag}],
        "messages": told,
        **more,
    }


def channels() -> Document:
    found = {
        f"cmd.{name}": channel(f"cmd.{{workspace}}.{{key}}.{name}", f"Command {name}", "bus", f"cmd.{name}")
        for name in catalog.COMMANDS
    }
    found |= {
        f"evt.{name}": channel(f"evt.{{workspace}}.{name}", f"Event {name}", "bus", f"evt.{name}")
        for name in catalog.EVENTS
    }
    query = {"type": "object", "properties": {"topics": {"type": "string"}, "after": {"type": "string"}}}
    return found | {
        "outcomes": channel("out.{workspace}.{key}", "All outcomes of a key", "bus", "outcome"),
        "inbox": channel(None, "An inbox of the command's sender", "bus", "outcome"),
        "sse": channel("/v1/events", "Events as server-sent events", "http", "cloudevent"),
        "websocket": channel(
            "/v1/events",
            "Events over a WebSocket",
            "websocket",
            "cloudevent",
            "place",
            bindings={"ws": {"query": query}},
        ),
    }


def operations() -> Document:
    reply = {
        "address": {"location": f"$message.header#/{REPLY_TO}"},
        "channel": ref("channels", "inbox"),
        "messages": [ref("channels", "inbox", "messages", "outcome")],
    }
    found: Document = {}
    for name, row in catalog.COMMANDS.items():
        roles = ", ".join(sorted(row.roles - {Role.SYSTEM}))
        told = {"description": f"For keys with one of the roles: {roles}.", "reply": reply}
        summary = (row.kind.__doc__ or "").strip()
        found[f"take.{name}"] = operation("receive", f"cmd.{name}", summary, row.aggregate, f"cmd.{name}", **told)
    for name, kind in catalog.EVENTS.items():
        aggregate = name.partition(".")[0]
        told = {"description": f"Over /v1/events heard by the roles: {', '.join(who_hears(aggregate))}."}
        summary = (kind.__doc__ or "").strip()
        found[f"tell.{name}"] = operation("send", f"evt.{name}", summary, aggregate, f"evt.{name}", **told)
    outcomes = operation("send", "outcomes", "Tell a key what became of its commands.", "outcomes", "outcome")
    sse = operation(
        "send", "sse", "Tell a listener its workspace's events, from any position on.", "events", "cloudevent"
    )
    websocket = operation("send", "websocket", "The same over a WebSocket.", "events", "cloudevent", "place")
    return found | {"tell.outcomes": outcomes, "tell.sse": sse, "tell.websocket": websocket}


def components() -> Document:
    found = {f"cmd.{name}": schemas.command(name, REFERENCE) for name in catalog.COMMANDS}
    found |= {f"evt.{name}": schemas.event(name, REFERENCE) for name in catalog.EVENTS}
    found |= {"outcome": schemas.outcome(REFERENCE), "cloudevent": schemas.cloudevent(), "place": schemas.place()}
    shared = [(name, one) for schema in found.values() for name, one in schema.pop("$defs", {}).items()]
    return {
        "messages": messages(),
        "schemas": found | dict(shared),
        "messageTraits": {"command": COMMAND_HEADERS, "event": EVENT_HEADERS},
        "parameters": {
            "workspace": {"description": "The workspace of the key.", "examples": ["demo"]},
            "key": {"description": "The key's id: the 8 characters after `drl_live_`.", "examples": [SERVICE_KEY]},
        },
        "securitySchemes": {
            "busKey": {"type": "userPassword", "description": "User: the key's id; password: the whole key."},
            "httpKey": {"type": "http", "scheme": "bearer", "description": "The whole key."},
        },
    }


def server(host: str, protocol: str, description: str, security: str) -> Document:
    """A server; where it really is, the settings say."""
    return {
        "host": host,
        "protocol": protocol,
        "description": description,
        "security": [ref("components", "securitySchemes", security)],
    }


@cache
def document() -> Document:
    """The whole document."""
    kept = f"Streams: {', '.join(str(one.name) for one in streams.streams(streams.Limits()))}."
    return {
        "asyncapi": "3.0.0",
        "id": "urn:drumline",
        "info": {
            "title": "drumline",
            "version": version("drumline"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "bus": server(
                "127.0.0.1:4222",
                "nats",
                f"NATS with JetStream; the embedded one's port: `nats/port` in the data directory. {kept}",
                "busKey",
            ),
            "http": server("127.0.0.1:8180", "http", "The REST API's server: server-sent events.", "httpKey"),
            "websocket": server("127.0.0.1:8180", "ws", "The same server: a WebSocket.", "httpKey"),
        },
        "channels": channels(),
        "operations": operations(),
        "components": components(),
    }
