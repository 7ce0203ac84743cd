"""What `drumline bench reads` asks: every list, its filters, pages deep within it, single things, searches."""

from typing import Any
from uuid import UUID

from api.lists import Cursors
from domain.message import PrincipalId, WorkspaceId
from infra.bench_fill import PastJob
from infra.bootstrap import Parts

Requests = dict[str, list[dict[str, Any]]]
NUMBER = "+12025550101"
SOME = 20  # requests of a route, so that not all ask for the same rows


def routes(
    parts: Parts, workspace: WorkspaceId, key: PrincipalId, jobs: list[PastJob], ids: dict[str, list[UUID]]
) -> Requests:
    """The requests by the name of their route; `ids` are of things that are there."""
    large, small = jobs[0], jobs[1:]
    of_large = f"/v1/jobs/{large.id}/deliveries"
    day = "2026-11-03T00:00:00Z"
    campaign, other = ids["campaigns"][:2]
    asked = {
        "campaigns": ["", "?archived=false", f"?created_by={key}", f"?since={day}&limit=200", f"?id={campaign!s:.6}"],
        "audiences": ["", f"?until={day}"],
        "accounts": ["", "?status=ready", "?paused=true"],
        "jobs": ["", "?status=running", f"?campaign={other}", f"?account={ids['accounts'][0]}", "?limit=200"],
        "review-queue": ["", f"?submitted_by={key}"],
        "recipients": ["", "?consented=false", "?source=paper", f"?id={ids['recipients'][0]!s:.8}", "?limit=200"],
        "commands": ["", "?state=refused", f"?principal={key}", "?name=job.approve", f"?since={day}", "?state=applied"],
        "timers": ["", "?kind=start"],
        "counts": [""],
        "workspace": [""],
    }
    found = {f"GET /v1/{name}": paths(f"/v1/{name}{query}" for query in queries) for name, queries in asked.items()}
    states = ("read", "failed", "skipped", "unknown", "pending", "intended")
    account = ids["accounts"][3]
    filters = [f"?state={state}" for state in states]
    filters += [f"?account={account}", f"?account={account}&state=failed", f"?account={account}&state=pending"]
    filters += ["?reason=deadline", "?part=2", f"?recipient={ids['recipients'][0]}", "?limit=200", ""]
    found["GET /v1/jobs/{id}/deliveries, filtered"] = paths(of_large + query for query in filters)
    cursors = Cursors(parts.keys, f"{workspace} {of_large} []")
    deep = [f"{of_large}?cursor={cursors.pack([large.recipients * part // SOME])}" for part in range(SOME)]
    found["GET /v1/jobs/{id}/deliveries, deep"] = paths(deep)
    found["GET /v1/jobs/{id}/deliveries, other jobs"] = paths(f"/v1/jobs/{job.id}/deliveries" for job in small[:SOME])
    found["GET /v1/jobs/{id}"] = paths(f"/v1/jobs/{job.id}" for job in jobs[:SOME])
    found["GET /v1/recipients/{id}/deliveries"] = paths(f"/v1/recipients/{one}/deliveries" for one in ids["recipients"])
    for name in ("campaigns", "accounts", "audiences", "recipients", "deliveries", "commands"):
        found[f"GET /v1/{name}/{{id}}"] = paths(f"/v1/{name}/{one}" for one in ids[name])
    found["POST /v1/recipients/look-up"] = [{"path": "/v1/recipients/look-up", "body": {"number": NUMBER}}]
    found["POST /v1/search"] = [{"path": "/v1/search", "body": {"title": "spring"}}]
    return found


def paths(given: Any) -> list[dict[str, Any]]:
    return [{"path": path} for path in given]
