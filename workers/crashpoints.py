"""Where a fault test may kill this process: each name is passed and nothing happens, unless it was armed."""

import os
import signal

NAMES = (
    "after_claim",
    "after_evict",
    "before_intent",
    "after_intent",
    "after_act",
    "after_outcome",
    "before_ack",
    "after_ack",
    "before_queue",
    "after_queue",
    "after_grant",
    "after_react",
    "before_fire",
    "after_fire",
    "before_append",
    "after_append",
    "after_outcome_told",
    "before_burial",
    "after_burial",
    "before_relay",
    "after_relay",
    "before_sweep",
    "import_reading",
    "import_writing",
    "after_import",
    "rebuild_page",
    "rebuild_loaded",
    "rebuild_indexed",
    "rebuild_compared",
    "rebuild_swapping",
    "rebuild_swapped",
)

_passes_left: dict[str, int] = {}


def arm(spec: str) -> None:
    """Let the process kill itself at a point: `after_intent`, or `after_intent:5` at the fifth pass. Empty disarms."""
    _passes_left.clear()
    if not spec:
        return
    name, _, nth = spec.partition(":")
    if name not in NAMES:
        raise ValueError(f"There is no crash point {name}: choose among {', '.join(NAMES)}.")
    _passes_left[name] = int(nth or 1)


def crashpoint(name: str) -> None:
    """Pass a point; die here, as a power cut would have it, when it is the armed one."""
    if name in _passes_left:
        _passes_left[name] -= 1
        if not _passes_left[name]:
            os.kill(os.getpid(), signal.SIGKILL)
