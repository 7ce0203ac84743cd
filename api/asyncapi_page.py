"""The AsyncAPI document as a page: plain HTML, made here, without a script.

The component that others use for it weighs 119 MB with what it needs, and compiles code at run time, which our content
security policy forbids.
"""

from functools import cache
from html import escape
from typing import Any

import orjson

from api.asyncapi import document

Part = dict[str, Any]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #888; --mark: #2a7d4f; --back: #8881 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1.5rem }
h1 { margin: 0 } h2 { margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line) } h3 { margin: 1.5rem 0 .3rem }
code, pre { font: 13px/1.45 ui-monospace, monospace } pre { background: var(--back); padding: .8rem; overflow-x: auto }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
div { overflow-x: auto } @media (prefers-color-scheme: dark) { :root { --mark: #6fcf97; --quiet: #aaa } }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--quiet); font-weight: normal }
td:last-child { min-width: 12rem } p, summary { overflow-wrap: anywhere }
details { border-bottom: 1px solid var(--line); padding: .35rem 0 } summary { cursor: pointer }
summary code { font-weight: 600 } details p { margin: .4rem 0 } nav a { display: inline-block; margin-right: 1rem }
.verb { display: inline-block; width: 5.5rem; color: var(--mark); font-weight: 600 } .quiet { color: var(--quiet) }
"""


def code(value: object) -> str:
    return f"<code>{escape(str(value))}</code>"


def prose(text: str) -> str:
    """A text with its words in code type."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def last(reference: Part) -> str:
    """The name that a reference ends with."""
    return str(reference["$ref"].rsplit("/", 1)[1])


def shown(value: object) -> str:
    return f"<pre>{escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())}</pre>"


def form(schema: Part) -> str:
    """The form of a value, in a few words."""
    if "$ref" in schema:
        name = last(schema)
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(form(one) for one in schema["anyOf"])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return " · ".join(code(one) for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {form(schema.get('items', {}))}"
    limits = {"minimum": "from", "maximum": "to", "minLength": "at least", "maxLength": "at most", "pattern": "like"}
    told = [f"{word} {code(schema[name])}" for name, word in limits.items() if name in schema]
    return ", ".join([escape(schema.get("format") or schema.get("type", "any")), *told])


def fields(schema: Part) -> str:
    """The fields of an object as a table."""
    required = set(schema.get("required", ()))
    rows = [
        f"<tr><td>{code(name)}{'' if name in required else ' <span class=quiet>optional</span>'}</td>"
        f"<td>{form(one)}</td><td>{prose(one.get('description', ''))}</td></tr>"
        for name, one in schema.get("properties", {}).items()
    ]
    if not rows:
        return "<p>No fields.</p>"
    return f"<div><table><tr><th>field</th><th>form</th><th></th></tr>{''.join(rows)}</table></div>"


def whole(message: Part, traits: Part) -> Part:
    """A message's headers with those of its traits."""
    told: Part = {"properties": {}, "required": []}
    for part in [*(traits[last(trait)] for trait in message.get("traits", ())), message]:
        told["properties"] |= part.get("headers", {}).get("properties", {})
        told["required"] += part.get("headers", {}).get("required", [])
    return told


def operation(name: str, one: Part, told: Part) -> str:
    """An operation with its channel and its messages."""
    parts = told["components"]
    channel = told["channels"][last(one["channel"])]
    heading = f"{code(channel['address'])} <span class=quiet>{prose(one['summary'])}</span>"
    lines = [
        f'<details id="{escape(name)}"><summary><span class=verb>{one["action"]}s</span>{heading}</summary>',
        f"<p>{prose(one.get('description', ''))}</p>",
    ]
    for given in channel["messages"].values():
        message = parts["messages"][last(given)]
        headers = whole(message, parts["messageTraits"])
        lines.append(f"<h3>{escape(message['title'])}</h3><p>{prose(message['summary'])}</p>")
        if headers["properties"]:
            lines.append(f"<p class=quiet>Headers</p>{fields(headers)}")
        payload = parts["schemas"][last(message["payload"])]
        lines.append(f"<p class=quiet>Body, {code(message['contentType'])}</p>{fields(payload)}")
        lines += [shown({key: one[key] for key in ("headers", "payload") if key in one}) for one in message["examples"]]
    return "".join([*lines, "</details>"])


def server(name: str, one: Part, schemes: Part) -> str:
    """A server, as a row of a table."""
    says = f"{one['description']} {schemes[last(one['security'][0])]['description']}"
    cells = [code(name), code(one["protocol"]), code(one["host"]), prose(says)]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


@cache
def page() -> str:
    """The page."""
    told = document()
    info, parts = told["info"], told["components"]
    servers = "".join(server(name, one, parts["securitySchemes"]) for name, one in told["servers"].items())
    tags: dict[str, list[str]] = {}
    for name, one in told["operations"].items():
        tags.setdefault(one["tags"][0]["name"], []).append(operation(name, one, told))
    sections = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(ones)}' for tag, ones in tags.items())
    nested = {name: one for name, one in parts["schemas"].items() if name not in parts["messages"]}
    schemas = "".join(
        f'<h3 id="schema-{escape(name)}">{escape(name)}</h3>{fields(one)}' for name, one in nested.items()
    )
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in tags)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}: AsyncAPI</title><style>{STYLE}</style>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{prose(info['description'])}</p>"
        f'<p>The document: <a href="/asyncapi.json">/asyncapi.json</a>, AsyncAPI {escape(told["asyncapi"])}.</p>'
        f"<div><table><tr><th>server</th><th>protocol</th><th>by default</th><th></th></tr>{servers}</table></div>"
        f"<nav>{links}</nav>{sections}<h2>Parts of bodies</h2>{schemas}</html>"
    )
