"""Audiences as jobs need them: frozen under one hash, each recipient with an account; and the facts of a submission."""

import hashlib
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from adapters.contents import Contents
from adapters.runtime.pools import PARSING
from adapters.vault import NUMBER
from domain import campaign as campaigns
from domain import content, wording
from domain import job as jobs
from domain import template as templates
from domain.audience import ChooseAudience, ImportAudience
from domain.content import Part
from domain.direct import SubmitMessage
from domain.merkle import root
from domain.message import Actor, Command, Digest, Frozen, StreamId, WorkspaceId
from domain.ports import Gathered
from domain.submission import ReviseJob, SubmitJob

MEMBERS = """
SELECT m.ordinal, m.recipient_id, m.vault_version
FROM audience_members m JOIN audience_imports i USING (audience_id)
WHERE i.audience_id = %s AND i.workspace = %s ORDER BY m.ordinal
"""
# Empty values are never stored, so a person has a variable exactly when its field exists: nothing need be opened.
# Only the number is a field that no text may use.
MISSING = """
SELECT wanted.name, count(*)
FROM audience_members m
JOIN person_versions v ON v.recipient_id = m.recipient_id AND v.version = m.vault_version
CROSS JOIN unnest(%s::text[]) AS wanted (name)
WHERE m.audience_id = %s AND (wanted.name = %s OR NOT v.sealed ? wanted.name)
GROUP BY wanted.name
"""
KEEP = """
INSERT INTO frozen_audience (root, ordinal, recipient_id, vault_version, account_id)
SELECT %s, * FROM unnest(%s::int[], %s::uuid[], %s::int[], %s::uuid[]) ON CONFLICT DO NOTHING
"""
ROWS = """
SELECT ordinal, recipient_id, vault_version, account_id FROM frozen_audience
WHERE root = %s AND account_id = %s AND ordinal >= %s ORDER BY ordinal LIMIT %s
"""
ONE = """
SELECT p.version, array(SELECT name FROM unnest(%s::text[]) AS wanted (name) WHERE name = %s OR NOT v.sealed ? name)
FROM people p JOIN person_versions v USING (recipient_id, version) WHERE p.workspace = %s AND p.recipient_id = %s
"""
IMPORTED = """
SELECT digest FROM audience_imports
WHERE audience_id = %s AND workspace = %s AND count = %s AND rejected = %s AND merged = %s
"""
HELD = """
SELECT workspace, recipient_id FROM people
JOIN unnest(%s::text[], %s::uuid[]) AS asked (workspace, recipient_id) USING (workspace, recipient_id)
"""
LEAF = struct.Struct(">Q16sI16s")  # ordinal, recipient, version of the vault, account


@dataclass(frozen=True, slots=True)
class FrozenRow:
    """One recipient of a frozen audience: the version that was approved, and the account that sends."""

    ordinal: int  # from 1
    recipient_id: UUID
    vault_version: int
    account_id: UUID

    @property
    def leaf(self) -> bytes:
        return LEAF.pack(self.ordinal, self.recipient_id.bytes, self.vault_version, self.account_id.bytes)


@dataclass(frozen=True, slots=True)
class Freeze:
    """A frozen audience, not yet kept."""

    frozen: Frozen
    rows: Sequence[FrozenRow]


class Audiences:
    """Freezes imported audiences and reads frozen ones."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def freeze(
        self, workspace: WorkspaceId, audience_id: UUID, accounts: Collection[UUID], variables: Collection[str]
    ) -> Freeze:
        """An audience as it stands, each recipient with one of the accounts (at least one), and what they lack.

        The same members and accounts always give the same root. An audience of another workspace has no members.
        """
        async with self._pool.connection() as connection:
            members = await (await connection.execute(MEMBERS, [audience_id, workspace])).fetchall()
            lacking = []
            if members and variables:
                lacking = await (await connection.execute(MISSING, [sorted(variables), audience_id, NUMBER])).fetchall()
        rows, head = await PARSING.run(workspace, assigned, members, sorted(set(accounts)))
        return Freeze(Frozen(head, len(rows), dict(lacking)), rows)

    async def freeze_one(
        self, workspace: WorkspaceId, recipient_id: UUID, accounts: Collection[UUID], variables: Collection[str]
    ) -> Freeze | None:
        """One person, as an audience of their own; None when nobody of this workspace is there."""
        asked = [sorted(variables), NUMBER, workspace, recipient_id]
        async with self._pool.connection() as connection:
            row = await (await connection.execute(ONE, asked)).fetchone()
        if row is None:
            return None
        rows, head = assigned([(1, recipient_id, row[0])], sorted(set(accounts)))
        return Freeze(Frozen(head, 1, dict.fromkeys(row[1], 1)), rows)

    async def keep(self, freeze: Freeze) -> None:
        """Keep a frozen audience's rows under its root; again changes nothing."""
        async with self._pool.connection() as connection:
            await connection.execute(
                KEEP,
                [
                    freeze.frozen.root,
                    [row.ordinal for row in freeze.rows],
                    [row.recipient_id for row in freeze.rows],
                    [row.vault_version for row in freeze.rows],
                    [row.account_id for row in freeze.rows],
                ],
            )

    async def rows(self, root: Digest, account: UUID, from_ordinal: int, limit: int) -> list[FrozenRow]:
        """An account's share of a frozen audience, in order, from this ordinal on (included)."""
        async with self._pool.connection() as connection:
            found = await (await connection.execute(ROWS, [root, account, from_ordinal, limit])).fetchall()
        return [FrozenRow(*row) for row in found]

    async def imported(self, workspace: WorkspaceId, command: ImportAudience | ChooseAudience) -> Digest | None:
        """The digest of what lies in the vault under the command's id, if the command counts it truly."""
        others = (command.rejected, command.merged) if isinstance(command, ImportAudience) else (0, 0)
        counts = [command.count, *others]
        async with self._pool.connection() as connection:
            row = await (await connection.execute(IMPORTED, [command.audience_id, workspace, *counts])).fetchone()
        return Digest(row[0]) if row else None

    async def held(self, people: Collection[tuple[WorkspaceId, UUID]]) -> set[tuple[WorkspaceId, UUID]]:
        """Those of these people whom the vault holds for the workspace that they are named with."""
        workspaces, ids = [workspace for workspace, _ in people], [person for _, person in people]
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(HELD, [workspaces, ids])).fetchall()
        return {(WorkspaceId(workspace), person) for workspace, person in rows}


