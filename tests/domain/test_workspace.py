"""A workspace and its rules."""

import pytest

from domain.message import Event
from domain.workspace import (
    CreateWorkspace,
    ModerationPolicySet,
    SendingPolicySet,
    SetModerationPolicy,
    SetSendingPolicy,
    Workspace,
    WorkspaceCreated,
)
from tests.builders import ADMIN, CREATED, RULES_STREAM
from tests.given import Given

NOTHING = Given()
A_WORKSPACE = NOTHING.on(RULES_STREAM, CREATED)


def test_a_workspace_is_created_once_with_cautious_rules() -> None:
    after = NOTHING.when(CreateWorkspace(), by=ADMIN).then(WorkspaceCreated())
    after.when(CreateWorkspace(), by=ADMIN).then_nothing()
    assert after.state(RULES_STREAM) == Workspace(exists=True, approvals=1, own_approval=False, messages=1, seconds=30)


@pytest.mark.parametrize("approvals", [1, 5])
def test_the_policy_of_review_is_set(approvals: int) -> None:
    command = SetModerationPolicy(approvals, own_approval=True)
    after = A_WORKSPACE.when(command, by=ADMIN).then(ModerationPolicySet(approvals, own_approval=True))
    after.when(command, by=ADMIN).then_nothing()
    assert (after.state(RULES_STREAM).approvals, after.state(RULES_STREAM).own_approval) == (approvals, True)


@pytest.mark.parametrize(("messages", "seconds"), [(1, 1), (1_000, 86_400)])
def test_the_policy_of_sending_is_set(messages: int, seconds: int) -> None:
    command = SetSendingPolicy(messages, seconds)
    after = A_WORKSPACE.when(command, by=ADMIN).then(SendingPolicySet(messages, seconds))
    after.when(command, by=ADMIN).then_nothing()
    assert (after.state(RULES_STREAM).messages, after.state(RULES_STREAM).seconds) == (messages, seconds)


@pytest.mark.parametrize(("approvals", "own_approval"), [(2, False), (1, True)])
def test_each_half_of_the_policy_of_review_counts_as_a_change(approvals: int, own_approval: bool) -> None:
    expected: Event = ModerationPolicySet(approvals, own_approval)
    A_WORKSPACE.when(SetModerationPolicy(approvals, own_approval), by=ADMIN).then(expected)


def test_the_default_policies_set_again_change_nothing() -> None:
    A_WORKSPACE.when(SetModerationPolicy(1, own_approval=False), by=ADMIN).then_nothing()
    A_WORKSPACE.when(SetSendingPolicy(1, 30), by=ADMIN).then_nothing()


@pytest.mark.parametrize("approvals", [-1, 0, 6])
def test_a_job_needs_one_to_five_approvals(approvals: int) -> None:
    outcome = A_WORKSPACE.when(SetModerationPolicy(approvals, own_approval=False), by=ADMIN)
    outcome.then_refused("out_of_range", "approvals", minimum=1, maximum=5)


@pytest.mark.parametrize(
    ("messages", "seconds", "field", "maximum"),
    [
        (0, 30, "messages", 1_000),
        (1_001, 30, "messages", 1_000),
        (1, 0, "seconds", 86_400),
        (1, 86_401, "seconds", 86_400),
    ],
)
def test_the_pace_has_bounds(messages: int, seconds: int, field: str, maximum: int) -> None:
    outcome = A_WORKSPACE.when(SetSendingPolicy(messages, seconds), by=ADMIN)
    outcome.then_refused("out_of_range", field, minimum=1, maximum=maximum)


@pytest.mark.parametrize(("field", "most"), [("per_minute", 60_000), ("per_hour", 3_600_000), ("per_day", 86_400_000)])
def test_a_cap_has_bounds_and_may_be_left_out(field: str, most: int) -> None:
    for cap in (1, most):
        command = SetSendingPolicy(1, 30, **{field: cap})
        after = A_WORKSPACE.when(command, by=ADMIN).then(SendingPolicySet(1, 30, **{field: cap}))
        after.when(command, by=ADMIN).then_nothing()
        after.when(SetSendingPolicy(1, 30), by=ADMIN).then(SendingPolicySet(1, 30))
    for cap in (0, -1, most + 1):
        outcome = A_WORKSPACE.when(SetSendingPolicy(1, 30, **{field: cap}), by=ADMIN)
        outcome.then_refused("out_of_range", field, minimum=1, maximum=most)


@pytest.mark.parametrize("command", [SetModerationPolicy(1, own_approval=False), SetSendingPolicy(1, 30)])
def test_a_workspace_that_nobody_created_has_no_rules(command: SetModerationPolicy | SetSendingPolicy) -> None:
    NOTHING.when(command, by=ADMIN).then_refused("unknown_workspace", "workspace")
