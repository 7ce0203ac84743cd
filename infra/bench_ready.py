"""Whether the API of a benchmark's servers can do its work: whoever asks before measures a refusal."""

import asyncio
import contextlib
import time

import httpx

from infra.bench_house import Bench, Lost

PATIENCE = 30.0  # seconds


async def until_ready(bench: Bench) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await is_ready(bench):
        if time.monotonic() > deadline:
            raise Lost(f"the API is not ready after {PATIENCE:.0f} s")
        await asyncio.sleep(0.1)


async def is_ready(bench: Bench) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            return (await http.get(f"{bench.settings.api_url}/readyz")).is_success
    return False
