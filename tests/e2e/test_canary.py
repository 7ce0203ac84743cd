"""People's data and words are looked for everywhere that a whole run leaves anything, and again after an erasure."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from adapters.bus import Bus
from adapters.sandbox.client import SandboxControl
from adapters.sealing import Sealing
from domain.message import WorkspaceId
from infra.client import Api, Problem
from infra.embedded import EmbeddedServers
from infra.ports import free_port
from tests.e2e.canary import Canaries, files, streams, tables
from tests.e2e.otlp import Collector, collector
from tests.e2e.test_up import up
from tests.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

POSTER = Path(__file__).parents[2] / "examples" / "spring-workshop.jpg"
ACCOUNT, NUMBER, OTHER, BAD = "+12025550190", "+12025550187", "+12025550143", "+1202555018"
PERSONAL = {  # of one person
    "name": "Zenobia Quillfjærn",
    "variable": "Ottershaw-upon-Brindle",
    "proof": "Kettlewick form 12b",
    "direct title": "Pemberwick appointment",
    "direct text": "Your marzipan lantern is mended",
    "reply": "Is the cobblestone lift running",
}
WORKSPACE = {  # what the workspace says, or names
    "label": "Thistledown counter",
    "list": "Larkspur subscribers",
    "list file": "gooseberry-clients",
    "bad row": "Ulrich Snapdragonson",
    "title": "Wintergreen workshop",
    "text": "the glassblower opens at seven",
    "caption": "Follow the heron signs",
    "file name": "quincefield-plan",
    "file": "Bring a tarpaulin and two lemons",
    "segment": "Hollyhock regulars",
    "filter": "Snettisham-le-Green",
    "note": "Marmalade sounds too loud",
}
WORDS = PERSONAL | WORKSPACE
EVERYTHING = json.dumps({**WORDS, "number": NUMBER}, ensure_ascii=False)
CANARIES = Canaries(WORDS, NUMBER)
ELSEWHERE = ("profiles", "sandbox")  # the browser's, and other people's phones
PROCESSES = {"core", "sessions", "imports", "api"}


@dataclass
class Run:
    """A running drumline, the people who use it, and what was to be seen of it."""

    data: Path
    url: str
    team: dict[str, Api]
    phones: SandboxControl
    traces: Collector
    person: str = ""
    account: str = ""

    async def post(self, who: str, path: str, body: Any) -> Any:
        return await self.team[who].post(path, body)

    async def refused(self, who: str, path: str, body: Any) -> str:
        with pytest.raises(Problem) as caught:
            await self.post(who, path, body)
        return caught.value.rule

    async def sent(self, job: str) -> None:
        """Review a job and wait until it is over."""
        shown = await self.team["moderator"].get(f"/v1/jobs/{job}")
        if shown["status"] in ("submitted", "flagged"):
            await self.post("moderator", f"/v1/jobs/{job}/approve", {"review_hash": shown["review_hash"]})

        async def over() -> bool:
            return bool((await self.team["author"].get(f"/v1/jobs/{job}"))["status"] == "completed")

        await until(over, 60)


@asynccontextmanager
async def drumline(data: Path, traces: Collector, sandbox: int) -> AsyncIterator[Run]:
    """`up` as its users have it, with logs for machines and a collector of traces."""
    settings = {"log_format": "json", "otlp_endpoint": traces.endpoint, "sandbox_port": str(sandbox)}
    async with AsyncExitStack() as stack:
        running = up(data, **settings)
        url, _ = await asyncio.to_thread(running.__enter__)
        stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
        keys = json.loads((data / "keys.json").read_text())["keys"]
        team = {who: await stack.enter_async_context(Api(url, key, patience=30)) for who, key in keys.items()}
        phones = await stack.enter_async_context(SandboxControl(f"http://127.0.0.1:{sandbox}"))
        yield Run(data, url, team, phones, traces)


async def test_of_people_and_words_nothing_lies_in_plain_and_after_an_erasure_nothing_at_all(scratch: Path) -> None:
    data, sandbox = scratch / "data", free_port()
    with collector() as traces:
        async with drumline(data, traces, sandbox) as run:
            await everything_happens(run, scratch)
            assert await exported(run) == set(PERSONAL)
            await nothing_is_told(run)
        assert CANARIES.anywhere(files(data, ELSEWHERE)) == []
        assert openable(data) >= set(PERSONAL)  # so it is there, and looked for rightly

        async with drumline(data, traces, sandbox) as run:
            await erased(run)
            await nothing_is_told(run)
        assert CANARIES.anywhere(files(data, ELSEWHERE)) == []
        assert openable(data) & set(PERSONAL) == set()
    assert CANARIES.anywhere([("traces", b"".join(traces.bodies))]) == []
    assert any("reply" in found for _, found in CANARIES.anywhere(files(data / "sandbox")))  # so it would be found


async def everything_happens(run: Run, scratch: Path) -> None:
    """A list, a campaign, a direct message, answers; and all that can go wrong."""
    await run.team["admin"].put("/v1/workspace/sending-policy", {"messages": 100, "seconds": 1})
    await linked(run)
    audience = await imported(run, scratch)
    await a_campaign(run, audience, scratch)
    await a_direct_message(run)
    await looked_for(run)
    await gone_wrong(run)
    await answered(run)


async def linked(run: Run) -> None:
    run.account = (await run.post("operator", "/v1/accounts", {"label": WORDS["label"]}))["account_id"]
    path, scanned = f"/v1/accounts/{run.account}", set[str]()

    async def ready() -> bool:
        payload = await run.team["operator"].text(f"{path}/qr")
        if payload and payload not in scanned:
            scanned.add(payload)
            await run.phones.scan(payload.strip(), ACCOUNT)
        return bool((await run.team["operator"].get(path))["status"] == "ready")

    await until(ready, 60)


async def imported(run: Run, scratch: Path) -> str:
    """Two lists of the same people, by each of the two ways."""
    header = "number,name,city,consent,consent_source,consent_at,consent_proof"
    person = f"{NUMBER},{WORDS['name']},{WORDS['variable']},yes,paper,2025-01-14T09:30:00+00:00,{WORDS['proof']}"
    rows = [header, person, f"{OTHER},Bo,Rome,yes,,,", f"{BAD},{WORDS['bad row']},{WORDS['variable']},yes,,,"]
    path = scratch / f"{WORDS['list file']}.csv"
    path.write_text("\n".join(rows))
    behind = await run.team["author"].upload("/v1/audiences/import", path, title=WORDS["list"])

    async def done() -> bool:
        told = await run.team["author"].get(f"/v1/audiences/imports/{behind['import_id']}")
        return bool(told["state"] == "done")

    await until(done, 60)
    made = await run.team["author"].upload("/v1/audiences", path, title=WORDS["list"])
    assert (made["recipients"], made["bad"]) == (2, 1)
    found = await run.team["author"].post("/v1/people/search", {"number": NUMBER})
    run.person = found["items"][0]["id"]
    return str(made["audience_id"])


async def a_campaign(run: Run, audience: str, scratch: Path) -> None:
    author, plan = run.team["author"], scratch / "plan.txt"
    plan.write_text(WORDS["file"])
    poster = await author.send("/v1/media", POSTER, "image/jpeg")
    document = await author.send("/v1/media", plan, "text/plain")
    parts = [
        {"text": f"{{{{name}}}} from {{{{city}}}}, {WORDS['text']}"},
        {"kind": "image", "media": poster["id"], "caption": WORDS["caption"]},
        {"kind": "document", "media": document["id"], "filename": f"{WORDS['file name']}.txt", "caption": "{{name}}"},
        {"kind": "contact", "name": "{{name}}", "number": NUMBER},
    ]
    body = {"title": WORDS["title"], "parts": parts, "audience_id": audience}
    campaign = (await author.post("/v1/campaigns", body))["campaign_id"]
    shown = await author.post(f"/v1/campaigns/{campaign}/preview", {"recipient_id": run.person})
    assert WORDS["variable"] in shown["bubbles"][0]["part"]["text"]
    job = (await author.post("/v1/jobs", {"campaign_id": campaign, "accounts": [run.account]}))["job_id"]
    noted = (await author.post("/v1/jobs", {"campaign_id": campaign, "accounts": [run.account]}))["job_id"]
    seen = {"review_hash": (await run.team["moderator"].get(f"/v1/jobs/{noted}"))["review_hash"]}
    await run.post("moderator", f"/v1/jobs/{noted}/reject", {**seen, "note": WORDS["note"]})
    await run.sent(job)


async def a_direct_message(run: Run) -> None:
    parts = [{"text": f"{{{{name}}}}: {WORDS['direct text']}, {NUMBER}"}]
    whom = {"recipient_id": run.person, "accounts": [run.account]}
    await run.sent(
        (await run.post("author", "/v1/messages", {**whom, "title": WORDS["direct title"], "parts": parts}))["job_id"]
    )


async def looked_for(run: Run) -> None:
    """Searches and filters that name the person."""
    author = run.team["author"]
    assert (await author.post("/v1/people/search", {"name": WORDS["name"]}))["items"]
    await run.team["admin"].put("/v1/attributes/town", {"kind": "text"})
    kept = {"title": WORDS["segment"], "filter": f'town = "{WORDS["filter"]}" or town = "{NUMBER}"'}
    await author.put(f"/v1/segments/{uuid4()}", kept)
    await author.post("/v1/segments/count", {"filter": kept["filter"]})
    for wrong in (f"number = {NUMBER}", f"{WORDS['filter']}", f'town = "{WORDS["name"]}'):
        assert (await run.refused("author", "/v1/segments/count", {"filter": wrong})).startswith("filter_")


async def gone_wrong(run: Run) -> None:
    """Refused commands, bodies that are none, addresses that lead nowhere, a message that nobody can handle."""
    consent = {"source": "paper", "given_at": "2999-01-01T00:00:00+00:00", "proof": WORDS["proof"]}
    assert await run.refused("author", f"/v1/recipients/{run.person}/consent", consent) == "in_the_future"
    assert await run.refused("author", "/v1/people", {"number": f"{NUMBER}{NUMBER}", "name": WORDS["name"]})
    assert await run.refused("author", "/v1/people", {"number": NUMBER, "name": WORDS["name"]}) == "number_taken"
    assert await run.refused("author", "/v1/campaigns", {WORDS["name"]: NUMBER})
    assert await run.refused("author", "/v1/messages", {"title": WORDS["direct title"], "parts": NUMBER})
    assert await run.refused("operator", f"/v1/accounts/{run.account}/link-code", {"number": NUMBER}) != ""
    with pytest.raises(Problem):
        await run.team["author"].get(f"/v1/people/{NUMBER}")
    with pytest.raises(Problem):
        await run.team["author"].get("/v1/jobs", status=WORDS["name"])
    kept = json.loads((run.data / "keys.json").read_text())
    key = kept["keys"]["author"]
    async with httpx.AsyncClient(base_url=run.url, trust_env=False) as http:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        for path, content in (("/v1/campaigns", EVERYTHING[:-1]), (f"/{WORDS['name']}/{NUMBER}", EVERYTHING)):
            assert (await http.post(path, content=content.encode(), headers=headers)).is_client_error
        named = {"User-Agent": NUMBER, "Idempotency-Key": NUMBER, "X-Name": NUMBER, "traceparent": NUMBER}
        assert (await http.post("/v1/jobs", content=EVERYTHING.encode(), headers=headers | named)).is_client_error
    bus = await Bus.connect(EmbeddedServers(run.data).nats_url, "canary")
    await bus.js.publish(f"cmd.{kept['workspace']}.nobody12.job.submit-message", EVERYTHING.encode())
    await bus.close()

    async def buried() -> bool:
        letters = (await run.team["admin"].get("/v1/dead-letters"))["items"]
        return bool(letters) or bool(dead_letters(run.data))

    await until(buried, 30)


def dead_letters(data: Path) -> int:
    with psycopg.connect(EmbeddedServers(data).postgres.url) as connection:
        row = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
    return int(row[0]) if row else 0


async def answered(run: Run) -> None:
    """The person writes, and wants no more."""
    for text, awaited in ((WORDS["reply"], 1), ("STOP", 2)):
        await run.phones.inbound(ACCOUNT, NUMBER, text)

        async def heard(awaited: int = awaited) -> bool:
            held = await run.team["admin"].get(f"/v1/people/{run.person}/export")
            return len(held["messages"]) == awaited

        await until(heard, 30)

    async def opted_out() -> bool:
        return not (await run.team["author"].get(f"/v1/recipients/{run.person}"))["consented"]

    await until(opted_out, 30)


async def exported(run: Run) -> set[str]:
    """What of the person's is in what they are given when they ask for it."""
    held = json.dumps(await run.team["admin"].get(f"/v1/people/{run.person}/export"), ensure_ascii=False)
    return {what for what, word in PERSONAL.items() if word in held}


