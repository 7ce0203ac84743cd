"""Scripts of Node, which the wheel brings, on the packages that npm has installed here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "node_modules"


def run(script: str, given: object) -> Any:
    """What a script of this folder prints, given something as JSON."""
    node = Path(sys.executable).with_name("node")
    text = json.dumps(given)
    done = subprocess.run([node, HERE / script], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
