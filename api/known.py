"""Whom a linked account knows on WhatsApp: asked of its session live, sealed on its way, and kept nowhere."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from adapters.sends import KNOWN, live
from api.auth import Asking
from api.deps import Given, Services
from api.errors import ApiError
from api.lookups import Body, asks, body
from api.sessions import SECRET, Known, e164, no_session
from domain.message import Actor

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

WITHIN = 20.0  # seconds for the session to look
MOST = 200
WHO = "account.register"
PERSON = {"number": "+12025550177", "lid": "120363021234567", "name": "Mei Tanaka"}
GROUP = {"id": "120363025551234567@g.us", "name": "Rowing on Sundays", "members": 14}


class Look(Body):
    """Words of a name, or of WhatsApp's id, in any case; and which part of what is found."""

    search: str = Field("", max_length=200)
    offset: int = Field(0, ge=0, le=1_000_000)
    limit: int = Field(100, ge=1, le=MOST)


class Group(Body):
    """A group, by the id that the list of groups tells; and which part of its members."""

    group: str = Field(pattern=r"^[0-9-]{5,50}@g\.us$")
    offset: int = Field(0, ge=0, le=1_000_000)
    limit: int = Field(100, ge=1, le=MOST)


class Number(Body):
    """A number, written with its country: `+…`."""

    number: str = Field(min_length=3, max_length=40)


class KnownPerson(BaseModel):
    """Somebody on WhatsApp."""

    number: str = Field(description="In E.164; empty when WhatsApp hides it.")
    lid: str = Field(description="WhatsApp's linked id; empty when it is not known.")
    name: str


class KnownGroup(BaseModel):
    """A group that the account takes part in."""

    id: str
    name: str
    members: int = Field(description="How many take part.")


class People(BaseModel):
    """One page of people, by name; `total`: how many there are."""

    total: int
    items: list[KnownPerson]


class Groups(BaseModel):
    """One page of groups, by name; `total`: how many there are."""

    total: int
    items: list[KnownGroup]


class Checked(BaseModel):
    """Whether a number has a WhatsApp account."""

    number: str
    exists: bool


async def ask(services: Services, actor: Actor, account: UUID, response: Response, **asked: Any) -> Any:
    """What the session tells. Raises ApiError when there is none, or it cannot tell now."""
    sealed = services.inbound.sealed(actor.workspace, account, asked)
    answer = await services.bus.ask(live(account, KNOWN), sealed, WITHIN)
    if answer is None:
        raise no_session()
    found = services.inbound.opened(actor.workspace, account, answer)
    if "told" not in found:
        raise ApiError(409, "cannot_tell", "account_id", params={"status": found["state"], "reason": found["refused"]})
    response.headers.update(SECRET)
    return found["told"]


@router.post("/{account_id}/contacts", **asks(Look, {"search": "mei"}, {"total": 1, "items": [PERSON]}, 409, who=WHO))
async def list_contacts(
    account: Known,
    actor: Asking,
    services: Given,
    asked: Annotated[Look, Depends(body(Look))],
    response: Response,
) -> People:
    """The people in the address book of the account's phone."""
    look = {"of": asked.search, "offset": asked.offset, "limit": asked.limit}
    return People.model_validate(await ask(services, actor, account.id, response, what="contacts", **look))


@router.post("/{account_id}/groups", **asks(Look, {"search": "rowing"}, {"total": 1, "items": [GROUP]}, 409, who=WHO))
async def list_groups(
    account: Known,
    actor: Asking,
    services: Given,
    asked: Annotated[Look, Depends(body(Look))],
    response: Response,
) -> Groups:
    """The groups that the account takes part in."""
    look = {"of": asked.search, "offset": asked.offset, "limit": asked.limit}
    return Groups.model_validate(await ask(services, actor, account.id, response, what="groups", **look))


@router.post(
    "/{account_id}/groups/members",
    **asks(Group, {"group": GROUP["id"]}, {"total": 14, "items": [PERSON]}, 409, who=WHO),
)
async def list_members(
    account: Known,
    actor: Asking,
    services: Given,
    asked: Annotated[Group, Depends(body(Group))],
    response: Response,
) -> People:
    """The people in a group."""
    look = {"of": asked.group, "offset": asked.offset, "limit": asked.limit}
    return People.model_validate(await ask(services, actor, account.id, response, what="members", **look))


@router.post(
    "/{account_id}/check-number",
    **asks(Number, {"number": PERSON["number"]}, {"number": PERSON["number"], "exists": True}, 409, who=WHO),
)
async def check_number(
    account: Known,
    actor: Asking,
    services: Given,
    asked: Annotated[Number, Depends(body(Number))],
    response: Response,
) -> Checked:
    """Whether a number has a WhatsApp account, as this account is told."""
    number = e164(asked.number)
    exists = await ask(services, actor, account.id, response, what="exists", of=number)
    return Checked(number=number, exists=bool(exists))
