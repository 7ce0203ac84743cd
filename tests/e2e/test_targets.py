"""The list for Prometheus: whole at any moment, and true."""

import json
import socket
import stat
from pathlib import Path

import pytest

from infra.child import ServerError
from infra.ports import in_use
from infra.settings import read
from infra.targets import announced, free_ports, metrics_port


def test_every_process_is_listed_under_its_name_for_anybody_to_read(tmp_path: Path) -> None:
    first = free_ports()
    settings = announced(read(data_dir=tmp_path, metrics_port=first, http_port=8180))
    listed = json.loads(settings.targets_file.read_text())
    found = {one["labels"]["instance"]: one["targets"] for one in listed}
    assert found == {
        "core": [f"127.0.0.1:{first}"],
        "sessions": [f"127.0.0.1:{first + 1}"],
        "imports": [f"127.0.0.1:{first + 2}"],
        "api": ["127.0.0.1:8180"],
    }
    assert stat.S_IMODE(settings.targets_file.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == [settings.targets_file.name]


def test_ports_nobody_chose_are_free_ones_and_told_to_the_workers(tmp_path: Path) -> None:
    settings = announced(read(data_dir=tmp_path))
    assert settings.metrics_port is not None
    assert settings.environment()["DRUMLINE_METRICS_PORT"] == str(settings.metrics_port)
    for role in ("core", "sessions", "imports"):
        assert not in_use(metrics_port(settings, role))


def test_a_restart_replaces_the_list(tmp_path: Path) -> None:
    before = announced(read(data_dir=tmp_path)).targets_file.read_text()
    after = announced(read(data_dir=tmp_path, metrics_port=free_ports())).targets_file.read_text()
    assert before != after
    assert len(json.loads(after)) == 4


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} is in use.*DRUMLINE_METRICS_PORT"):
            announced(read(data_dir=tmp_path, metrics_port=port))
