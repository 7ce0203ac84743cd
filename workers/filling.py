"""People who were here before an attribute was declared get their values of it."""

import asyncio

from adapters.heartbeats import beat
from adapters.segments import Segments
from workers.persevering import through_outages

LOOP = "filling"
PAUSE = 2.0  # seconds between two looks


class Filling:
    """Goes through a workspace's people after each declaration. Any number of processes may; a crash loses nothing."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            beat(LOOP)
            if not await through_outages(self._segments.fill, loop=LOOP):
                await asyncio.sleep(PAUSE)
