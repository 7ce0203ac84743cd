"""The control of the sandbox as a whole: its phones, codes that wait for a scan, faults, the ledger."""

import asyncio
import contextlib
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from adapters.sandbox.contents import LONGEST, Number, fields, written
from adapters.sandbox.faults import FAULTS, STANDING, UnknownFault
from adapters.sandbox.ledger import recount
from adapters.sandbox.nouns import Phone, lid_of
from adapters.sandbox.world import World

RECENT = 200
HEARD_WITHIN = 2.0


class NewPhone(BaseModel):
    phone: Number
    name: str = Field("", max_length=200)


class Scan(BaseModel):
    payload: str
    phone: Number
    name: str = Field("", max_length=200)


class Typed(BaseModel):
    """A code that somebody types on a phone."""

    code: str = Field(max_length=20)
    phone: Number


class Unlink(BaseModel):
    phone: Number
    device: str | None = None


class Inbound(BaseModel):
    phone: Number
    sender: Number
    text: str = Field(max_length=LONGEST)


class NewGroup(BaseModel):
    name: str = Field(min_length=1, max_length=200)
    participants: list[Number] = Field(min_length=1, max_length=1024)


class Arm(BaseModel):
    name: str
    number: Number | None = None
    times: int | None = Field(default=None, ge=1)


def listed(world: World, phone: Phone) -> dict[str, Any]:
    """A phone as lists show it."""
    devices = sorted(world.post.linked(phone.number), key=lambda device: device.since)
    return {
        "id": phone.id,
        "phone": phone.number,
        "name": phone.name,
        "on": phone.on,
        "held": phone.held,
        "unread": sum(world.chats.unread_counts(phone.number).values()),
        "devices": [{"device": d.id, "since": d.since, "online": d.sink is not None} for d in devices],
    }


def control(world: World) -> APIRouter:
    """The routes under /control that are not one phone's."""
    router = APIRouter(prefix="/control")

    @router.get("/phones")
    async def phones(search: str = "", limit: Annotated[int, Query(ge=1, le=500)] = 100) -> dict[str, Any]:
        """Phones by what happened last, and the browsers that show a code."""
        wanted = search.strip().lower().replace(" ", "")
        found = [p for p in world.post.phones.values() if wanted in f"{p.name.lower().replace(' ', '')} {p.number}"]
        linked = {device.phone for device in world.devices.values()}
        found.sort(key=lambda phone: (phone.number in linked, phone.last), reverse=True)
        waiting = [d for d in world.devices.values() if d.phone is None and d.sink is not None]
        return {
            "phones": [listed(world, phone) for phone in found[:limit]],
            "found": len(found),
            "waiting": [
                {"device": d.id, "since": d.since, "payload": world.payload(d)}
                for d in sorted(waiting, key=lambda device: device.since)
            ],
        }

    @router.post("/phones")
    async def phone(body: NewPhone) -> dict[str, str]:
        """The id of a number's phone, which is made if nobody had it yet."""
        if body.name:
            world.name({body.phone: body.name})
        return {"id": world.post.phone(body.phone).id}

    @router.post("/scan")
    async def scan(body: Scan) -> dict[str, str]:
        return {"device": world.scan(body.payload.strip(), body.phone, body.name).id}

    @router.post("/enter-code")
    async def enter_code(body: Typed) -> dict[str, str]:
        return {"device": world.enter_code(body.phone, body.code).id}

    @router.post("/unlink")
    async def unlink(body: Unlink) -> dict[str, int]:
        return {"gone": world.unlink(body.phone, body.device)}

    @router.delete("/lines")
    async def hang_up() -> dict[str, int]:
        """End the lines of all browsers, as a network does; they come back by themselves."""
        online = sum(device.sink is not None for device in world.devices.values())
        world.hang_up()
        return {"ended": online}

    @router.post("/inbound")
    async def inbound(body: Inbound) -> dict[str, int]:
        return {"devices": world.receive(body.phone, body.sender, body.text)}

    @router.post("/names")
    async def names(body: dict[Number, str]) -> dict[str, int]:
        world.name(body)
        return {"names": len(body)}

    @router.post("/groups")
    async def group(body: NewGroup) -> dict[str, str]:
        """A group of phones; accounts among them see it."""
        return {"id": world.new_group(body.name, tuple(body.participants)).id}

    @router.get("/faults")
    async def faults() -> dict[str, Any]:
        return {"known": FAULTS, "standing": sorted(STANDING), "armed": world.faults.armed}

    @router.post("/faults")
    async def arm(body: Arm) -> dict[str, str]:
        try:
            world.faults.arm(body.name, body.number, body.times)
        except UnknownFault:
            raise HTTPException(422, {"reason": "unknown_fault", "known": list(FAULTS)}) from None
        await _known_to_pages(world)
        return {"armed": body.name}

    @router.delete("/faults")
    async def disarm(name: str | None = None) -> dict[str, str]:
        """One fault, or all of them, will not happen."""
        world.faults.clear(name)
        await _known_to_pages(world)
        return {"disarmed": name or "all"}

    @router.get("/ledger")
    async def ledger() -> dict[str, Any]:
        count = recount(world.ledger.path)
        return {"path": str(world.ledger.path), "entries": count.entries, "distinct": count.distinct}

    @router.get("/messages")
    async def messages() -> dict[str, Any]:
        """The newest messages that linked accounts sent."""
        accounts = {device.phone for device in world.devices.values() if device.phone is not None}
        found = world.chats.latest(accounts, RECENT)
        return {
            "messages": [
                {
                    "account": m.sender,
                    "chat": m.recipient,
                    "phone": world.post.phone(m.recipient).id,
                    "name": world.post.phone(m.recipient).name,
                    "lid": lid_of(m.recipient),
                    "id": m.wa_id,
                    "kind": m.content.kind,
                    "body": written(m.content),
                    "content": fields(m.content),
                    "at": m.at,
                    "ack": m.ack,
                }
                for m in found
            ]
        }

    return router


async def _known_to_pages(world: World) -> None:
    """Wait until each page that is online knows what is armed now: who arms a fault sees it in the next send."""
    change = world.faults.changes
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEARD_WITHIN):
            while any(d.sink and d.phone and d.heard < change for d in world.devices.values()):  # noqa: ASYNC110 - not one event, but one a page
                await asyncio.sleep(0.01)
