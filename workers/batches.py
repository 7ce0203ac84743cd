"""A queue message of sends, and all that sending it takes: the people, their deliveries, the words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import orjson

from adapters.audiences import Audiences, FrozenRow
from adapters.contents import Contents
from adapters.event_store import EventStore
from adapters.vault import Person, Vault
from domain import content
from domain import delivery as deliveries
from domain import job as jobs
from domain.content import Part
from domain.delivery import Delivery
from domain.message import Digest, Ref, WaId, WorkspaceId
from domain.outgoing import Outgoing
from domain.rendering import Said, Unsendable, said
from domain.send import Rejection, delivery_id, wa_id
from workers.outgoing import Files, outgoing


class NotABatch(ValueError):
    """Bytes in the queue that no dispatcher of ours wrote."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Recipients of a job, by their ordinals in its frozen audience, for one account; queued under an allowance."""

    job_id: UUID
    account_id: UUID
    block: UUID
    ordinals: Sequence[int]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises NotABatch."""
        try:
            fields = orjson.loads(body)
            job, account, block = (UUID(fields[name]) for name in ("job_id", "account_id", "block"))
            return cls(job, account, block, sorted({int(ordinal) for ordinal in fields["ordinals"]}))
        except (ValueError, TypeError, KeyError) as error:
            raise NotABatch from error

    def body(self) -> bytes:
        """As JSON."""
        return orjson.dumps(self)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a batch: the delivery as it stands, the number, and each part's words or why there are none."""

    delivery_id: UUID
    recipient_id: UUID
    ordinal: int
    state: Delivery
    audience: Digest  # the frozen one that the row was read from
    number: str
    messages: Sequence[Said | Rejection]

    def quoted(self, part: int) -> WaId | None:
        """The message that a part replies to."""
        message = self.messages[part]
        earlier = message.part.reply_to if isinstance(message, Said) else None
        return None if earlier is None else wa_id(self.delivery_id, earlier)


class Batches:
    """Opens batches."""

    def __init__(self, store: EventStore, audiences: Audiences, contents: Contents, vault: Vault, files: Files) -> None:
        self._store = store
        self._audiences = audiences
        self._contents = contents
        self._vault = vault
        self._files = files

    async def open(self, batch: Batch, workspace: WorkspaceId) -> list[Recipient]:
        """The recipients in order; none when the job does not run (the intent would be refused)."""
        stream = jobs.DECIDER.stream(batch.job_id)
        loaded = (await self._store.load([stream])).get(stream)
        if loaded is None or loaded.workspace != workspace or loaded.state.status is not jobs.Status.RUNNING:
            return []
        job: jobs.Job = loaded.state
        assert job.audience is not None
        rows = await self._rows(batch, job.audience)
        ids = [delivery_id(batch.job_id, row.recipient_id) for row in rows]
        begun = await self._store.load([deliveries.DECIDER.stream(one) for one in ids])
        people = await self._vault.people([(row.recipient_id, row.vault_version) for row in rows])
        refs: list[Ref] = [ref for part in job.parts for ref in content.words(part)]
        words = await self._contents.open_many(workspace, refs)
        return [
            recipient(
                delivery,
                row,
                job.audience,
                one.state if (one := begun.get(deliveries.DECIDER.stream(delivery))) and one.version else Delivery(),
                people.get((row.recipient_id, row.vault_version)),
                job.parts,
                words,
            )
            for delivery, row in zip(ids, rows, strict=True)
        ]

    async def outgoing(self, recipient: Recipient, part: int, workspace: WorkspaceId) -> Outgoing | Rejection:
        """What a messenger is to be handed for a part, its file opened; or why it cannot be sent."""
        message = recipient.messages[part]
        if isinstance(message, Rejection):
            return message
        try:
            return await outgoing(message, workspace, self._files)
        except Unsendable as unsendable:
            return unsendable.reason

    async def _rows(self, batch: Batch, audience: Digest) -> list[FrozenRow]:
        """The account's rows with these ordinals, read in stretches."""
        rows: list[FrozenRow] = []
        after = 0
        while rest := [ordinal for ordinal in batch.ordinals if ordinal > after]:
            page = await self._audiences.rows(audience, batch.account_id, rest[0], len(rest))
            if not page:
                break
            rows += [row for row in page if row.ordinal in rest]
            after = page[-1].ordinal
        return rows


def recipient(
    delivery: UUID,
    row: FrozenRow,
    audience: Digest,
    state: Delivery,
    person: Person | None,
    parts: Sequence[Part],
    words: Mapping[Ref, str],
) -> Recipient:
    """A recipient with what they are to get; a person who is in the vault no more gets nothing."""
    messages = [Rejection.UNRENDERABLE if person is None else worded(part, words, person) for part in parts]
    number = person.number if person else ""
    return Recipient(delivery, row.recipient_id, row.ordinal, state, audience, number, messages)


def worded(part: Part, words: Mapping[Ref, str], person: Person) -> Said | Rejection:
    """A part's words for one person, or why it cannot be sent."""
    try:
        return said(part, words, person.variables)
    except Unsendable as unsendable:
        return unsendable.reason
