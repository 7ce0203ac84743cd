"""Settings: defaults, the environment, options, and a wrong one named at the start."""

import os
import re
import stat
from pathlib import Path

import pytest

import infra
from domain.quota import LONGEST_ACT
from infra.settings import Settings, SettingsError, read
from infra.up import House
from tests.e2e.terminal import drumline


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DRUMLINE_")]:
        monkeypatch.delenv(name)


def test_defaults_need_no_environment() -> None:
    settings = read()
    assert settings.data_dir == Path(".drumline").absolute()
    assert settings.database_url is None


def test_an_option_outweighs_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DRUMLINE_DATA_DIR", "elsewhere")
    assert read().data_dir == Path("elsewhere").absolute()
    assert read(data_dir=tmp_path).data_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "70000"),
        ("LOG_LEVEL", "loud"),
        ("SEND_DEADLINE", "0"),
        ("SEND_DEADLINE", "30.1"),  # caps count with a send of 30 s
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DRUMLINE_{name}", value)
    with pytest.raises(SettingsError, match=f"DRUMLINE_{name}: Input should be"):
        read()


def test_a_misspelt_setting_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUMLINE_HTP_PORT", "8180")
    with pytest.raises(SettingsError, match="DRUMLINE_HTP_PORT is not a setting"):
        read()


def test_a_wrong_setting_ends_a_command_with_one_sentence(tmp_path: Path) -> None:
    given = {"HTTP_PORT": "many", "DATABASE_URL": "postgresql://u:hidden@nowhere/x"}
    run = drumline("doctor", "--data-dir", str(tmp_path), settings=given)
    assert run.returncode == 2
    assert run.stderr.startswith("drumline: DRUMLINE_HTTP_PORT: ")
    assert "hidden" not in run.stdout + run.stderr


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    first, second = read(data_dir=tmp_path), read(data_dir=tmp_path)
    assert first.master_key() == second.master_key() != first.pepper()
    assert len(first.master_key()) == 32
    for name in ("master.key", "pepper.key"):
        assert stat.S_IMODE((tmp_path / "secrets" / name).stat().st_mode) == 0o600


def test_a_damaged_key_file_is_named(tmp_path: Path) -> None:
    settings = read(data_dir=tmp_path)
    settings.master_key()
    (tmp_path / "secrets" / "master.key").write_text("short")
    with pytest.raises(SettingsError, match=r"master\.key must hold 32 bytes"):
        settings.master_key()


def test_children_get_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parent = read(data_dir=tmp_path, nats_url="nats://core:secret@127.0.0.1:20001", send_deadline=7.5)
    for name, value in parent.environment().items():
        if name.startswith("DRUMLINE_"):
            monkeypatch.setenv(name, value)
    assert read() == parent


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_is_used(name: str) -> None:
    infra_home = Path(infra.__file__).parent
    readers = dict.fromkeys(infra_home.rglob("*.py"), "settings|self|given|parts")
    readers[infra_home / "quotas.py"] = "settings|one"  # as it calls them, for short
    assert any(re.search(rf"\b({names})\.{name}\b", path.read_text()) for path, names in readers.items())


def test_a_send_may_come_to_its_outcome_before_its_process_is_killed(tmp_path: Path) -> None:
    house = House(read(data_dir=tmp_path), print)
    house._plan()
    (sessions,) = [process for process in house._workers.processes if process.name == "sessions"]
    assert sessions.patience >= LONGEST_ACT.total_seconds() + 10.0  # and time to close the browsers
