"""The messages of the AsyncAPI document: headers, bodies and an example of each."""

from collections.abc import Mapping
from typing import Any

from adapters import message_examples as examples
from adapters.cloudevents import MSG_ID, POSITION, PREVIOUS, REPLY_TO, TRACE, VERSION
from domain import catalog
from domain.message import derive

Document = dict[str, Any]

SERVICE_KEY = "Zk3Pq81x"
TIME = "2026-11-21T09:30:00Z"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def ref(*path: str) -> dict[str, str]:
    return {"$ref": "/".join(["#", *path])}


def text(pattern: str = "", description: str = "", **more: Any) -> Document:
    """The schema of a header."""
    told = {"type": "string", "pattern": pattern, "description": description, **more}
    return {name: value for name, value in told.items() if value}


UUID, WHEN = {"type": "string", "format": "uuid"}, {"type": "string", "format": "date-time"}
PARENT_HEADER = text(f"^{TRACE.pattern}$", "W3C trace context, passed on.")


def headers(properties: Mapping[str, Document], *required: str) -> Document:
    return {"headers": {"type": "object", "properties": properties, "required": list(required)}}


COMMAND_HEADERS = headers(
    {
        "ce-specversion": {"const": VERSION},
        "ce-id": UUID | {"description": "The command's id, new and random: the same id is the same command."},
        "ce-source": text(description="Yours."),
        "ce-time": WHEN,
        "traceparent": PARENT_HEADER,
        MSG_ID: UUID | {"description": "The same as `ce-id`: the broker drops a repetition within its window."},
        REPLY_TO: text(description="An inbox of yours (`_INBOX.<key id>.…`) that the outcome goes to."),
    },
    "ce-specversion",
    "ce-id",
    "ce-type",
)
EVENT_HEADERS = headers(
    {
        "ce-specversion": {"const": VERSION},
        "ce-id": UUID | {"description": "Deduplicate on it."},
        "ce-source": text("^/drumline/", "`/drumline/<workspace>`"),
        "ce-subject": text(description="The stream: `job-<id>`."),
        "ce-time": WHEN,
        "traceparent": PARENT_HEADER,
        MSG_ID: UUID,
        POSITION: text("^[0-9]+$", "Position in the log."),
        PREVIOUS: text("^[0-9]+$", "Position of the event before: another than you saw last is a hole."),
    },
    "ce-specversion",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-subject",
    "ce-time",
    MSG_ID,
    POSITION,
    PREVIOUS,
)
OUTCOME_HEADERS = headers(
    {
        "ce-specversion": {"const": VERSION},
        "ce-id": text("-outcome$", "`<command id>-outcome`"),
        "ce-type": text("^drumline.outcome.(applied|refused|crashed)$"),
        "ce-source": text("^/drumline/"),
        "ce-subject": text(description="The stream, if there is one."),
        "ce-time": WHEN,
        "traceparent": PARENT_HEADER,
    },
    "ce-specversion",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-time",
)


def message(name: str, kind: str, title: str, summary: str, trait: str, example: Document, **more: Any) -> Document:
    """A message on the bus; its headers are its trait's, and its own type."""
    return {
        "name": kind,
        "title": title,
        "summary": summary,
        "contentType": "application/json",
        "traits": [ref("components", "messageTraits", trait)],
        "headers": {"type": "object", "properties": {"ce-type": {"const": kind}}, "required": ["ce-type"]},
        "payload": ref("components", "schemas", name),
        "examples": [example],
        **more,
    }


def command_message(name: str) -> Document:
    kind = catalog.COMMANDS[name].kind
    command_id = str(derive("example", "command_id"))
    told = {
        "ce-specversion": VERSION,
        "ce-id": command_id,
        "ce-type": f"drumline.cmd.{name}",
        MSG_ID: command_id,
        REPLY_TO: f"_INBOX.{SERVICE_KEY}.7",
    }
    example = {"name": name, "headers": told, "payload": examples.command_example(name)}
    summary = (kind.__doc__ or "").strip()
    return message(f"cmd.{name}", f"drumline.cmd.{name}", kind.__name__, summary, "command", example)


def event_message(name: str) -> Document:
    kind = catalog.EVENTS[name]
    whole = examples.cloudevent_example(name)
    told = {f"ce-{key}": whole[key] for key in ("specversion", "id", "type", "source", "subject", "time")}
    told |= {"traceparent": PARENT, MSG_ID: whole["id"], POSITION: whole["position"], PREVIOUS: "4119"}
    example = {"name": name, "headers": told, "payload": whole["data"]}
    return message(f"evt.{name}", f"drumline.{name}", kind.__name__, (kind.__doc__ or "").strip(), "event", example)


def outcome_message() -> Document:
    told = {
        "ce-specversion": VERSION,
        "ce-id": f"{examples.OUTCOME['command_id']}-outcome",
        "ce-type": "drumline.outcome.refused",
        "ce-source": "/drumline/demo",
        "ce-subject": examples.OUTCOME["stream"],
        "ce-time": TIME,
    }
    return {
        "name": "drumline.outcome",
        "title": "Outcome",
        "summary": "What became of a command: applied, refused by which rule for which field, or crashed.",
        "contentType": "application/json",
        **OUTCOME_HEADERS,
        "correlationId": {"location": "$message.payload#/command_id"},
        "payload": ref("components", "schemas", "outcome"),
        "examples": [{"name": "refused", "headers": told, "payload": examples.OUTCOME}],
    }


def structured(name: str, title: str, summary: str, kind: str, example: Any) -> Document:
    """A message of `/v1/events`."""
    payload = ref("components", "schemas", name)
    told = {"name": name, "title": title, "summary": summary, "contentType": kind, "payload": payload}
    return told | {"examples": [{"name": name, "payload": example}]}


def messages() -> Document:
    """All messages, by their names in the document."""
    found = {f"cmd.{name}": command_message(name) for name in catalog.COMMANDS}
    found |= {f"evt.{name}": event_message(name) for name in catalog.EVENTS}
    found["outcome"] = outcome_message()
    summary, whole = "An event of the log, whole.", examples.cloudevent_example("job.approved")
    found["cloudevent"] = structured("cloudevent", "CloudEvent", summary, "application/cloudevents+json", whole)
    summary = "No event: only how far the log is, at first and after 15 s of silence."
    found["place"] = structured("place", "Place", summary, "application/json", {"position": "4120"})
    return found