async def erased(run: Run) -> None:
    """The person is erased, and all is done that follows from it."""
    found = await run.team["author"].post("/v1/people/search", {"number": NUMBER})
    run.person = found["items"][0]["id"]
    await run.post("admin", f"/v1/recipients/{run.person}/erase", {})

    def done() -> bool:
        with psycopg.connect(EmbeddedServers(run.data).postgres.url) as connection:
            row = connection.execute(
                "SELECT count(done_at), (SELECT count(*) FROM forgotten_chats) FROM erasures"
            ).fetchone()
        return row == (1, 0)

    await until(done, 60)
    with pytest.raises(Problem) as caught:
        await run.team["admin"].get(f"/v1/people/{run.person}/export")
    assert caught.value.rule == "unknown_recipient"


async def nothing_is_told(run: Run) -> None:
    """While it runs: tables, streams, metrics, logs."""
    pages = []
    async with httpx.AsyncClient(trust_env=False) as http:
        for one in json.loads((run.data / "prometheus-targets.json").read_text()):
            page = await http.get(f"http://{one['targets'][0]}/metrics")
            pages.append((one["labels"]["instance"], page.content))
    assert {name for name, _ in pages} == PROCESSES
    assert CANARIES.anywhere(pages) == []
    servers = EmbeddedServers(run.data)
    assert CANARIES.anywhere(tables(servers.postgres.url)) == []

    async def taken() -> bool:
        """Commands lie in their queue until they are answered, and are removed then."""
        return not CANARIES.anywhere([one for one in await streams(servers.nats_url) if one[0].startswith("COMMANDS")])

    await until(taken, 30)
    assert CANARIES.anywhere(await streams(servers.nats_url)) == []
    assert CANARIES.anywhere(files(run.data / "run")) == []