def assigned(members: Sequence[tuple[int, UUID, int]], accounts: Sequence[UUID]) -> tuple[list[FrozenRow], Digest]:
    """The members, each with its account, and the Merkle root over them."""
    rows = [FrozenRow(place, person, version, account_of(person, accounts)) for place, person, version in members]
    return rows, root(row.leaf for row in rows)


def account_of(recipient_id: UUID, accounts: Sequence[UUID]) -> UUID:
    """The account that writes to a recipient: always the same one for the same (sorted) accounts."""
    digest = hashlib.sha256(recipient_id.bytes).digest()
    return accounts[int.from_bytes(digest[:8], "big") % len(accounts)]


def wanted(texts: Sequence[str]) -> set[str]:
    """The variables that everybody must have."""
    return {name for text in texts for name in wording.required(text)}


class SubmissionFacts:
    """Gathers what a submission or an import is decided on besides the log, and whom the vault holds."""

    def __init__(self, audiences: Audiences, contents: Contents) -> None:
        self._audiences = audiences
        self._contents = contents

    async def __call__(self, command: Command, actor: Actor, states: Mapping[StreamId, Any]) -> Gathered:
        match command:
            case SubmitJob(campaign_id=campaign_id):
                campaign = states.get(campaigns.DECIDER.stream(campaign_id), campaigns.DECIDER.initial)
                return await self._frozen(actor.workspace, campaign.audience_id, campaign.parts, command.accounts)
            case ReviseJob(campaign=chosen):
                job = states[jobs.DECIDER.target(command, actor.workspace)]
                says = job.says
                chosen_accounts = job.accounts if command.accounts is None else command.accounts
                if chosen is not None:
                    says = states.get(campaigns.DECIDER.stream(chosen.campaign_id))
                if says is not None:
                    return await self._frozen(actor.workspace, says.audience_id, says.parts, chosen_accounts)
            case SubmitMessage(recipient_id=recipient_id, parts=parts, template=named, accounts=chosen_accounts):
                template = states.get(templates.DECIDER.stream(named.template_id)) if named else None
                says_parts = template.parts if template else parts
                if chosen_accounts:
                    return await self._one(actor.workspace, recipient_id, says_parts, chosen_accounts)
            case ImportAudience() | ChooseAudience():
                return Gathered(imported=await self._audiences.imported(actor.workspace, command))
        return Gathered()

    async def held(self, people: Collection[tuple[WorkspaceId, UUID]]) -> set[tuple[WorkspaceId, UUID]]:
        """Those of these people whom the vault holds for the workspace that they are named with."""
        return await self._audiences.held(people)

    async def _frozen(
        self, workspace: WorkspaceId, audience_id: UUID | None, parts: Sequence[Part], accounts: Sequence[UUID]
    ) -> Gathered:
        if audience_id is None or not accounts:
            return Gathered()  # the decision refuses it for that
        texts = await self._texts(workspace, parts)
        freeze = await self._audiences.freeze(workspace, audience_id, accounts, wanted(texts))
        return self._gathered(freeze, texts)

    async def _one(
        self, workspace: WorkspaceId, recipient_id: UUID, parts: Sequence[Part], accounts: Sequence[UUID]
    ) -> Gathered:
        texts = await self._texts(workspace, parts)
        freeze = await self._audiences.freeze_one(workspace, recipient_id, accounts, wanted(texts))
        return self._gathered(freeze, texts) if freeze else Gathered()

    async def _texts(self, workspace: WorkspaceId, parts: Sequence[Part]) -> Sequence[str]:
        """All that parts say in words; what is written to somebody who was erased is not kept."""
        refs = [ref for part in parts for ref in content.words(part)]
        texts = await self._contents.open_many(workspace, refs)
        return [texts[ref] for ref in refs if ref in texts]

    def _gathered(self, freeze: Freeze, texts: Sequence[str]) -> Gathered:
        links = sum(map(wording.links, texts))
        return Gathered(frozen=replace(freeze.frozen, links=links), keep=partial(self._audiences.keep, freeze))
