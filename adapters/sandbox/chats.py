"""What outlives the sandbox's server: phones, linked devices, messages, votes, and mail for browsers."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapters.sandbox.contents import CONTENT, Content, fields
from adapters.sandbox.nouns import DELIVERED, SENT, TAKEN, Device, Group, Message, Phone, Stanza

NAME = "phones.db"  # in the sandbox's directory
TABLES = """
CREATE TABLE IF NOT EXISTS phones (
    number TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, switched_on INTEGER NOT NULL,
    held INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS devices (
    id TEXT PRIMARY KEY, secret TEXT NOT NULL, keys TEXT NOT NULL, phone TEXT NOT NULL, since REAL NOT NULL,
    got INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, recipient TEXT NOT NULL, wa_id TEXT NOT NULL,
    content TEXT NOT NULL, quoted TEXT, at REAL NOT NULL, ack INTEGER NOT NULL, UNIQUE (sender, wa_id)
);
CREATE INDEX IF NOT EXISTS messages_out ON messages (sender, recipient, seq);
CREATE INDEX IF NOT EXISTS messages_in ON messages (recipient, ack, sender, seq);
CREATE TABLE IF NOT EXISTS votes (
    sender TEXT NOT NULL, wa_id TEXT NOT NULL, voter TEXT NOT NULL, choices TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (sender, wa_id, voter)
);
CREATE TABLE IF NOT EXISTS mail (seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, stanza TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS mail_of ON mail (account, seq);
CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, name TEXT NOT NULL, participants TEXT NOT NULL);
"""
MESSAGE = "seq, sender, recipient, wa_id, content, quoted, at, ack"
BETWEEN = "(sender = :one AND recipient = :other OR sender = :other AND recipient = :one)"
# On a phone lies what it sent, and of what was sent to it that which it has got.
ON_IT = f"(sender = :one OR ack >= {DELIVERED})"


class Chats:
    """One SQLite file. It survives a killed server; when the machine loses power only the ledger is sure to."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(TABLES)

    def close(self) -> None:
        self._db.close()

    # -- phones and devices -------------------------------------------------------------------------------------

    def phones(self) -> Iterator[Phone]:
        parties = "SELECT sender AS number, seq FROM messages UNION ALL SELECT recipient, seq FROM messages"
        last = dict(self._db.execute(f"SELECT number, max(seq) FROM ({parties}) GROUP BY number"))  # noqa: S608 - a constant
        for number, phone_id, name, on, held in self._db.execute("SELECT * FROM phones"):
            yield Phone(number, phone_id, name, bool(on), bool(held), last=last.get(number, 0))

    def keep_phone(self, phone: Phone) -> None:
        row = (phone.number, phone.id, phone.name, phone.on, phone.held)
        self._db.execute("INSERT OR REPLACE INTO phones VALUES (?, ?, ?, ?, ?)", row)

    def devices(self) -> Iterator[Device]:
        for row in self._db.execute("SELECT id, secret, keys, phone, since, got FROM devices"):
            yield Device(*row)

    def keep_device(self, device: Device) -> None:
        row = (device.id, device.secret, device.keys, device.phone, device.since, device.got)
        self._db.execute("INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?)", row)

    def drop_device(self, device: Device) -> None:
        self._db.execute("DELETE FROM devices WHERE id = ?", (device.id,))

    def keep_group(self, group: Group) -> None:
        row = (group.id, group.name, json.dumps(group.participants))
        self._db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", row)

    def groups_of(self, number: str) -> list[Group]:
        """The groups that a number takes part in."""
        found = self._db.execute("SELECT id, name, participants FROM groups ORDER BY name, id")
        groups = [Group(group_id, name, tuple(json.loads(numbers))) for group_id, name, numbers in found]
        return [group for group in groups if number in group.participants]

    # -- messages -----------------------------------------------------------------------------------------------

    def take(self, sender: str, recipient: str, wa_id: str, content: Content, quoted: str | None) -> Message:
        """A message before it is on the wire, or the one that has this id already."""
        text = json.dumps(fields(content))
        row = (sender, recipient, wa_id, text, quoted, time.time(), TAKEN)
        self._db.execute(
            "INSERT OR IGNORE INTO messages (sender, recipient, wa_id, content, quoted, at, ack)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        (message,) = self._messages("sender = ? AND wa_id = ?", (sender, wa_id))
        return message

    def keep_ack(self, message: Message, ack: int) -> None:
        message.ack = ack
        self._db.execute("UPDATE messages SET ack = ? WHERE seq = ?", (ack, message.seq))

    def message(self, sender: str, wa_id: str) -> Message | None:
        return next(self._messages("sender = ? AND wa_id = ?", (sender, wa_id)), None)

    def taken(self) -> list[Message]:
        """Messages of which a killed server did not know yet whether they were on the wire."""
        return list(self._messages("ack = ?", (TAKEN,)))

    def on_their_way(self, recipient: str | None = None) -> list[Message]:
        """Messages that no phone, or not this one, has got yet."""
        if recipient is None:
            return list(self._messages("ack = ?", (SENT,)))
        return list(self._messages("recipient = ? AND ack = ?", (recipient, SENT)))

    def unread(self, recipient: str, sender: str) -> list[Message]:
        return list(self._messages("recipient = ? AND ack = ? AND sender = ?", (recipient, DELIVERED, sender)))

    def unread_counts(self, recipient: str) -> dict[str, int]:
        asked = "SELECT sender, count(*) FROM messages WHERE recipient = ? AND ack = ? GROUP BY sender"
        return dict(self._db.execute(asked, (recipient, DELIVERED)))

    def wrote(self, sender: str, recipient: str) -> bool:
        """Whether one number has ever written to another."""
        asked = "SELECT 1 FROM messages WHERE sender = ? AND recipient = ? LIMIT 1"
        return self._db.execute(asked, (sender, recipient)).fetchone() is not None

    def conversation(self, one: str, other: str, limit: int) -> list[Message]:
        """What the phone of the one shows of its chat with the other, oldest first."""
        found = self._messages(
            f"{BETWEEN} AND {ON_IT} ORDER BY seq DESC LIMIT :limit", {"one": one, "other": other, "limit": limit}
        )
        return list(found)[::-1]

    def chats_of(self, one: str, limit: int) -> list[Message]:
        """The last message of each chat on a phone, newest first."""
        own = (
            "SELECT max(seq) FROM (SELECT recipient AS other, seq FROM messages WHERE sender = :one"
            " UNION ALL SELECT sender, seq FROM messages WHERE recipient = :one AND ack >= 2) GROUP BY other"
        )
        return list(self._messages(f"seq IN ({own}) ORDER BY seq DESC LIMIT :limit", {"one": one, "limit": limit}))

    def latest(self, senders: Iterable[str], limit: int) -> list[Message]:
        """The newest messages from any of these numbers."""
        given = tuple(senders)
        marks = ", ".join("?" * len(given))
        return list(self._messages(f"sender IN ({marks}) AND ack > 0 ORDER BY seq DESC LIMIT ?", (*given, limit)))

    def _messages(self, where: str, values: tuple[object, ...] | dict[str, object]) -> Iterator[Message]:
        asked = f"SELECT {MESSAGE} FROM messages WHERE {where}"  # noqa: S608 - made of this module's constants alone
        for row in self._db.execute(asked, values):
            seq, sender, recipient, wa_id, content, quoted, at, ack = row
            yield Message(seq, sender, recipient, wa_id, CONTENT.validate_json(content), quoted, at, ack)

    # -- votes and mail -----------------------------------------------------------------------------------------

    def keep_vote(self, sender: str, wa_id: str, voter: str, choices: list[int], at: float) -> None:
        row = (sender, wa_id, voter, json.dumps(choices), at)
        self._db.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?)", row)

    def votes(self, sender: str, wa_id: str) -> dict[str, list[int]]:
        asked = "SELECT voter, choices FROM votes WHERE sender = ? AND wa_id = ?"
        return {voter: json.loads(choices) for voter, choices in self._db.execute(asked, (sender, wa_id))}

    def post(self, account: str, stanza: Stanza) -> Stanza:
        """Mail for an account's browsers, numbered."""
        text = json.dumps(stanza)
        seq = self._db.execute("INSERT INTO mail (account, stanza) VALUES (?, ?)", (account, text)).lastrowid
        return {**stanza, "mail": seq}

    def last_mail(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM mail").fetchone()[0])

    def mail(self, account: str, after: int) -> list[Stanza]:
        asked = "SELECT seq, stanza FROM mail WHERE account = ? AND seq > ? ORDER BY seq"
        return [{**json.loads(stanza), "mail": seq} for seq, stanza in self._db.execute(asked, (account, after))]

    def mail_numbered(self, account: str, seq: int) -> Stanza | None:
        asked = "SELECT stanza FROM mail WHERE account = ? AND seq = ?"
        row = self._db.execute(asked, (account, seq)).fetchone()
        return None if row is None else json.loads(row[0])
