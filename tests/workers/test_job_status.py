"""The status that the reactors keep of a job is the domain's, also after an approval was withdrawn."""

import pytest

from domain.job import ApproveJob, JobApprovalVoided, RequestChanges, Status, WithdrawApproval
from domain.message import Actor, PrincipalId, Role
from domain.workspace import SetModerationPolicy
from tests.workers.core import HERE, Core
from tests.workers.test_timers import MODERATOR, NOW, TEXT, prepared

SECOND_MODERATOR = Actor(PrincipalId("moderator-2"), HERE, frozenset({Role.MODERATOR}))
ADMIN = Actor(PrincipalId("admin"), HERE, frozenset({Role.ADMIN}))


@pytest.mark.parametrize("answer", ["changes", "flagged", "scheduled"])
async def test_it_is_that_of_the_domain_after_an_approval_was_withdrawn(house: Core, answer: str) -> None:
    approvals, flag_above = {"changes": (2, None), "flagged": (1, 1), "scheduled": (1, None)}[answer]
    expected = {
        "changes": Status.CHANGES_REQUESTED,
        "flagged": Status.FLAGGED,
        "scheduled": Status.SUBMITTED,
    }[answer]
    async with prepared(house) as bench:
        await bench.give(SetModerationPolicy(approvals, own_approval=False, flag_above=flag_above), ADMIN)
        job = await bench.submit(approve=False, start_at=NOW.replace(hour=20))
        shown = (await bench.job(job)).review_hash
        assert shown is not None
        await bench.give(ApproveJob(job, shown), MODERATOR)
        if answer == "changes":
            await bench.give(RequestChanges(job, shown, TEXT), SECOND_MODERATOR)
        if answer == "flagged":
            await bench.give(ApproveJob(job, shown), SECOND_MODERATOR)
        await bench.settle()
        await bench.give(WithdrawApproval(job), MODERATOR)
        await bench.settle()
        assert len(await bench.told(JobApprovalVoided)) == 1
        assert await bench.status(job) is expected
        assert await bench.rows("SELECT status FROM job_progress") == [(expected,)]
