"""Quotas: who holds too much is refused, and refused ever later."""

import pytest

from adapters.metrics import REGISTRY
from adapters.runtime import quotas
from adapters.runtime.quotas import LATEST, REFUSALS, Bounds, OverQuota, Quota
from domain.message import Actor, PrincipalId, Role, WorkspaceId

SOMEBODY, OTHER = (Actor(PrincipalId(name), WorkspaceId("a"), frozenset({Role.AUTHOR})) for name in ("one", "two"))


def test_what_is_held_shows_however_it_was_taken() -> None:
    quota = Quota("requests", Bounds(2, 10, 10))
    quota.take(SOMEBODY)
    with quota.hold(SOMEBODY):
        assert REGISTRY.get_sample_value("drumline_quota_held", {"quota": "requests"}) == 2
    quota.give_back(SOMEBODY)
    assert REGISTRY.get_sample_value("drumline_quota_held", {"quota": "requests"}) == 0


def refused(quota: Quota, actor: Actor) -> float:
    """After how many seconds it is told."""
    with pytest.raises(OverQuota) as error, quota.hold(actor):
        pass
    return error.value.after


def test_the_first_refusal_is_told_at_once_and_those_after_it_no_faster_than_the_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quotas, "monotonic", lambda: 1_000.0)
    quota = Quota("uploads", Bounds(1, 10, 10))
    with quota.hold(SOMEBODY):
        waits = [refused(quota, SOMEBODY) for _ in range(11)]
    assert waits == pytest.approx([number / REFUSALS for number in range(11)])


def test_no_refusal_is_told_later_than_the_latest_and_another_key_waits_for_none_of_them() -> None:
    quota = Quota("uploads", Bounds(1, 10, 10))
    with quota.hold(SOMEBODY), quota.hold(OTHER):
        assert refused(quota, SOMEBODY) == 0.0
        assert max(refused(quota, SOMEBODY) for _ in range(1_000)) <= LATEST  # whatever it asks
        assert refused(quota, OTHER) == 0.0
