"""`drumline dead`: what an operator at the terminal does with messages that nobody could handle."""

import json
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.sealing import Sealing
from domain.message import WorkspaceId
from tests.e2e.terminal import Ran, drumline
from tests.faults.processes import Place
from tests.workers.core import MASTER, PEPPER

BURY = """
INSERT INTO dead_letters (id, workspace, principal, name, command_id, reason, body)
VALUES (%s, %s, '', 'unreadable', NULL, 'no_command_id', %s)
"""


@pytest.fixture
def place(database_url: str, nats_url: str, scratch: Path) -> Place:
    return Place(database_url, nats_url, scratch / "data")


def dead(place: Place, *words: str, group: str = "dead") -> Ran:
    given = {"DATABASE_URL": place.database_url, "NATS_URL": place.nats_url, "DATA_DIR": str(place.data)}
    return drumline(group, *words, settings=given)


def a_letter(place: Place, workspace: str) -> UUID:
    letter = uuid4()
    sealed = Sealing(MASTER, PEPPER).seal(WorkspaceId(workspace), "body", str(letter), b"what it said")
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        connection.execute(BURY, [letter, workspace, sealed])
    return letter


def test_letters_of_all_workspaces_and_nobodys_are_listed_shown_and_dropped(place: Place) -> None:
    ours, nobodys = a_letter(place, "demo"), a_letter(place, "")
    listed = dead(place, "list").stdout
    assert str(ours) in listed
    assert str(nobodys) in listed
    assert str(nobodys) not in dead(place, "list", "--workspace", "demo").stdout
    assert dead(place, "show", str(nobodys)).stdout == "what it said\n"
    refused = dead(place, "replay", str(nobodys))
    assert (refused.returncode, refused.stderr) == (
        2,
        "drumline: It could not be read, so there is no command to decide again.\n",
    )
    dropped = dead(place, "drop", str(nobodys))
    assert (dropped.returncode, json.loads(dropped.stderr)["command_id"]) == (0, None)
    assert str(nobodys) not in dead(place, "list").stdout
    assert str(nobodys) in dead(place, "list", "--state", "all").stdout
    unknown = dead(place, "show", str(uuid4()))
    assert (unknown.returncode, unknown.stderr) == (2, "drumline: There is no such dead letter.\n")
    gone = dead(place, "show", str(nobodys))
    assert (gone.returncode, gone.stdout) == (2, "")
    assert str(nobodys) in dead(place, "list", "--state", "dropped").stdout
    assert str(ours) not in dead(place, "list", "--state", "dropped").stdout


def test_a_word_that_is_no_state_is_named(place: Place) -> None:
    refused = dead(place, "list", "--state", "alive")
    assert (refused.returncode, refused.stderr) == (
        2,
        "drumline: --state: 'alive' is none of dead, replayed, dropped, all.\n",
    )


@pytest.mark.parametrize("group", ["dead", "keys"])
def test_a_list_of_a_workspace_that_is_not_there_comes_with_a_warning(place: Place, group: str) -> None:
    listed = dead(place, "list", "--workspace", "nope", group=group)
    assert (listed.returncode, listed.stderr) == (
        0,
        "There is no workspace nope yet: an admin's key begins it (POST /v1/workspace).\n",
    )
