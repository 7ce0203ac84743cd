"""What a demo has done so far, kept in its data directory: what is in it is not done again after a crash."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from infra.child import write_private


class Journal:
    """Steps by name, each with what it came to (JSON)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text() if path.exists() else ""
        self.done: dict[str, Any] = json.loads(text) if text else {}

    @property
    def interrupted(self) -> bool:
        """Whether a run was begun and did not come to its end."""
        return "begun" in self.done and "ended" not in self.done

    def put(self, name: str, value: Any) -> None:
        """Keep what a step came to."""
        self.done[name] = value
        write_private(self._path, json.dumps(self.done, indent=1))

    async def once(self, name: str, act: Callable[[str], Awaitable[Any]]) -> Any:
        """What a step came to: as kept, or by doing it now.

        `act` gets a key for its command: a step whose end was not kept gives the same command again.
        """
        if name not in self.done:
            self.put(name, await act(f"demo-{name}"))
        return self.done[name]
