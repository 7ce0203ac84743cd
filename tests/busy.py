"""An event loop whose shared threads are all busy: what has a pool of its own goes on."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager


@asynccontextmanager
async def shared_threads_busy(seconds: float = 20.0) -> AsyncIterator[None]:
    """Meanwhile no shared thread is free; TimeoutError when that takes so long."""
    threads, over = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(threads)
    threads.submit(over.wait)
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        over.set()
