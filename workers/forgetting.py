"""Erasures that the log tells, carried out in the vault; and those that a restored log does not tell, decided anew."""

import asyncio
from uuid import UUID

from adapters import metrics
from adapters.dead_letters import DeadLetters
from adapters.erasure_ledger import Erased, ErasureLedger
from adapters.erasures import Erasures
from adapters.heartbeats import beat
from adapters.vault import Vault
from domain.message import Actor, PrincipalId, Role, WorkspaceId, derive
from domain.recipient import EraseRecipient
from workers import happened
from workers.decisions import Decisions, Request
from workers.persevering import through_outages

LOOP = "forgetting"
SELF = PrincipalId("system-forgetting")
PAUSE = 1.0  # seconds between two looks: the reactors write down who is to be erased


class Forgetting:
    """Destroys what is kept of people who were erased. Any number of processes may; a crash between loses nothing."""

    def __init__(
        self, vault: Vault, erasures: Erasures, dead: DeadLetters, ledger: ErasureLedger, decisions: Decisions
    ) -> None:
        self._vault = vault
        self._dead = dead
        self._erasures = erasures
        self._ledger = ledger
        self._decisions = decisions
        self._noted: set[tuple[WorkspaceId, UUID]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        beat(LOOP)
        await through_outages(self.again, loop=LOOP)
        while True:
            beat(LOOP)
            await through_outages(self.step, loop=LOOP)
            await asyncio.sleep(PAUSE)

    async def step(self) -> int:
        """Erase everybody who is to be erased now; how many. Who is in a list that is being imported has to wait."""
        pending = await self._erasures.pending()
        new = [one for one in pending if one.whose not in self._noted]
        if new:  # first: a back-up from before must never be all that there is
            await asyncio.to_thread(self._ledger.note, new)
            for one in new:
                await self._letters(one)
            self._noted |= {one.whose for one in new}
        done = 0
        for one in pending:
            if await self._vault.erase(one.workspace, one.recipient_id):
                self._noted.discard(one.whose)
                done += 1
        metrics.ERASED.inc(done)
        return done

    async def _letters(self, one: Erased) -> None:
        """Drop the dead letters that name a person: by the id, or by the number however it is written."""
        number = await self._vault.number_of(one.workspace, one.recipient_id)
        words = [str(one.recipient_id), *([number.removeprefix("+")] if number else [])]
        await self._dead.forget(one.workspace, words, SELF)

    async def again(self) -> int:
        """Erase anew whom the ledger names and this database, restored from a back-up, does not; how many."""
        erased = await asyncio.to_thread(self._ledger.read)
        unknown = await self._erasures.unknown(erased) if erased else []
        for one in unknown:
            actor = Actor(SELF, one.workspace, frozenset({Role.SYSTEM}))
            cause = derive("erase-again", one.workspace, one.recipient_id)
            command = EraseRecipient(one.recipient_id)
            outcome = await self._decisions.one(Request(command, actor, cause))
            happened.heed(command, outcome)
            if outcome.state != "applied":  # nobody is there, or not even the workspace
                await self._erasures.rule_out(one)
        return len(unknown)