def openable(data: Path) -> set[str]:
    """Which words can be read by who has the keys: texts, people's versions, what they wrote, dead letters."""
    secrets = [bytes.fromhex((data / "secrets" / f"{name}.key").read_text()) for name in ("master", "pepper")]
    sealing = Sealing(*secrets)
    servers = EmbeddedServers(data)
    servers.start(postgres=True, nats=False)
    opened = []
    try:
        with psycopg.connect(servers.postgres.url) as connection:
            for workspace, ref, sealed in connection.execute("SELECT workspace, ref, sealed FROM contents").fetchall():
                opened.append(sealing.open(WorkspaceId(workspace), "content", ref, sealed))
            people = {
                row[0]: sealing.person(WorkspaceId(row[1]), row[0], row[2])
                for row in connection.execute("SELECT recipient_id, workspace, wrapped_key FROM people").fetchall()
            }
            for person, version, fields in connection.execute(
                "SELECT recipient_id, version, sealed FROM person_versions"
            ).fetchall():
                opened += [
                    people[person].open(name, version, b64decode(value)).encode() for name, value in fields.items()
                ]
            for message, person, sealed in connection.execute(
                "SELECT message_id, recipient_id, sealed FROM inbound_messages"
            ).fetchall():
                opened.append(people[person].open(f"message-{message}", 0, sealed).encode())
            for letter, workspace, sealed in connection.execute(
                "SELECT id, workspace, body FROM dead_letters WHERE body IS NOT NULL"
            ).fetchall():
                opened.append(sealing.open(WorkspaceId(workspace), "body", str(letter), sealed))
    finally:
        servers.stop()
    return set(CANARIES.found(b"\0".join(opened)))
