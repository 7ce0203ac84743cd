"""`python -m adapters.sandbox --port 20300 --data-dir DIR`: the sandbox as a process of its own."""

import argparse
import asyncio
import signal
import sys
from dataclasses import fields
from pathlib import Path

from adapters.sandbox.server import serve
from adapters.sandbox.world import Timings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m adapters.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    for setting in fields(Timings):
        kind = int if setting.type is int else float
        parser.add_argument(f"--{setting.name.replace('_', '-')}", type=kind, default=setting.default)
    options = vars(parser.parse_args())
    port, data_dir = options.pop("port"), options.pop("data_dir")
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops cleanly and then hands the signal on, to a handler that needs no traceback.
        signal.signal(number, lambda *_: sys.exit(0))
    asyncio.run(serve(port, data_dir, Timings(**options)))


if __name__ == "__main__":
    main()
