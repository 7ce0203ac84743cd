"""Erasures that the log tells, carried out in the vault."""

import asyncio

from adapters import metrics
from adapters.heartbeats import beat
from adapters.vault import Vault
from workers.persevering import through_outages

LOOP = "forgetting"
PAUSE = 1.0  # seconds between two looks: the reactors write down who is to be erased


class Forgetting:
    """Destroys what is kept of people who were erased. Any number of processes may; a crash between loses nothing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            beat(LOOP)
            await through_outages(self.step, loop=LOOP)
            await asyncio.sleep(PAUSE)

    async def step(self) -> int:
        """Erase everybody who is to be erased now; how many. Who is in a list that is being imported has to wait."""
        done = 0
        for recipient_id, workspace in await self._vault.erasures():
            if await self._vault.erase(workspace, recipient_id):
                done += 1
        metrics.ERASED.inc(done)
        return done
