"""Consents that lists state become decisions, in process: thousands at once would fill their giver's subject."""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from adapters.audience_staging import Consent
from adapters.contents import Contents
from adapters.heartbeats import beat
from adapters.outages import OUTAGES, to_blame
from adapters.stated_consents import Stated, StatedConsents
from domain.message import Actor, derive
from domain.recipient import RecordConsent
from projections.apply import ReadModels
from projections.consents import standing
from workers import happened
from workers.decisions import Decisions, Outcome, Request
from workers.persevering import through_outages

TOGETHER = 500  # consents decided together
LOOK = 0.25  # seconds between two looks for consents: whoever imports a list waits for them
LOOP = "consents"
log = logging.getLogger(__name__)


class Consents:
    """Records what a list states of people who have no consent on record; again changes nothing."""

    def __init__(self, decisions: Decisions, contents: Contents, models: ReadModels) -> None:
        self._decisions = decisions
        self._contents = contents
        self._models = models

    async def record(self, actor: Actor, audience_id: UUID, consents: Sequence[Consent]) -> list[Outcome]:
        """As commands of whoever gave the list; what came of them."""
        if not consents:
            return []
        async with self._models.connection() as connection:
            have = await standing(connection, actor.workspace, [consent.recipient_id for consent in consents])
        new = [consent for consent in consents if consent.recipient_id not in have]
        outcomes: list[Outcome] = []
        for start in range(0, len(new), TOGETHER):
            requests = await self._requests(actor, audience_id, new[start : start + TOGETHER])
            outcomes += await self._decisions.make(requests)
        return outcomes

    async def _requests(self, actor: Actor, audience_id: UUID, consents: Sequence[Consent]) -> list[Request]:
        """The proofs lie sealed beside the people."""
        proofs = [(consent.recipient_id, consent.proof) for consent in consents if consent.proof is not None]
        refs = iter(await self._contents.put_personal(actor.workspace, proofs) if proofs else ())
        return [
            Request(
                RecordConsent(
                    consent.recipient_id,
                    consent.source,
                    consent.given_at,
                    None if consent.proof is None else next(refs),
                ),
                actor,
                derive("consent", audience_id, consent.recipient_id),
            )
            for consent in consents
        ]


class ConsentWorker:
    """Records what lists state that were imported over HTTP while somebody waited. Any number of processes may; a
    crash loses nothing. Whatever is refused stands as such among the commands of whoever gave the list."""

    def __init__(self, stated: StatedConsents, consents: Consents, look: float = LOOK) -> None:
        self._stated = stated
        self._consents = consents
        self._look = look
        self._last = ""  # the workspace whose turn it was

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            beat(LOOP)
            if not await through_outages(self.step, loop=LOOP):
                await asyncio.sleep(self._look)

    async def step(self) -> bool:
        """Record one piece; whether there was one."""
        stated: Stated | None = None
        try:
            async with self._stated.taken(self._last) as stated:
                if stated is None:
                    return False
                self._last = stated.workspace
                await self._consents.record(stated.actor, stated.audience_id, self._stated.opened(stated))
        except Exception as error:
            if stated is None or (isinstance(error, OUTAGES) and not to_blame(error)):
                raise
            place = {"audience": str(stated.audience_id), "piece": stated.place}
            failed = {"workspace": stated.workspace, **place, "error": type(error).__name__}
            log.error("consents of a list failed", extra=failed)  # noqa: TRY400  # its text may quote somebody
            if not await self._stated.put_off(stated):  # one list's fault must not stop the others
                happened.failed("consent", error, workspace=stated.workspace, **place)
        return True
