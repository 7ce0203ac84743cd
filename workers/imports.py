"""Imports: lists that were uploaded become audiences, one after the other, whoever dies meanwhile."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count

from adapters import metrics
from adapters.audience_csv import ImportRefused, Reading
from adapters.audience_staging import Consent
from adapters.audience_stream import StagedImport, Work
from adapters.cancellation import heeding
from adapters.heartbeats import beat
from adapters.imports import Import, Imports, State, Tally
from adapters.leader import Leader, NotLeading
from adapters.outages import OUTAGES
from adapters.runtime.disk import Disk
from adapters.runtime.pools import PARSING
from domain.audience import ImportAudience
from domain.message import Refused, derive
from workers.consents import Consents
from workers.crashpoints import crashpoint
from workers.decisions import Decisions, Outcome, Request
from workers.leading import while_leading
from workers.memory import collecting_seldom

POLL = 0.5  # seconds between two looks for an import
SWEEPS = 600.0  # seconds between two looks for uploads that nobody wants any more
# The person's own word outweighs a list's; of whoever was erased before the log began here only their number is known.
UNWANTED = {"opted_out", "erased", "unknown_recipient"}
LOOP = "imports"
log = logging.getLogger(__name__)


class ImportWorker:
    """Carries imports out while it leads. One that breaks off is begun anew, and what it had done changes nothing."""

    def __init__(
        self,
        imports: Imports,
        staged: StagedImport,
        decisions: Decisions,
        consents: Consents,
        leader: Leader,
        *,
        poll: float = POLL,
        disk: Disk | None = None,
    ) -> None:
        self._imports = imports
        self._staged = staged
        self._decisions = decisions
        self._recording = consents
        self._leader = leader
        self._poll = poll
        self._disk = disk or Disk()

    async def run(self) -> None:
        """Until cancelled."""
        with collecting_seldom():
            await while_leading(self._leader, self._lead)

    async def _lead(self) -> None:
        clock = asyncio.get_running_loop().time
        swept = None
        metrics.importing(0, 0)  # whatever it was of, another led meanwhile
        while True:
            beat(LOOP)
            await self._leader.check()
            if swept is None or clock() - swept > SWEEPS:
                await self._imports.sweep()
                swept = clock()
            claimed = None if self._disk.full else await self._imports.claim()
            if claimed is None:
                await asyncio.sleep(self._poll)
            else:
                await self._carry_out(claimed)

    async def _carry_out(self, one: Import) -> None:
        """An import to its end; one that fails by a mistake of ours is tried again after the others."""
        try:
            with heeding():
                await self._run(one)
        except NotLeading:
            raise
        except OUTAGES:
            raise
        except ImportRefused as refused:
            await self._imports.end(one, "refused", refused, str(refused))
        except Refused as refused:
            await self._imports.end(one, "refused", refused)
        except Exception as error:  # noqa: BLE001  # one list's fault must not stop the others
            failed = {"import": str(one.import_id), "error": type(error).__name__}
            log.error("import failed", extra=failed)  # noqa: TRY400  # its text may quote somebody
            await asyncio.sleep(self._poll)

    async def _run(self, one: Import) -> None:
        """Read it, write it, and let the audience be made of it."""
        asked, tally = self._imports.asked(one), Tally()
        pieces = self._pieces(one, tally, asyncio.get_running_loop())
        reading = await PARSING.run(one.workspace, Reading, pieces, asked.country, one.received_at, asked.columns)
        await self._imports.progress(one, "reading", tally, reading.columns)
        work = Work(
            workspace=one.workspace,
            audience_id=one.import_id,
            same=one.same,
            now=one.received_at,
            tally=tally,
            told=partial(self._told, one, tally),
            left_out=partial(self._imports.leave_out, one),
            consented=partial(self._consents, one, tally),
            dry_run=one.dry_run,
        )
        digest = await self._staged.already(work) or await self._staged.run(work, reading)
        if one.dry_run:
            await self._end(one, "checked", tally)
            return
        if digest is None:
            raise NotLeading(LOOP)  # somebody else has just carried it out
        crashpoint("after_import")
        made = ImportAudience(one.import_id, one.title, tally.recipients, tally.bad, tally.merged, digest)
        request = Request(made, one.actor, derive("import", one.import_id), digest=bytes.fromhex(digest))
        [outcome] = await self._decisions.make([request])
        if outcome.state != "applied":
            raise refusal_of(outcome)
        await self._end(one, "done", tally)
        metrics.rows_imported(tally.outcomes())

    def _pieces(self, one: Import, tally: Tally, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
        """The file's bytes, for a thread that reads them while this loop goes on."""
        for place in count():
            piece = asyncio.run_coroutine_threadsafe(self._imports.piece(one, place), loop).result()
            if piece is None:
                return
            tally.read += len(piece)
            yield piece

    async def _told(self, one: Import, tally: Tally, state: State) -> None:
        beat(LOOP)
        crashpoint(f"import_{state}")
        metrics.importing(tally.rows, tally.written)
        await self._imports.progress(one, state, tally)

    async def _end(self, one: Import, state: State, tally: Tally) -> None:
        await self._imports.progress(one, "writing", tally)
        await self._imports.end(one, state)

    async def _consents(self, one: Import, tally: Tally, consents: Sequence[Consent]) -> None:
        """Record the consents that the list states, of people who have none on record; again changes nothing."""
        tally.consents += len(consents)
        for outcome in await self._recording.record(one.actor, one.import_id, consents):
            if outcome.rule in UNWANTED:
                tally.refused_consents += 1
            elif outcome.state != "applied":
                raise refusal_of(outcome)


def refusal_of(outcome: Outcome) -> Refused:
    """An outcome's refusal, to be told as the import's."""
    return Refused(outcome.rule or outcome.state, field=outcome.field or "import_id", **dict(outcome.detail))
