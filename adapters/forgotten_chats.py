"""Chats with people who were erased: each is still in the browser of the account that wrote, until that deleted it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from adapters.sealing import SealBroken, Sealing
from domain.message import WorkspaceId

USE = "forgotten-chat"

# Accounts that were to write to the person, or that the person wrote to; of those that are still there.
ACCOUNTS = """
SELECT account_id FROM session_accounts WHERE NOT removed AND workspace = %(workspace)s AND account_id IN (
    SELECT account_id FROM frozen_audience WHERE recipient_id = %(person)s
    UNION SELECT account_id FROM inbound_messages WHERE recipient_id = %(person)s)
"""
PUT = """
INSERT INTO forgotten_chats (account_id, recipient_id, workspace, sealed) VALUES (%s, %s, %s, %s)
ON CONFLICT (account_id, recipient_id) DO NOTHING
"""
OF = "SELECT recipient_id, workspace, sealed FROM forgotten_chats WHERE account_id = %s ORDER BY recipient_id LIMIT %s"
DONE = "DELETE FROM forgotten_chats WHERE account_id = %s AND recipient_id = %s"
DROP = "DELETE FROM forgotten_chats WHERE account_id = %s"
PAGE = 100


@dataclass(frozen=True, slots=True)
class ForgottenChat:
    """A chat that is to go; the number is in E.164."""

    account_id: UUID
    recipient_id: UUID
    number: str = field(repr=False)


async def leave(
    connection: AsyncConnection[Any], sealing: Sealing, workspace: WorkspaceId, recipient_id: UUID, number: str
) -> None:
    """Order it of each account that may have a chat with this person, in the transaction that erases them."""
    cursor = await connection.execute(ACCOUNTS, {"workspace": workspace, "person": recipient_id})
    for (account,) in await cursor.fetchall():
        sealed = sealing.seal(workspace, USE, f"{account}|{recipient_id}", number.encode())
        await connection.execute(PUT, [account, recipient_id, workspace, sealed])


class ForgottenChats:
    """Orders to delete chats: left with the erasure, taken back when they were carried out."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], sealing: Sealing) -> None:
        self._pool = pool
        self._sealing = sealing

    async def of(self, account: UUID) -> Sequence[ForgottenChat]:
        """What an account has still to delete, a page of it; an order that was tampered with names nobody."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(OF, [account, PAGE])).fetchall()
        chats = []
        for person, workspace, sealed in rows:
            with suppress(SealBroken):
                number = self._sealing.open(workspace, USE, f"{account}|{person}", sealed).decode()
                chats.append(ForgottenChat(account, person, number))
        return chats

    async def done(self, chat: ForgottenChat) -> None:
        """The chat is gone."""
        async with self._pool.connection() as connection:
            await connection.execute(DONE, [chat.account_id, chat.recipient_id])

    async def drop(self, account: UUID) -> None:
        """The account's whole profile is gone."""
        async with self._pool.connection() as connection:
            await connection.execute(DROP, [account])
