"""The phone book: people with their numbers, names and variables, for those who may see them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from adapters import phone_book
from adapters.vault import Person as Version
from api.auth import Only
from api.deps import Given, Reading
from api.errors import not_found
from api.lists import EXAMPLE_CURSOR, Ask, Page, query
from api.lookups import Body, body
from api.openapi import REFERENCE, answers, problems
from api.recipients import EXAMPLE as CONSENT
from api.recipients import Recipient, read_number
from api.room import KEEPING
from domain.attributes import NAME
from domain.filter_language import LONGEST_FILTER, TAG
from domain.message import Actor, Role
from domain.ports import Arrived
from projections import recipients

router = APIRouter(prefix="/v1/people", tags=["people"])

MOST_ITEMS = 200
MOST_VARIABLES, MOST_TAGS = 100, 50
SEEING = (Role.AUTHOR, Role.OPERATOR, Role.SERVICE, Role.ADMIN)
Seeing = Annotated[Actor, Depends(Only(*SEEING))]
Writing = Annotated[Actor, Depends(Only(Role.AUTHOR, Role.SERVICE, Role.ADMIN))]
Exporting = Annotated[Actor, Depends(Only(Role.ADMIN, Role.SERVICE))]

ID = CONSENT["id"]
ACCOUNT = "0f6d7a52-1b1c-5d0e-8f57-1a1d3a0f6c22"
WORDS: dict[str, Any] = {"name": "Ada Lovelace", "variables": {"city": "London"}, "tags": ["vip"]}
NEW = {"number": "+12025550101", **WORDS}
EXAMPLE: dict[str, Any] = {"id": ID, "number": "+12025550101", "country": "US", "version": 1, **WORDS}
WROTE: dict[str, Any] = {
    "message_id": "a3c1d9e2-7b64-5f0a-8c11-4d2e6f7a8b90",
    "account_id": ACCOUNT,
    "kind": "text",
    "sent_at": "2026-11-21T09:30:00Z",
    "text": "Thank you!",
}
WHOLE: dict[str, Any] = {
    "person": EXAMPLE,
    "attributes": {"city": "london"},
    "versions": [{"version": 1, "number": "+12025550101", "fields": {"name": "Ada Lovelace", "city": "London"}}],
    "audiences": ["7c1f0f0e-3d0b-5c39-8a5e-5f2f3f1f9d10"],
    "texts": ["Form 12, page 3"],
    "messages": [WROTE],
    "recorded": CONSENT,
}
OF_ONE = problems(401, 403, 404, 422, 503)

Name = Annotated[str, StringConstraints(max_length=200)]
Value = Annotated[str, StringConstraints(max_length=1_000)]
Variable = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
Tag = Annotated[str, StringConstraints(pattern=rf"^{TAG.pattern}$")]
Filter = Annotated[str, StringConstraints(max_length=LONGEST_FILTER)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]


class Words(Body):
    """What is said of a person; it replaces what was said before."""

    name: Name = ""
    variables: dict[Variable, Value] = Field({}, max_length=MOST_VARIABLES)
    tags: list[Tag] = Field([], max_length=MOST_TAGS)


class NewPerson(Words):
    """Somebody to be added. A number without its country (`+…`) is read as one of `country` (ISO 3166-1)."""

    number: str = Field(min_length=3, max_length=40)
    country: str | None = Field(None, pattern="^[A-Z]{2}$")


class Wanted(Body):
    """Who is looked for: by words of the name, by number, by a filter, or all of them."""

    name: Name = Field("", description="Whole words, without case and accents.")
    number: str | None = Field(None, min_length=3, max_length=40)
    filter: Filter = ""
    limit: int = Field(50, ge=1, le=MOST_ITEMS)
    cursor: Cursor | None = Field(None, description="The `next` of the page before.")


class Person(BaseModel):
    """A person as the workspace knows them."""

    id: UUID
    number: str
    country: str | None
    name: str
    variables: dict[str, str]
    tags: list[str]
    version: int

    @classmethod
    def of(cls, one: phone_book.Listed) -> Self:
        return cls(
            id=one.recipient_id,
            number=one.person.number,
            country=one.country,
            name=one.person.name,
            variables=without_name(one.person.variables),
            tags=list(one.tags),
            version=one.version,
        )


class People(BaseModel):
    """A page, the newest first."""

    items: list[Person]
    next: str | None = Field(description="The cursor of the following page; null on the last one.")


class Said(BaseModel):
    """What was said of a person once."""

    version: int
    number: str
    fields: dict[str, str]

    @classmethod
    def of(cls, version: int, one: Version) -> Self:
        return cls(version=version, number=one.number, fields=dict(one.variables))


class Message(BaseModel):
    """What a person wrote to an account, or voted: then the text is the choices, a line each."""

    model_config = ConfigDict(from_attributes=True)

    message_id: UUID = Field(description="As `recipient.message-received` names it.")
    account_id: UUID
    kind: Arrived
    sent_at: datetime
    text: str


class Everything(BaseModel):
    """All that is held of a person, but for their deliveries (`/v1/recipients/{id}/deliveries`)."""

    person: Person
    attributes: dict[str, Any] = Field(description="What they can be filtered by.")
    versions: list[Said]
    audiences: list[UUID] = Field(description="The lists they are in.")
    texts: list[str] = Field(description="Words about them alone: proofs of consents, direct messages.")
    messages: list[Message] = Field(description="What they wrote to accounts, the newest first.")
    recorded: Recipient | None


def without_name(fields: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in fields.items() if key != "name"}


def takes(model: type[Body], example: Any, answer: Any, *more: int, status: int = 200) -> dict[str, Any]:
    """What a route declares that takes a body which is no command."""
    schema = model.model_json_schema(ref_template=REFERENCE)
    schema.pop("$defs", None)  # each is part of an answer, too
    content = {"application/json": {"schema": schema, "example": example}}
    statuses = sorted({401, 403, 413, 415, 422, 503, *more})
    return {
        "status_code": status,
        "responses": answers(status, "As asked.", answer) | problems(*statuses),
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


@router.post("", dependencies=[KEEPING], **takes(NewPerson, NEW, EXAMPLE, 409, 507, status=201))
async def add_person(actor: Writing, services: Given, said: Annotated[NewPerson, Depends(body(NewPerson))]) -> Person:
    """Add somebody; the same again is the same person. It is no consent: that is recorded apart."""
    number, country = read_number(said.number, said.country)
    entry = phone_book.entry(number, country, said.name, said.variables)
    recipient_id = await services.people.add(actor.workspace, entry, said.tags)
    return await person_of(services, actor, recipient_id)


@router.post(
    "/search", **takes(Wanted, {"name": "ada", "filter": "city = London"}, {"items": [EXAMPLE], "next": "4120"})
)
async def search_people(actor: Seeing, services: Given, wanted: Annotated[Wanted, Depends(body(Wanted))]) -> People:
    """Look for people, the newest first; asked for nothing, it is the whole book. Names and numbers are in the body,
    for an address lies in logs."""
    found, following = await services.people.find(
        actor.workspace,
        await services.segments.read(actor.workspace, wanted.filter),
        name=wanted.name,
        number=None if wanted.number is None else read_number(wanted.number)[0],
        behind=None if wanted.cursor is None else int(wanted.cursor),
        limit=wanted.limit,
    )
    return People(items=[Person.of(one) for one in found], next=None if following is None else str(following))


@router.get("/{recipient_id}", responses=answers(200, "As asked.", EXAMPLE) | OF_ONE)
async def get_person(recipient_id: UUID, actor: Seeing, services: Given) -> Person:
    """A person, opened."""
    return await person_of(services, actor, recipient_id)


@router.put("/{recipient_id}", dependencies=[KEEPING], **takes(Words, WORDS, EXAMPLE, 404, 507))
async def change_person(
    recipient_id: UUID, actor: Writing, services: Given, said: Annotated[Words, Depends(body(Words))]
) -> Person:
    """Say other things of a person: all of it is replaced. Jobs that were submitted before say what they said."""
    fields = phone_book.entry("", None, said.name, said.variables).fields
    if not await services.people.change(actor.workspace, recipient_id, fields, said.tags):
        raise not_found("recipient")
    return await person_of(services, actor, recipient_id)


@router.get(
    "/{recipient_id}/messages", responses=answers(200, "A page.", {"items": [WROTE], "next": EXAMPLE_CURSOR}) | OF_ONE
)
async def list_messages(
    recipient_id: UUID, actor: Seeing, read: Reading, services: Given, ask: Annotated[Ask, Depends(query({}))]
) -> Page[Message]:
    """What a person wrote to accounts, the newest first; opened as it is asked for."""
    (before,) = ask.after or [None]
    found = await services.inbound.of(read, actor.workspace, recipient_id, before, ask.limit + 1)
    if not found and await services.people.held(read, actor.workspace, recipient_id) is None:
        raise not_found("recipient")
    shown = [Message.model_validate(one) for one in found[: ask.limit]]
    return ask.page(shown, [found[ask.limit - 1].number] if len(found) > ask.limit else None)


@router.get("/{recipient_id}/export", responses=answers(200, "As asked.", WHOLE) | OF_ONE)
async def export_person(recipient_id: UUID, actor: Exporting, read: Reading, services: Given) -> Everything:
    """All that is held of a person, as they may ask for it."""
    held = await services.people.held(read, actor.workspace, recipient_id)
    if held is None:
        raise not_found("recipient")
    row = await recipients.TABLE.one(read, actor.workspace, recipient_id)
    messages, before = list[Message](), None
    while found := await services.inbound.of(read, actor.workspace, recipient_id, before, MOST_ITEMS):
        messages += [Message.model_validate(one) for one in found]
        before = found[-1].number
    return Everything(
        person=Person.of(held.now),
        attributes=dict(held.attributes),
        versions=[Said.of(version, one) for version, one in held.versions],
        audiences=list(held.lists),
        texts=list(held.texts),
        messages=messages,
        recorded=None if row is None else Recipient.model_validate(row),
    )


async def person_of(services: Given, actor: Actor, recipient_id: UUID) -> Person:
    """The person under an id. Raises ApiError."""
    found = await services.people.one(actor.workspace, recipient_id)
    if found is None:
        raise not_found("recipient")
    return Person.of(found)
