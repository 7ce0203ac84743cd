"""The commands of the how-to about messages, run as they stand there."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from domain.message import Role
from tests.api.house import Tenant
from tests.api.test_messages import people

HOW_TO = (Path(__file__).parents[2] / "docs" / "how-to.md").read_text()
SERVER = "http://127.0.0.1:8180"


def commands(heading: str) -> list[str]:
    """The shell commands of a section; one goes on over lines that do not begin with `curl`."""
    section = HOW_TO.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    return re.split(r"\n(?=curl )", lines)


@pytest.mark.parametrize(
    ("heading", "many"), [("Write messages of several parts, see them first, keep them", 3), ("Write to one person", 1)]
)
def test_the_commands_do_what_is_said(tenant: Tenant, heading: str, many: int) -> None:
    ada, _ = people(tenant)
    given = {"ACCOUNT": str(tenant.account()), "AUDIENCE": str(tenant.audience()), "PERSON": ada}
    said = commands(heading)
    assert len(said) == many
    for line in said:
        environment = os.environ | given | {"KEY": tenant.keys[Role.AUTHOR]}
        run = subprocess.run(
            ["bash", "-c", line.replace(SERVER, tenant.house.url)],
            env=environment,
            capture_output=True,
            check=True,
            timeout=60,
        )
        answer = json.loads(run.stdout)
        assert "rule" not in answer, answer
        given["TEMPLATE"] = answer.get("template_id", given.get("TEMPLATE", ""))
