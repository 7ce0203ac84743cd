"""Read models rebuilt under a running house: whoever reads and writes over HTTP notices nothing."""

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from infra.rebuild import rebuild
from tests.api.house import House, Tenant


def test_reads_and_writes_over_http_go_on_while_all_is_rebuilt(house: House, tenant: Tenant) -> None:
    job = tenant.job(rows=5)
    path, campaign, over, slowest = f"/v1/jobs/{job['id']}", tenant.campaign(), Event(), [0.0]
    url = str(house.pool.conninfo)
    titles = itertools.count()
    before = tenant.ok("GET", f"{path}/deliveries")

    def until_over(step: Callable[[], None]) -> int:
        times = 0
        while not over.is_set():
            since = time.monotonic()
            step()
            slowest[0] = max(slowest[0], time.monotonic() - since)
            times += 1
        return times

    def read() -> None:
        assert tenant.ok("GET", path)["counts"] == job["counts"]
        assert tenant.ok("GET", f"{path}/deliveries") == before
        assert [one["id"] for one in tenant.ok("GET", "/v1/jobs")["items"]] == [job["id"]]

    def write() -> None:
        body = {"title": f"Anew {next(titles)}", "parts": [{"text": "Hello"}]}
        tenant.ok("POST", f"/v1/campaigns/{campaign}/revise", body)

    async def rebuilt() -> None:
        for _ in range(3):
            assert (await rebuild(url)).same

    with ThreadPoolExecutor(3) as threads:
        reading, writing = threads.submit(until_over, read), threads.submit(until_over, write)
        try:
            threads.submit(asyncio.run, rebuilt()).result(100)
        finally:
            over.set()
        assert reading.result(30) > 3
        version = 1 + writing.result(30)
    assert tenant.ok("GET", f"/v1/campaigns/{campaign}")["version"] == version
    assert slowest[0] < 10
    assert asyncio.run(rebuild(url, swap=False)).same
