"""Whom a filter finds: the same people by the database as by looking at each; counted, chosen, kept."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from adapters.phone_book import PhoneBook
from adapters.segments import Chosen, Count, Segments
from adapters.vault import Entry
from domain.attributes import MOST, AttributeKind
from domain.message import Refused, WorkspaceId
from tests.adapters.vaulted import HERE, NOW, THERE, Vaulted, vaulted
from tests.refusals import over_quota

# number, country, fields, tags
PEOPLE: Sequence[tuple[str, str | None, dict[str, str], list[str]]] = [
    ("+12025550101", "US", {"name": "Ana", "city": "Rome", "spent": "100", "born": "1990-05-01"}, ["vip"]),
    ("+12025550102", "US", {"name": "Bo", "city": "Oslo", "spent": "9"}, []),
    ("+14165550103", "CA", {"name": "Cy", "city": "ROME", "member": "yes"}, ["vip", "new"]),
    ("+14165550104", "CA", {"name": "Di", "spent": "lots", "member": "no"}, []),
    ("+88812345678", None, {"name": "Ed", "spent": "-5.5", "born": "2001-01-31"}, ["new"]),
]
KINDS = {
    "city": AttributeKind.TEXT,
    "spent": AttributeKind.NUMBER,
    "born": AttributeKind.DATE,
    "member": AttributeKind.YES_NO,
}


class Book:
    """The vault, its segments and phone book, with people by their initials."""

    def __init__(self, v: Vaulted) -> None:
        self.v = v
        self.segments = Segments(v.pool, v.vault, v.sealing, lambda: NOW)
        self.people = PhoneBook(v.pool, v.vault, v.sealing)
        self.ids: dict[str, UUID] = {}

    async def fill(self, workspace: WorkspaceId = HERE) -> None:
        for name, kind in KINDS.items():
            await self.segments.declare(workspace, name, kind)
        while await self.segments.fill():
            pass
        for number, country, fields, tags in PEOPLE:
            self.ids[fields["name"][0]] = await self.people.add(workspace, Entry(number, country, fields), tags)

    async def run(self, statement: str, *values: object) -> None:
        async with self.v.pool.connection() as connection:
            await connection.execute(statement.encode(), values)

    async def found(self, text: str) -> str:
        """The initials of those whom a filter finds, in three ways that must be one."""
        fits = await self.segments.read(HERE, text)
        rows, _ = await self.people.find(HERE, fits)
        found = "".join(sorted(row.person.name[0] for row in rows))
        assert await self.segments.count(HERE, text) == Count(len(found), exact=True)
        assert (await self.segments.choose(HERE, uuid4(), text)).count == len(found)
        return found

    async def consent(self, who: str, *, consented: bool, opted_out: bool) -> None:
        await self.run(
            "INSERT INTO read_recipients (id, workspace, born, position, changed_at, consented, opted_out_at) "
            "VALUES (%s, 'here', 1, 1, now(), %s, CASE WHEN %s THEN now() END)",
            self.ids[who],
            consented,
            opted_out,
        )

    async def sent(self, who: str, days_ago: int) -> None:
        await self.run(
            "INSERT INTO read_deliveries (id, workspace, born, position, changed_at, job_id, recipient_id, account_id, "
            "ordinal, state, part, attempt, sent_at) VALUES (%s, 'here', 1, 1, now(), %s, %s, %s, 1, 'sent', 0, 1, %s)",
            uuid4(),
            uuid4(),
            self.ids[who],
            uuid4(),
            NOW - timedelta(days=days_ago),
        )


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Book]:
    async with vaulted(database_url) as v:
        book = Book(v)
        await book.fill()
        yield book


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("", "ABCDE"),
        ("everybody", "ABCDE"),
        ("not everybody", ""),
        ("city = rome", "AC"),
        ("city != rome", "BDE"),
        ("not city = rome", "BDE"),
        ("city in (rome, oslo)", "ABC"),
        ("city is known", "ABC"),
        ("city is not known", "DE"),
        ("spent > 8.5", "AB"),
        ("spent <= 9", "BE"),
        ("spent < 0", "E"),
        ("not spent < 0", "ABCD"),
        ("spent = 100", "A"),
        ("born < 2000-01-01", "A"),
        ("born >= 2001-01-31", "E"),
        ("member = yes", "C"),
        ("member != yes", "ABDE"),
        ("country = us", "AB"),
        ("country in (us, ca)", "ABCD"),
        ("country is not known", "E"),
        ("country != US", "CDE"),
        ("tag = vip", "AC"),
        ("tag in (vip, new)", "ACE"),
        ("tag = vip and tag = new", "C"),
        ("tag != vip", "BDE"),
        ("city = rome and (spent > 1 or member = yes)", "AC"),
        ("city = rome and spent > 1 or country = ca", "ACD"),
        ("not (city = rome or country = us)", "DE"),
        ('city = "rome\' OR true --"', ""),
    ],
)
async def test_a_filter_finds_those_who_fit(book: Book, text: str, who: str) -> None:
    assert await book.found(text) == who


async def test_consent_and_the_last_contact_are_what_the_log_tells(book: Book) -> None:
    await book.consent("A", consented=True, opted_out=False)
    await book.consent("B", consented=False, opted_out=True)
    await book.consent("C", consented=True, opted_out=True)  # agreed anew
    await book.consent("D", consented=False, opted_out=False)
    for who, days in (("A", 40), ("A", 3), ("B", 40)):
        await book.sent(who, days)
    for text, who in (
        ("consent = given", "AC"),
        ("consent = withdrawn", "B"),
        ("consent = none", "DE"),
        ("consent != given", "BDE"),
        ("consent in (given, none)", "ACDE"),
        ("last_contact < 30 days ago", "B"),
        ("last_contact >= 30 days ago", "A"),
        ("last_contact is known", "AB"),
        ("last_contact is not known", "CDE"),
        ("not last_contact >= 30 days ago", "BCDE"),
        ("last_contact <= 40 days ago", "B"),
        ("last_contact > 3 days ago", ""),
        ("last_contact >= 3 days ago and consent = given", "A"),
    ):
        assert await book.found(text) == who, text


async def test_another_workspaces_people_fit_nothing_here(book: Book) -> None:
    other = Book(book.v)
    await other.fill(THERE)
    assert await book.found("city = rome") == "AC"
    assert await book.found("") == "ABCDE"


async def test_who_fits_is_written_down_once_as_they_are_now(book: Book) -> None:
    audience = uuid4()
    chosen = await book.segments.choose(HERE, audience, "city = rome")
    assert chosen.count == 2
    await book.people.change(HERE, book.ids["A"], {"name": "Ana", "city": "Oslo"}, [])
    assert await book.segments.choose(HERE, audience, "city = rome") == chosen
    assert await book.found(f'list = "{audience}"') == "AC"
    assert await book.found(f'list = "{audience}" and city = rome') == "C"
    for workspace, text in ((HERE, "city = oslo"), (THERE, "")):
        with pytest.raises(Refused, match="id_taken"):
            await book.segments.choose(workspace, audience, text)
    again = await book.segments.choose(HERE, uuid4(), "city = rome")
    assert again.digest != chosen.digest


async def test_an_audience_that_was_chosen_is_frozen_as_an_imported_one_is(book: Book) -> None:
    audience, account = uuid4(), UUID(int=1)
    chosen: Chosen = await book.segments.choose(HERE, audience, "tag = vip")
    freeze = await book.v.audiences.freeze(HERE, audience, [account], ["name", "spent"])
    assert (freeze.frozen.count, freeze.frozen.missing) == (chosen.count, {"spent": 1})
    people = await book.v.vault.people([(row.recipient_id, row.vault_version) for row in freeze.rows])
    assert [people[row.recipient_id, row.vault_version].name for row in freeze.rows] == ["Ana", "Cy"]


async def test_a_choice_that_is_asked_for_several_times_at_once_is_made_once(book: Book) -> None:
    audience = uuid4()
    chosen = await asyncio.gather(*(book.segments.choose(HERE, audience, "everybody") for _ in range(5)))
    assert {one.count for one in chosen} == {5}
    assert len(set(chosen)) == 1


async def test_what_is_declared_later_is_filled_in_and_a_change_is_followed(book: Book) -> None:
    await book.segments.withdraw(HERE, "spent")
    with pytest.raises(Refused, match="filter_unknown_name"):
        await book.segments.read(HERE, "spent > 1")
    await book.segments.declare(HERE, "spent", AttributeKind.TEXT)
    assert [one.ready for one in await book.segments.attributes(HERE) if one.name == "spent"] == [False]
    audience = uuid4()
    for early in ("spent = lots", "not spent = lots"):  # nobody, and everybody, until people are gone through
        with pytest.raises(Refused, match="attribute_not_ready"):
            await book.segments.choose(HERE, audience, early)
    assert (await book.segments.choose(HERE, uuid4(), "city = rome")).count == 2
    while await book.segments.fill(limit=2):
        pass
    chosen = await book.segments.choose(HERE, audience, "spent = lots")
    assert chosen.count == 1
    await book.segments.declare(HERE, "spent", AttributeKind.NUMBER)
    await book.segments.declare(HERE, "spent", AttributeKind.TEXT)
    assert await book.segments.choose(HERE, audience, "spent = lots") == chosen  # what was chosen stays so
    while await book.segments.fill(limit=2):
        pass
    assert all(one.ready for one in await book.segments.attributes(HERE))
    assert await book.found("spent = lots") == "D"
    assert await book.found('spent = "100"') == "A"
    await book.people.change(HERE, book.ids["D"], {"name": "Di", "spent": "none"}, ["vip"])
    assert await book.found("spent = lots") == ""
    assert await book.found("tag = vip") == "ACD"


async def test_nobody_is_filled_in_while_people_are_being_added(book: Book) -> None:
    await book.segments.declare(HERE, "shoe", AttributeKind.NUMBER)
    async with book.v.pool.connection() as connection, connection.transaction():
        await book.v.vault.store(connection, HERE, [Entry("+12025550199", "US", {"shoe": "41"})])
        assert not await book.segments.fill()
    assert await book.segments.fill()
    assert not await book.segments.fill()


async def test_a_declaration_has_a_plain_name_of_its_own_and_there_are_not_too_many(book: Book) -> None:
    for name, rule in (("City", "malformed"), ("a b", "malformed"), ("tag", "reserved"), ("and", "reserved")):
        with pytest.raises(Refused, match=rule):
            await book.segments.declare(HERE, name, AttributeKind.TEXT)
    for place in range(MOST - len(KINDS)):
        await book.segments.declare(HERE, f"more{place}", AttributeKind.TEXT)
    before = over_quota("attributes")
    with pytest.raises(Refused, match="too_many"):
        await book.segments.declare(HERE, "one_more", AttributeKind.TEXT)
    assert over_quota("attributes") == before + 1
    await book.segments.declare(HERE, "city", AttributeKind.TEXT)


async def test_an_erased_person_fits_nothing_and_is_skipped_where_they_were_chosen(book: Book) -> None:
    audience = uuid4()
    await book.segments.choose(HERE, audience, "city = rome")
    assert await book.v.vault.erase(HERE, book.ids["A"])
    assert await book.found("") == "BCDE"
    freeze = await book.v.audiences.freeze(HERE, audience, [UUID(int=1)], [])
    people = await book.v.vault.people([(row.recipient_id, row.vault_version) for row in freeze.rows])
    assert [person.name for person in people.values()] == ["Cy"]


async def test_what_takes_too_long_is_guessed_from_one_in_64_and_says_how_far_it_may_be_off(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book.run(
        "INSERT INTO people (recipient_id, workspace, number_hmac, wrapped_key, version) "
        "SELECT gen_random_uuid(), 'here', sha256(n::text::bytea), '', 1 FROM generate_series(1, 6400) n"
    )
    monkeypatch.setattr("adapters.segments.EXACTLY", "SET LOCAL statement_timeout = '1ms'")
    slow = " or ".join(["last_contact < 1 days ago", "last_contact is not known"] * 12)
    guess = await book.segments.count(HERE, slow)
    assert not guess.exact
    assert abs(guess.count - 6405) <= guess.margin < 6405 / 2
    monkeypatch.setattr("adapters.segments.ROUGHLY", "SET LOCAL statement_timeout = '1ms'")
    with pytest.raises(Refused, match="filter_too_slow"):
        await book.segments.count(HERE, slow)
    monkeypatch.setattr("adapters.segments.WHOLE", "SET LOCAL statement_timeout = '1ms'")
    with pytest.raises(Refused, match="filter_too_slow"):
        await book.segments.choose(HERE, audience := uuid4(), slow)
    monkeypatch.undo()
    assert (await book.segments.choose(HERE, audience, "tag = vip")).count == 2  # nothing was left of it


async def test_a_workspace_keeps_only_so_many_filters(book: Book) -> None:
    few, before = Segments(book.v.pool, book.v.vault, book.v.sealing, lambda: NOW, 1), over_quota("segments")
    assert await few.keep(HERE, uuid4(), "Everybody", "")
    with pytest.raises(Refused, match="too_many"):
        await few.keep(HERE, uuid4(), "Everybody", "")
    assert over_quota("segments") == before + 1


async def test_filters_are_kept_sealed_listed_and_dropped(book: Book) -> None:
    first, second = uuid4(), uuid4()
    assert await book.segments.keep(HERE, first, "Romans", "city = rome")
    assert await book.segments.keep(HERE, second, "Everybody", "")
    assert await book.segments.keep(HERE, first, "Romans", 'city = "Rome"')
    assert not await book.segments.keep(THERE, first, "Ours", "")
    assert [one.id for one in await book.segments.page(HERE, None, 10)] == [second, first]
    kept = await book.segments.one(HERE, first)
    assert kept is not None
    assert (kept.title, kept.filter) == ("Romans", 'city = "Rome"')
    assert await book.segments.one(THERE, first) is None
    with pytest.raises(Refused, match="filter_expected"):
        await book.segments.keep(HERE, uuid4(), "Nonsense", "city =")
    assert await book.segments.drop(HERE, first)
    assert not await book.segments.drop(HERE, first)
    async with book.v.pool.connection() as connection:
        rows = await (await connection.execute("SELECT t::text FROM segments t")).fetchall()
    assert "Everybody" not in str(rows)
