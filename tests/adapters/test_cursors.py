"""Where the dispatcher goes on: also for what a revision moved to another account between two parts."""

from uuid import UUID, uuid4

from psycopg_pool import AsyncConnectionPool

from adapters.cursors import Cursors, RunningJob
from domain.message import Digest, WorkspaceId
from tests.builders import NOW, SECOND

FROZEN = """
INSERT INTO frozen_audience (root, ordinal, recipient_id, vault_version, account_id) VALUES (%s, %s, %s, 1, %s)
"""
BEGUN = """
INSERT INTO send_progress (delivery_id, job_id, ordinal, account_id, recipient_id, part, fence, state, not_before)
VALUES (%s, %s, %s, %s, %s, 1, 1, %s, %s)
"""


async def test_a_delivery_between_two_parts_belongs_to_the_account_of_the_present_audience(database_url: str) -> None:
    async with AsyncConnectionPool(database_url, kwargs={"autocommit": True}, open=False) as pool:
        former, present, job_id = uuid4(), uuid4(), uuid4()
        root, begun = Digest("a" * 64), [uuid4() for _ in range(6)]
        waits = {5: NOW, 6: NOW + SECOND}
        async with pool.connection() as connection:
            for ordinal, delivery in enumerate(begun, 1):
                state, now = "terminal" if ordinal == 3 else "between", former if ordinal == 2 else present
                await connection.execute(FROZEN, [root, ordinal, uuid4(), now])
                await connection.execute(BEGUN, [delivery, job_id, ordinal, former, uuid4(), state, waits.get(ordinal)])
        job = RunningJob(
            job_id=job_id,
            workspace=WorkspaceId("here"),
            audience=root,
            accounts=(former, present),
            parts=2,
            messages=1,
            seconds=30,
            number=1,
        )
        cursors = Cursors(pool)

        async def behind(account: UUID, upto: int) -> dict[int, UUID]:
            return await cursors.between(job, account, upto, NOW, 10)

        assert await behind(present, 3) == {1: begun[0]}
        assert await behind(present, 4) == {1: begun[0], 4: begun[3]}
        assert await behind(former, 4) == {2: begun[1]}
        assert await behind(present, 6) == {1: begun[0], 4: begun[3], 5: begun[4]}, "the last one waits for its time"
