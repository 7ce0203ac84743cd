"""The command line as a person's terminal shows it, in this process: one of its own takes a second to import."""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from infra import cli


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def drumline(*words: str, settings: Mapping[str, str] | None = None) -> Ran:
    """Run a command that starts nothing (`up`, `demo` and `work` would keep the log for themselves)."""
    given = {f"DRUMLINE_{name}": value for name, value in (settings or {}).items()}
    others = {name: value for name, value in os.environ.items() if not name.startswith("DRUMLINE_")}
    code = 0
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with (
        mock.patch.dict(os.environ, others | given, clear=True),
        mock.patch.object(sys, "argv", ["drumline", *words]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    out.seek(0)
    return Ran(code, out.read(), err.getvalue())
