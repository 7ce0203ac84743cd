"""Jobs: a submitted campaign on its way through review to its recipients."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from api.accept import Accepting
from api.auth import Asking
from api.deps import Given, Reading, opened
from api.errors import not_found
from api.job_views import EXAMPLE, SUBMITTED, Job
from api.lists import Ask, Page, query
from api.openapi import gives, pages, reads
from api.past import AsOf
from projections import jobs

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

NEW = {
    "campaign_id": SUBMITTED["campaign_id"],
    "accounts": SUBMITTED["accounts"],
    "start": {"local": "2031-05-01T09:00:00", "zone": "Europe/Berlin"},
    "expires_at": "2031-05-01T12:00:00+02:00",
}
REVISED = {
    "accounts": SUBMITTED["accounts"],
    "start_at": "2031-05-02T09:00:00+02:00",
    "pace": {"messages": 1, "seconds": 60},
    "campaign": {"campaign_id": SUBMITTED["campaign_id"], "version": 2},
}
REVIEWED = {"review_hash": SUBMITTED["review_hash"]}


@router.get("", **pages(EXAMPLE))
async def list_jobs(
    actor: Asking, read: Reading, services: Given, ask: Annotated[Ask, Depends(query(jobs.LIST.filters))]
) -> Page[Job]:
    """The workspace's jobs, the newest first."""
    found = await ask.find(jobs.LIST, read)
    counted = await jobs.counted(read, found.rows)
    texts = await opened(services, read, actor.workspace, [ref for job in counted for ref in job.texts])
    return ask.page([Job.of(job, texts) for job in counted], found.next)


@router.get("/{job_id}", **reads(EXAMPLE, of_one=True))
async def get_job(job_id: UUID, actor: Asking, read: Reading, services: Given, as_of: AsOf) -> Job:
    """One job, with its counts."""
    job = await (as_of.job(read, job_id) if as_of else jobs.one(read, actor.workspace, job_id))
    if job is None:
        raise not_found("job")
    return Job.of(job, await opened(services, read, actor.workspace, job.texts))


@router.post("", **gives("job.submit", made="job_id", example=NEW))
async def submit_job(accept: Accepting) -> Response:
    """Freeze a campaign's version and audience, and ask for review; starts on approval, at `start_at` or at `start`."""
    return await accept("job.submit", new="job_id")


@router.post("/{job_id}/revise", **gives("job.revise", path="job_id", example=REVISED))
async def revise_job(job_id: UUID, accept: Accepting) -> Response:
    """Change accounts, schedule, pace, or words and people; what is left out stays. The job is reviewed anew."""
    return await accept("job.revise", job_id=job_id)


@router.post(
    "/{job_id}/approve",
    **gives("job.approve", path="job_id", example=REVIEWED),
)
async def approve_job(job_id: UUID, accept: Accepting) -> Response:
    """Approve exactly what `review_hash` covers."""
    return await accept("job.approve", job_id=job_id)


@router.post("/{job_id}/withdraw", **gives("job.withdraw", path="job_id"))
async def withdraw_approval(job_id: UUID, accept: Accepting) -> Response:
    """Take back your own approval, as long as the job has not started. To stop the job: `/stop`."""
    return await accept("job.withdraw", job_id=job_id)


@router.post(
    "/{job_id}/request-changes",
    **gives("job.request-changes", path="job_id", example=REVIEWED | {"note": "Please name the street."}),
)
async def request_changes(job_id: UUID, accept: Accepting) -> Response:
    """Ask for a revision: until there is one, the job cannot be approved."""
    return await accept("job.request-changes", job_id=job_id)


@router.post(
    "/{job_id}/reject",
    **gives("job.reject", path="job_id", example=REVIEWED | {"note": "The opening hours are wrong."}),
)
async def reject_job(job_id: UUID, accept: Accepting) -> Response:
    """Turn a job down for good."""
    return await accept("job.reject", job_id=job_id)


@router.post("/{job_id}/start", **gives("job.start", path="job_id"))
async def start_job(job_id: UUID, accept: Accepting) -> Response:
    """Start an approved job now."""
    return await accept("job.start", job_id=job_id)


@router.post("/{job_id}/pause", **gives("job.pause", path="job_id"))
async def pause_job(job_id: UUID, accept: Accepting) -> Response:
    """Begin no further send until the job is resumed."""
    return await accept("job.pause", job_id=job_id)


@router.post("/{job_id}/resume", **gives("job.resume", path="job_id"))
async def resume_job(job_id: UUID, accept: Accepting) -> Response:
    """Go on with a paused job."""
    return await accept("job.resume", job_id=job_id)


@router.post("/{job_id}/stop", **gives("job.stop", path="job_id"))
async def stop_job(job_id: UUID, accept: Accepting) -> Response:
    """End a job for good; who has no message yet gets none."""
    return await accept("job.stop", job_id=job_id)
