"""How often the hot path's process looks for cyclic garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# The default of 700 new objects runs the collector many times a batch, and took 40 % of the core worker's time; what it
# looks for, cycles, a batch does not leave behind. Measured: the same memory, half as many commands again. At 50,000 it
# still walked the batches in flight (5 % of the processor's samples).
SELDOM = (250_000, 20, 100)


@contextmanager
def collecting_seldom(objects: int = SELDOM[0]) -> Iterator[None]:
    """Meanwhile the collector runs only after many more objects than usual."""
    before = gc.get_threshold()
    gc.set_threshold(objects, *SELDOM[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
