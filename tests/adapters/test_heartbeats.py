"""Heartbeats: how long ago each loop went round."""

import pytest

from adapters import heartbeats


def test_a_loop_is_as_old_as_its_last_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(heartbeats, "_last", {})
    monkeypatch.setattr("adapters.heartbeats.time.monotonic", lambda: now[0])
    heartbeats.beat("relay")
    heartbeats.beat("intake")
    now[0] = 105.0
    heartbeats.beat("intake")
    assert heartbeats.ages() == {"relay": 5.0, "intake": 0.0}
    heartbeats.forget()
    assert heartbeats.ages() == {}
