"""The control of one phone, by its id: what a person reads, writes, votes and scans on it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from adapters.sandbox.contents import LONGEST, FileDigest, Number, Poll, fields, written
from adapters.sandbox.control_api import listed
from adapters.sandbox.media import Media
from adapters.sandbox.nouns import Message, Phone, Refused
from adapters.sandbox.world import World

CHATS, MESSAGES = 200, 200
Chat = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Switch(BaseModel):
    on: bool | None = None
    held: bool | None = None
    name: str | None = Field(None, max_length=200)


class Write(BaseModel):
    """`chat` is the id of the other's phone; a number in `to` begins a chat."""

    text: str = Field(min_length=1, max_length=LONGEST)
    chat: Chat | None = None
    to: Number | None = None
    quoted: str | None = None


class Vote(BaseModel):
    chat: Chat
    message: str
    choices: list[int] = Field(max_length=12)


def one_phone(world: World, media: Media) -> APIRouter:
    """The routes under /control/phones/{id}."""
    router = APIRouter(prefix="/control/phones/{phone_id}")
    post, chats = world.post, world.chats

    @router.get("")
    async def phone(phone_id: str) -> dict[str, Any]:
        """The phone, and the chats on it, newest first. `version` grows with whatever is seen on it."""
        own = post.known(phone_id)
        unread = chats.unread_counts(own.number)
        listing = [
            {
                **_person(post.phone(other)),
                "unread": unread.get(other, 0),
                "typing": world.types(other, own.number),
                "last": _message(own, last),
            }
            for last in chats.chats_of(own.number, CHATS)
            for other in [last.recipient if last.sender == own.number else last.sender]
        ]
        return {**listed(world, own), "version": own.version, "chats": listing}

    @router.get("/chats/{chat}")
    async def chat(phone_id: str, chat: Chat, limit: Annotated[int, Query(ge=1, le=1000)] = MESSAGES) -> dict[str, Any]:
        """One chat as this phone shows it, oldest message first."""
        own, other = post.known(phone_id), post.known(chat)
        messages = chats.conversation(own.number, other.number, limit)
        return {
            **_person(other),
            "typing": world.types(other.number, own.number),
            "messages": [_message(own, message) for message in messages],
        }

    @router.post("/switch")
    async def switch(phone_id: str, body: Switch) -> dict[str, Any]:
        """Turn it on or off, take it into one's hand (it reads nothing by itself) or lay it down, name its owner."""
        own = post.known(phone_id)
        if body.name is not None:
            world.name({own.number: body.name})
        post.switch(own, on=body.on, held=body.held)
        return listed(world, own)

    @router.post("/write")
    async def write(phone_id: str, body: Write) -> dict[str, Any]:
        """Send a text; `devices` is how many linked browsers of the recipient are told."""
        own = post.known(phone_id)
        to = post.known(body.chat) if body.chat else post.phone(body.to or own.number)
        if to is own:
            raise Refused("nobody_to_write_to")
        return {"chat": to.id, "devices": post.write(own, to.number, body.text, body.quoted)}

    @router.post("/read")
    async def read(phone_id: str, chat: Annotated[Chat, Body(embed=True)]) -> dict[str, int]:
        """Open a chat: what lies there unread is read."""
        return {"read": post.read(post.known(phone_id), post.known(chat).number)}

    @router.post("/vote")
    async def vote(phone_id: str, body: Vote) -> dict[str, list[int]]:
        """Vote in a poll, by the positions of its choices; none takes the vote back."""
        post.vote(post.known(phone_id), post.known(body.chat).number, body.message, body.choices)
        return {"choices": body.choices}

    @router.post("/scan")
    async def scan(phone_id: str, payload: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        return {"device": world.scan(payload.strip(), post.known(phone_id).number).id}

    @router.post("/unlink")
    async def unlink(phone_id: str, device: Annotated[str | None, Body(embed=True)] = None) -> dict[str, int]:
        return {"gone": world.unlink(post.known(phone_id).number, device)}

    @router.get("/media/{digest}")
    async def file(phone_id: str, digest: FileDigest, type: str = "", name: str = "") -> FileResponse:  # noqa: A002 - the query's own name
        post.known(phone_id)
        return media.response(digest, type, name)

    def _person(other: Phone) -> dict[str, Any]:
        return {"id": other.id, "phone": other.number, "name": other.name}

    def _message(own: Phone, message: Message) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": message.wa_id,
            "mine": message.sender == own.number,
            "body": written(message.content),
            "content": fields(message.content),
            "quoted": message.quoted,
            "at": message.at,
            "ack": message.ack,
        }
        if isinstance(message.content, Poll):
            votes = chats.votes(message.sender, message.wa_id)
            shown["voted"] = votes.get(own.number, [])
            shown["votes"] = [
                sum(position in choices for choices in votes.values())
                for position in range(len(message.content.choices))
            ]
        return shown

    return router
