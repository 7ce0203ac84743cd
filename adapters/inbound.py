"""What people wrote to accounts, sealed under each person's own key, and whose number or linked id is whose."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.audience_rows import RowRefused, read_number
from adapters.sealing import PersonKey, Sealing
from adapters.vault import Entry, Vault
from domain.message import WorkspaceId, derive
from domain.ports import Arrived, MessageArrived

BY_NUMBER = "SELECT recipient_id, wrapped_key FROM people WHERE workspace = %s AND number_hmac = %s"
BY_LINKED_ID = """
SELECT recipient_id, wrapped_key FROM linked_ids JOIN people USING (recipient_id)
WHERE linked_ids.workspace = %s AND lid_hmac = %s
"""
PUT_LINKED_ID = """
INSERT INTO linked_ids (workspace, lid_hmac, recipient_id) VALUES (%s, %s, %s)
ON CONFLICT (workspace, lid_hmac) DO UPDATE SET recipient_id = excluded.recipient_id
WHERE linked_ids.recipient_id <> excluded.recipient_id
"""
PUT = """
INSERT INTO inbound_messages (message_id, recipient_id, account_id, kind, sent_at, sealed)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
OF_PERSON = """
SELECT m.message_id, m.account_id, m.number, m.kind, m.sent_at, m.sealed, p.wrapped_key
FROM inbound_messages m JOIN people p USING (recipient_id)
WHERE p.workspace = %s AND m.recipient_id = %s AND m.number < %s ORDER BY m.number DESC LIMIT %s
"""
PUT_NUMBER = """
INSERT INTO account_numbers (account_id, workspace, sealed) VALUES (%s, %s, %s)
ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed
"""
NUMBERS = "SELECT account_id, sealed FROM account_numbers WHERE workspace = %s AND account_id = ANY(%s)"
FORGET_NUMBER = "DELETE FROM account_numbers WHERE account_id = %s"
FIELD = "message"
LAST = 2**62
LATEST = 4_102_444_800.0  # the year 2100


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """Where a message lies: its id follows from the account and WhatsApp's id, so the same one is kept once."""

    message_id: UUID
    recipient_id: UUID


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message, opened."""

    message_id: UUID
    account_id: UUID
    number: int
    kind: Arrived
    sent_at: datetime
    wa_id: str
    text: str = field(repr=False)


class Inbound:
    """Keeps what arrives before anybody decides on it, and opens it again."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], sealing: Sealing, vault: Vault) -> None:
        self._pool = pool
        self._sealing = sealing
        self._vault = vault

    async def keep(self, workspace: WorkspaceId, account: UUID, arrived: MessageArrived) -> KeptMessage | None:
        """Keep a message and its sender, who may be a stranger; None for one of whom nothing is known or kept."""
        async with self._pool.connection() as connection, connection.transaction():
            found = await self._sender(connection, workspace, arrived)
            if found is None:
                return None
            recipient, key = found
            message_id = message_id_of(account, arrived)
            sealed = key.seal(f"{FIELD}-{message_id}", 0, json.dumps({"wa_id": arrived.wa_id, "text": arrived.text}))
            await connection.execute(PUT, [message_id, recipient, account, arrived.kind, moment(arrived.at), sealed])
            if arrived.lid:
                await connection.execute(PUT_LINKED_ID, [workspace, self._lid(workspace, arrived.lid), recipient])
        return KeptMessage(message_id, recipient)

    async def _sender(
        self, connection: AsyncConnection[Any], workspace: WorkspaceId, arrived: MessageArrived
    ) -> tuple[UUID, PersonKey] | None:
        if arrived.number:
            number, country = placed(arrived.number)
            asked = (BY_NUMBER, [workspace, self._sealing.number_hmac(workspace, number)])
            row = await (await connection.execute(*asked)).fetchone()
            if row is None:
                await self._vault.store(connection, workspace, [Entry(number, country, {})])
                row = await (await connection.execute(*asked)).fetchone()
        else:
            wanted = [workspace, self._lid(workspace, arrived.lid)]
            row = await (await connection.execute(BY_LINKED_ID, wanted)).fetchone()
        return (row[0], self._sealing.person(workspace, row[0], row[1])) if row else None

    async def of(
        self, connection: AsyncConnection[Any], workspace: WorkspaceId, recipient: UUID, before: int | None, limit: int
    ) -> Sequence[ReceivedMessage]:
        """What a person wrote, the newest first; `before` the number of one of them."""
        cursor = await connection.execute(OF_PERSON, [workspace, recipient, before or LAST, limit])
        found = []
        for message_id, account, number, kind, sent_at, sealed, wrapped in await cursor.fetchall():
            key = self._sealing.person(workspace, recipient, wrapped)
            said = json.loads(key.open(f"{FIELD}-{message_id}", 0, sealed))
            message = ReceivedMessage(message_id, account, number, Arrived(kind), sent_at, said["wa_id"], said["text"])
            found.append(message)
        return found

    async def put_number(self, workspace: WorkspaceId, account: UUID, number: str, lid: str) -> None:
        """Keep which number linked an account."""
        said = json.dumps({"number": number, "lid": lid}).encode()
        sealed = self._sealing.seal(workspace, "account-number", str(account), said)
        async with self._pool.connection() as connection:
            await connection.execute(PUT_NUMBER, [account, workspace, sealed])

    async def forget_number(self, account: UUID) -> None:
        """No phone is linked to an account any more."""
        async with self._pool.connection() as connection:
            await connection.execute(FORGET_NUMBER, [account])

    async def numbers(
        self, connection: AsyncConnection[Any], workspace: WorkspaceId, accounts: Sequence[UUID]
    ) -> dict[UUID, str]:
        """The numbers of these accounts, in E.164, as far as they are known."""
        cursor = await connection.execute(NUMBERS, [workspace, list(accounts)])
        return {
            account: json.loads(self._sealing.open(workspace, "account-number", str(account), sealed))["number"]
            for account, sealed in await cursor.fetchall()
        }

    def sealed(self, workspace: WorkspaceId, account: UUID, told: Any) -> bytes:
        """What people ask an account's session and are told of it, as it crosses the bus."""
        return self._sealing.seal(workspace, "asked", str(account), json.dumps(told).encode())

    def opened(self, workspace: WorkspaceId, account: UUID, sealed: bytes) -> Any:
        """What was sealed so. Raises SealBroken."""
        return json.loads(self._sealing.open(workspace, "asked", str(account), sealed))

    def _lid(self, workspace: WorkspaceId, lid: str) -> bytes:
        return self._sealing.mac(workspace, "linked-id", lid.encode())


def message_id_of(account: UUID, arrived: MessageArrived) -> UUID:
    """Our id of a message that came in: the same one however often it is told."""
    return derive("inbound", account, arrived.wa_id)


def moment(seconds: float) -> datetime:
    """The time of a message; one that no phone can mean is brought to the nearest that it can."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), LATEST), UTC)


def placed(number: str) -> tuple[str, str | None]:
    """A number and its country; what no plan of numbers knows is kept as WhatsApp tells it."""
    try:
        return read_number(number, None)
    except RowRefused:
        return number, None
