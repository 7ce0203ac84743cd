"""The phones of the sandbox's world: honest ticks, answers, votes, and what a killed server still knows."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.sandbox.contents import Card, Content, File, Place, Poll, Text
from adapters.sandbox.faults import FAULTS, IN_THE_PAGE
from adapters.sandbox.media import Media
from adapters.sandbox.nouns import DELIVERED, READ, SENT, Hello, Refused, Stanza, lid_of, number_of
from adapters.sandbox.server import create_app
from adapters.sandbox.world import Timings, World
from tests.adapters.whatsapp.running import until, until_answered

ACCOUNT, PERSON, OTHER = "+12025550100", "+12025550143", "+12025550144"
AT_ONCE = Timings(delivered_after=0.0, read_after=0.0, read_share=0.0)


class Linked:
    """A world with one linked browser, and what that was told."""

    def __init__(self, directory: Path, timings: Timings = AT_ONCE) -> None:
        self.directory, self.timings = directory, timings
        self.told: list[Stanza] = []
        self.world = World(directory, timings, durable=False)
        self.device = self.world.connect(Hello("d", "s", "k"), self.told.append)
        self.world.scan(f"{self.device.codes[0][0]},k", ACCOUNT)

    def restart(self) -> None:
        """As after a kill: nothing is written that was not written already."""
        self.world = World(self.directory, self.timings, durable=False)
        self.told.clear()
        self.device = self.world.connect(Hello("d", "s", "k", linked=True), self.told.append)
        self.world.post.resume()

    def send(self, wa_id: str, content: Content | str = "Hello", to: str = PERSON) -> Stanza:
        return self.world.send(self.device, wa_id, lid_of(to), content)

    def receipts(self, wa_id: str) -> list[int]:
        return [s["ack"] for s in self.told if s["type"] == "receipt" and s["id"] == wa_id]

    def of(self, kind: str) -> list[Stanza]:
        return [stanza for stanza in self.told if stanza["type"] == kind]

    def on_phone(self, number: str = PERSON, other: str = ACCOUNT) -> list[tuple[str, int]]:
        return [(m.wa_id, m.ack) for m in self.world.chats.conversation(number, other, 100)]


@pytest.fixture
def linked(tmp_path: Path) -> Linked:
    return Linked(tmp_path)


async def test_a_phone_that_is_off_gives_no_delivered_tick_until_it_is_on(linked: Linked) -> None:
    phone = linked.world.post.phone(PERSON)
    linked.world.post.switch(phone, on=False)
    linked.send("A", to=OTHER)
    linked.send("B")
    await until(lambda: linked.receipts("A") == [DELIVERED])
    assert (linked.receipts("B"), linked.on_phone()) == ([], [])
    with pytest.raises(Refused, match="phone_is_off"):
        linked.world.post.write(phone, ACCOUNT, "Hello?")
    waiting = linked.world.connect(Hello("e", "s", "k"), linked.told.append)
    with pytest.raises(Refused, match="phone_is_off"):
        linked.world.scan(f"{waiting.codes[0][0]},k", PERSON)

    linked.world.post.switch(phone, on=True)
    await until(lambda: linked.receipts("B") == [DELIVERED])
    assert linked.on_phone() == [("B", DELIVERED)]


async def test_a_phone_that_goes_off_before_a_message_arrives_has_not_got_it(tmp_path: Path) -> None:
    linked = Linked(tmp_path, Timings(delivered_after=0.05, read_after=0.06, read_share=1.0))
    linked.send("A")
    linked.world.post.switch(linked.world.post.phone(PERSON), on=False)
    linked.send("B", to=OTHER)
    await until(lambda: linked.receipts("B") == [DELIVERED, READ])
    assert linked.receipts("A") == []


async def test_a_phone_in_the_hand_reads_only_the_chat_that_is_opened(tmp_path: Path) -> None:
    linked = Linked(tmp_path, Timings(delivered_after=0.0, read_after=0.0, read_share=1.0))
    phone = linked.world.post.phone(PERSON)
    linked.world.post.switch(phone, held=True)
    linked.send("A")
    linked.send("B", to=OTHER)
    await until(lambda: linked.receipts("B") == [DELIVERED, READ])
    assert linked.receipts("A") == [DELIVERED]
    assert linked.world.chats.unread_counts(PERSON) == {ACCOUNT: 1}

    assert linked.world.post.read(phone, ACCOUNT) == 1
    assert linked.receipts("A") == [DELIVERED, READ]
    assert linked.world.post.read(phone, ACCOUNT) == 0


async def test_an_answer_is_mail_until_the_browser_has_stored_it(linked: Linked) -> None:
    phone = linked.world.post.phone(PERSON)
    linked.world.name({PERSON: "Ana"})
    assert linked.world.post.write(phone, ACCOUNT, "STOP", quoted="A") == 1
    (message,) = linked.of("message")
    assert [message[key] for key in ("body", "number", "lid", "name", "quoted")] == [
        "STOP",
        PERSON,
        lid_of(PERSON),
        "Ana",
        "A",
    ]
    linked.restart()
    (again,) = linked.of("message")
    assert again == message

    linked.world.post.got(linked.device, message["mail"])
    assert linked.on_phone() == [(message["id"], DELIVERED)]
    linked.world.post.opened(linked.device, PERSON)
    assert linked.on_phone() == [(message["id"], READ)]
    linked.restart()
    assert linked.of("message") == []


async def test_a_browser_that_is_linked_later_gets_no_old_mail(linked: Linked) -> None:
    linked.world.post.write(linked.world.post.phone(PERSON), ACCOUNT, "Before")
    told: list[Stanza] = []
    second = linked.world.connect(Hello("e", "s", "k"), told.append)
    linked.world.scan(f"{second.codes[0][0]},k", ACCOUNT)
    linked.world.disconnect(second, told.append)
    told.clear()
    linked.world.connect(Hello("e", "s", "k", linked=True), told.append)
    assert [stanza["type"] for stanza in told] == ["faults", "online", "acks"]


async def test_a_vote_counts_once_and_only_within_the_poll(linked: Linked) -> None:
    poll = Poll(question="When?", choices=("Friday", "Saturday", "Sunday"), selectable=2)
    phone, post = linked.world.post.phone(PERSON), linked.world.post
    linked.send("A", poll)
    linked.send("B")
    with pytest.raises(Refused, match="unknown_message"):
        post.vote(phone, ACCOUNT, "A", [0])  # it is not on the phone yet
    await until(lambda: linked.receipts("B") == [DELIVERED])
    for chosen in ([0], [1, 2]):
        post.vote(phone, ACCOUNT, "A", chosen)
    assert [(s["id"], s["lid"], s["choices"]) for s in linked.of("vote")] == [
        ("A", lid_of(PERSON), [0]),
        ("A", lid_of(PERSON), [1, 2]),
    ]
    assert linked.world.chats.votes(ACCOUNT, "A") == {PERSON: [1, 2]}
    for message, chosen, reason in [
        ("A", [3], "unknown_choice"),
        ("A", [1, 1], "unknown_choice"),
        ("A", [0, 1, 2], "too_many_choices"),
        ("B", [0], "not_a_poll"),
        ("C", [0], "unknown_message"),
    ]:
        with pytest.raises(Refused, match=reason):
            post.vote(phone, ACCOUNT, message, chosen)
    with pytest.raises(Refused, match="unknown_message"):
        post.vote(post.phone(OTHER), ACCOUNT, "A", [0])


@pytest.mark.parametrize(
    "content",
    [
        Text(text="*Bold* @12025550144", mentions=(OTHER,)),
        File(kind="voice", media="ab" * 32, mimetype="audio/ogg"),
        Place(latitude=43.6, longitude=-79.4, name="Here"),
        Card(name="Ben", number=OTHER),
        Poll(question="When?", choices=("Now", "Later"), selectable=0),
    ],
    ids=lambda content: content.kind,
)
async def test_a_killed_server_still_knows_what_lies_on_the_phones_and_delivers_what_was_on_its_way(
    tmp_path: Path, content: Content
) -> None:
    linked = Linked(tmp_path, Timings(delivered_after=3600, read_share=0.0))
    linked.world.name({PERSON: "Ana"})
    linked.world.post.switch(linked.world.post.phone(OTHER), on=False)
    linked.send("A", content)
    phone = linked.world.post.phone(PERSON)
    linked.timings = AT_ONCE
    linked.restart()

    await until(lambda: linked.receipts("A") == [DELIVERED])
    (message,) = linked.world.chats.conversation(PERSON, ACCOUNT, 10)
    assert (message.content, message.ack) == (content, DELIVERED)
    again = linked.world.post.phone(PERSON)
    assert (again.id, again.name, again.on) == (phone.id, "Ana", True)
    assert not linked.world.post.phone(OTHER).on


async def test_two_linked_accounts_write_to_each_other(linked: Linked) -> None:
    told: list[Stanza] = []
    other = linked.world.connect(Hello("e", "s", "k"), told.append)
    linked.world.scan(f"{other.codes[0][0]},k", OTHER)
    linked.send("A", to=OTHER)
    (message,) = [stanza for stanza in told if stanza["type"] == "message"]
    linked.world.post.got(other, message["mail"])
    assert linked.receipts("A") == [DELIVERED]


def test_every_fault_is_told_in_a_line_and_each_of_the_list_is_there() -> None:
    numbers = {meaning.partition(":")[0] for meaning in FAULTS.values()}
    assert {f"F{number}" for number in range(1, 20)} <= numbers
    assert all("\n" not in meaning for meaning in FAULTS.values())
    assert set(FAULTS) >= IN_THE_PAGE


# -- over HTTP ------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def http(linked: Linked, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(linked.world, Media(tmp_path / "media")))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def phone_id(http: httpx.AsyncClient, number: str) -> str:
    return str((await http.post("/control/phones", json={"phone": number})).json()["id"])


async def test_no_number_is_in_the_address_of_a_phone(http: httpx.AsyncClient) -> None:
    found = await phone_id(http, PERSON)
    assert found == await phone_id(http, PERSON) != await phone_id(http, OTHER)
    assert PERSON.removeprefix("+") not in found
    assert (await http.get(f"/control/phones/{found}")).json()["phone"] == PERSON
    assert (await http.get(f"/control/phones/{PERSON}")).status_code == 404


async def test_phones_are_found_by_name_or_number(http: httpx.AsyncClient) -> None:
    await http.post("/control/names", json={PERSON: "Ana María Souza", OTHER: "Ben"})

    async def found(search: str) -> list[str]:
        answer = (await http.get("/control/phones", params={"search": search})).json()
        return [phone["name"] for phone in answer["phones"]]

    assert await found("ana m") == ["Ana María Souza"]
    assert await found("5550144") == ["Ben"]
    assert await found("nobody") == []
    # The accounts' own phones come first.
    assert (await http.get("/control/phones")).json()["phones"][0]["phone"] == ACCOUNT


async def test_a_phone_begins_a_chat_and_reads_the_answer(linked: Linked, http: httpx.AsyncClient) -> None:
    mine, theirs = await phone_id(http, PERSON), await phone_id(http, ACCOUNT)
    written = await http.post(f"/control/phones/{mine}/write", json={"to": ACCOUNT, "text": "Open on Sunday?"})
    assert written.json() == {"chat": theirs, "devices": 1}
    linked.send("A", "From ten.")

    async def unread() -> bool:
        return bool((await http.get(f"/control/phones/{mine}")).json()["unread"])

    await until_answered(unread)
    assert (await http.post(f"/control/phones/{mine}/read", json={"chat": theirs})).json() == {"read": 1}
    chat = (await http.get(f"/control/phones/{mine}/chats/{theirs}")).json()
    assert [(m["mine"], m["body"], m["ack"]) for m in chat["messages"]] == [
        (True, "Open on Sunday?", DELIVERED),
        (False, "From ten.", READ),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("write", {"text": ""}, 422, None),
        ("write", {"text": "x", "to": "12025550100"}, 422, None),
        ("write", {"text": "x"}, 422, "nobody_to_write_to"),
        ("read", {"chat": "0" * 16}, 404, "unknown_phone"),
        ("vote", {"chat": "0" * 16, "message": "A", "choices": [0]}, 404, "unknown_phone"),
        ("scan", {"payload": "2@x,y,z,w"}, 422, "code_unknown"),
    ],
)
async def test_a_phone_refuses_what_makes_no_sense(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, reason: str | None
) -> None:
    answer = await http.post(f"/control/phones/{await phone_id(http, PERSON)}/{path}", json=body)
    assert (answer.status_code, answer.json().get("reason")) == (status, reason)


CREDENTIAL = {"x-device": "d.s"}
PICTURE = b"\x89PNG\r\n\x1a\n and so on"
PAGE = b"<script>alert(1)</script>"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_file_is_on_the_phone_as_it_was_sent(linked: Linked, http: httpx.AsyncClient) -> None:
    digest, mine = digest_of(PICTURE), await phone_id(http, PERSON)
    sending = {"id": "A", "lid": lid_of(PERSON), "content": {"kind": "image", "media": digest, "mimetype": "image/png"}}
    assert (await http.post("/wire/send", json=sending, headers=CREDENTIAL)).json() == {"reason": "unknown_file"}
    altered = await http.put(f"/wire/media/{digest}", content=PICTURE + b"!", headers=CREDENTIAL)
    assert (altered.status_code, altered.json()) == (422, {"reason": "file_altered"})
    assert (await http.put(f"/wire/media/{digest}", content=PICTURE)).status_code == 422
    stored = await http.put(f"/wire/media/{digest}", content=PICTURE, headers=CREDENTIAL)
    assert stored.json() == {"size": len(PICTURE)}
    assert (await http.post("/wire/send", json=sending, headers=CREDENTIAL)).json()["ack"] == SENT
    shown = await http.get(f"/control/phones/{mine}/media/{digest}", params={"type": "image/png"})
    assert (shown.content, shown.headers["content-type"]) == (PICTURE, "image/png")


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", ""])
async def test_a_file_that_could_act_as_a_page_is_only_for_keeping(http: httpx.AsyncClient, kind: str) -> None:
    await http.put(f"/wire/media/{digest_of(PAGE)}", content=PAGE, headers=CREDENTIAL)
    mine = await phone_id(http, PERSON)
    answer = await http.get(f"/control/phones/{mine}/media/{digest_of(PAGE)}", params={"type": kind, "name": "x.html"})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")


async def test_the_control_has_no_answer_for_another_sites_name(linked: Linked, tmp_path: Path) -> None:
    transport = httpx.ASGITransport(create_app(linked.world, Media(tmp_path / "media")))
    async with httpx.AsyncClient(transport=transport, base_url="http://elsewhere.example") as client:
        assert (await client.get("/control/phones")).status_code == 400


async def test_contacts_and_groups_are_those_of_the_accounts_phone(linked: Linked, http: httpx.AsyncClient) -> None:
    await http.post("/control/names", json={PERSON: "Ana"})
    for name, participants in (("Ours", [ACCOUNT, PERSON]), ("Theirs", [PERSON, OTHER])):
        await http.post("/control/groups", json={"name": name, "participants": participants})
    contacts = (await http.get("/wire/contacts", headers=CREDENTIAL)).json()["contacts"]
    assert [(c["number"], c["name"], number_of(c["lid"])) for c in contacts] == [(PERSON, "Ana", PERSON)]
    (group,) = (await http.get("/wire/groups", headers=CREDENTIAL)).json()["groups"]
    assert (group["name"], [c["number"] for c in group["participants"]]) == ("Ours", [ACCOUNT, PERSON])


# -- what is written of it --------------------------------------------------------------------------------------------

REFERENCE = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_reference_tells_each_fault_as_the_code_does() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    told = dict(re.findall(r"(?m)^\| `([a-z_]+)` \| (?:F\d+)? \| (?:account|recipient|for all) \| (.*) \|$", text))
    assert told == {name: re.sub(r"^F\d+: ", "", meaning) for name, meaning in FAULTS.items()}


def test_the_reference_tells_each_route_of_the_control(linked: Linked, tmp_path: Path) -> None:
    paths = create_app(linked.world, Media(tmp_path / "media")).openapi()["paths"]
    routes = {(path, method.upper()) for path in paths for method in paths[path] if path.startswith("/control")}
    text = REFERENCE.read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^\| `(/control[^`]*)` \| ([A-Z]+) \|", text)) == routes
