"""A workspace is in every key and in the condition of every statement; what does without says here why it may."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain

from tests.contracts.test_house import ROOT, modules

STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\b")
TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+|\{[^}]*\})")
CREATED = re.compile(r"^CREATE TABLE (\w+) \((.*?)^\);", re.MULTILINE | re.DOTALL)
# What chooses no row, though it names columns: up to the end of the statement, or of the brackets around it.
CLAUSE = r"[^()]*(?:\((?:[^()]|\([^()]*\))*\)[^()]*)*"
CHOOSES_NOTHING = re.compile(
    rf"\b(?:ORDER BY|RETURNING|ON CONFLICT)\b{CLAUSE}|\bLEFT JOIN \S+(?: \w+)? USING \([^)]*\)"
)
CONDITION = re.compile(
    r"\b(?:WHERE|ON)\b.*\bworkspace\s*(?:=|<>|IN\b|IS\b)|\bUSING \([^)]*\bworkspace\b",
    re.DOTALL,
)
INSERTED = re.compile(r"\bINSERT INTO \S+ (?:AS \w+ )?\([^)]*\bworkspace\b", re.DOTALL)

# Tables whose rows name no workspace, for what they are named by is one workspace's alone.
TABLES = {
    "an event's envelope names it; what is appended to a stream is judged by it": {"stored_events", "snapshots"},
    "an account is one workspace's, and its stream was judged": {"leases", "session_states"},
    "a delivery is one job's, and a job one workspace's": {"send_progress", "send_cursors"},
    "they go with a row that names it": {
        *("person_versions", "audience_members", "inbound_messages", "import_bad_rows", "dead_letter_actions"),
        "import_chunks",  # sealed under the workspace's key, and named at random
    },
    "named by a hash over recipients and accounts, whose ids are one workspace's": {"frozen_audience"},
    "of the system itself: of no workspace's": {"projected", "reactor_position", "tries", "host_clocks"},
}

# Statements that have no workspace in their condition, by module and name.
STATEMENTS = {
    "the system's own way through all workspaces: each row says whose it is": {
        "adapters/attributes.py": {"WAITING"},
        "adapters/census.py": {"COUNTS"},
        "adapters/cursors.py": {"RUNNING"},
        "adapters/erasures.py": {"PENDING"},
        "adapters/imports.py": {"CLAIM", "SWEEP"},
        "adapters/import_uploads.py": {"SWEEP_UPLOADS"},
        "adapters/inbox.py": {"OLDEST", "EXPIRE"},
        "adapters/keys.py": {"NATS_USERS", "LIVE_ROLES"},
        "adapters/media_removal.py": {"CANDIDATES", "IDLE"},
        "adapters/sessions.py": {"ACCOUNTS", "NO_ROOM"},
        "adapters/stated_consents.py": {"TAKE"},
        "adapters/timers.py": {"DUE", "NEXT"},
        "adapters/unplaced.py": {"EXPIRE"},
        "projections/media.py": {"IN_USE"},
    },
    "by a key that the workspace is hashed into": {
        "adapters/append_sql.py": {"OLD_ANSWERS"},
        "adapters/inbox.py": {"FIND", "WAITING"},
    },
    "after the row was found under its workspace, in the same transaction or by who made it": {
        "adapters/dead_letters.py": {"BODY", "BODY_SIZE", "REOPEN", "REPLAYED", "WAITS", "DROPPED"},
        "adapters/import_uploads.py": {"ADD_PIECE", "ARRIVED"},
        "adapters/imports.py": {"PROGRESS", "END"},
        "adapters/media_uploads.py": {"GROW", "SIZE", "BECAME", "FORGET"},
        "adapters/timers.py": {"PUT_OFF", "DONE"},
        "projections/outcomes.py": {"STATUSES"},
        "projections/jobs.py": {"COUNTS"},
    },
    "it reads whose the row is and compares": {
        "adapters/audience_import.py": {"PREVIOUS"},
        "adapters/segments.py": {"PREVIOUS"},
        "adapters/sessions.py": {"MESSAGES"},  # see workers/receipts.py
        "adapters/keys.py": {"BY_ID", "USED"},  # the key tells the workspace
    },
    "of events of the log, whose streams were judged": {
        "adapters/progress.py": {"PUT_STATUS", "COUNT", "OVER", "DEFERRED", "PUT_REMOVED", "PUT_LEAVING"},
        "adapters/timers.py": {"DROP"},
        "projections/table.py": {"_upsert", "_delete"},
    },
    "of an account, for its own session": {
        "adapters/forgotten_chats.py": {"OF", "DONE", "DROP"},
        "adapters/inbound.py": {"FORGET_NUMBER"},
        "adapters/sessions.py": {"FORGET", "UNKNOWN"},
    },
    "ids are keyed hashes of the workspace, read from its rows; and the key that opens them is bound to it": {
        "adapters/vault.py": {"OPEN"},
    },
    "whole tables are made anew, and compared; or the caller's condition has it": {
        "adapters/read_sql.py": {"INSERT"},
        "projections/beside.py": {"taken"},
        "projections/comparing.py": {"HASH", "DIFFERING"},
        "projections/listing.py": {"SEEN"},
        "projections/table.py": {"select"},
    },
}


@cache
def tables() -> dict[str, str]:
    """What each table is made of, by its name."""
    files = sorted((ROOT / "infra" / "migrations").glob("*.sql"))
    return {found[1]: found[2] for file in files for found in CREATED.finditer(file.read_text())}


def statements(module: str) -> Iterator[tuple[str, str]]:
    """The SQL in a module, by the name it is given; what is put into it when it runs stands in braces."""
    tree = ast.parse(modules()[module])
    named: dict[int, str] = {}
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named |= {id(inner): node.name for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Attribute):
            target = node.targets[0]
            name = target.id if isinstance(target, ast.Name) else target.attr
            named |= {id(inner): name for inner in ast.walk(node.value)}
        if isinstance(node, ast.JoinedStr):
            inside |= {id(inner) for inner in ast.walk(node) if inner is not node}
    for node in ast.walk(tree):
        if id(node) not in inside and STATEMENT.match(text := text_of(node)):
            yield named.get(id(node), ""), text


def text_of(node: ast.AST) -> str:
    """What a string says; "" for what is none."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"{{{ast.unparse(node.value)}}}"
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    return ""


def touches(text: str) -> bool:
    """Whether a statement is about rows that say whose they are, or about a table that is named when it runs."""
    return any(name.startswith("{") or "workspace" in tables().get(name, "") for name in TABLE.findall(text))


def test_every_table_names_the_workspace_or_says_why_not() -> None:
    without = {name for name, columns in tables().items() if "workspace" not in columns}
    assert len(tables()) > 30
    assert without == set(chain.from_iterable(TABLES.values()))


def test_every_statement_has_the_workspace_in_its_condition_or_says_why_not() -> None:
    without = {
        (module, name)
        for module in modules()
        if not module.startswith("infra/")  # the operator's, on the host: of no workspace
        for name, text in statements(module)
        if touches(text) and not (INSERTED.search(text) or CONDITION.search(CHOOSES_NOTHING.sub("", text)))
    }
    reasoned = [(module, name) for where in STATEMENTS.values() for module, names in where.items() for name in names]
    assert len(reasoned) == len(set(reasoned))
    assert without == set(reasoned)
