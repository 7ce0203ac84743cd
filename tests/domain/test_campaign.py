"""A campaign in versions: what to say, and to whom."""

from dataclasses import replace

import pytest

from domain.campaign import (
    ArchiveCampaign,
    CampaignArchived,
    CampaignCreated,
    CampaignRevised,
    CreateCampaign,
    ReviseCampaign,
)
from domain.content import ContactPart, LocationPart, MediaKind, MediaPart, Part, PollPart
from domain.message import Command
from tests.builders import (
    AUDIENCE,
    AUDIENCE_STREAM,
    BYE,
    CAMPAIGN,
    CAMPAIGN_CREATED,
    CAMPAIGN_STREAM,
    CREATED,
    HELLO,
    IMPORTED,
    RULES_STREAM,
    TITLE,
    a_digest,
    a_ref,
    an_id,
)
from tests.given import Given

A_WORKSPACE = Given().on(RULES_STREAM, CREATED).on(AUDIENCE_STREAM, IMPORTED)
A_CAMPAIGN = A_WORKSPACE.on(CAMPAIGN_STREAM, CAMPAIGN_CREATED)
ARCHIVED = A_CAMPAIGN.on(CAMPAIGN_STREAM, CampaignArchived())
CREATE = CreateCampaign(CAMPAIGN, TITLE, (HELLO,), AUDIENCE)
REVISE = ReviseCampaign(CAMPAIGN, TITLE, (HELLO, BYE), AUDIENCE)


def test_a_campaign_is_created_with_its_parts_and_its_audience() -> None:
    after = A_WORKSPACE.when(CREATE).then(CampaignCreated(TITLE, (HELLO,), AUDIENCE))
    assert after.state(CAMPAIGN_STREAM).version == 1


def test_the_audience_may_be_named_later() -> None:
    after = A_WORKSPACE.when(replace(CREATE, audience_id=None)).then(CampaignCreated(TITLE, (HELLO,), None))
    after.when(REVISE).then(CampaignRevised(TITLE, (HELLO, BYE), AUDIENCE))


def test_an_id_is_taken_once_even_by_an_equal_campaign() -> None:
    A_CAMPAIGN.when(CREATE).then_refused("id_taken", "campaign_id")


@pytest.mark.parametrize(
    "revision",
    [
        REVISE,
        replace(REVISE, title=a_ref("new title"), parts=(HELLO,)),
        replace(REVISE, parts=(HELLO,), audience_id=None),
    ],
)
def test_whatever_is_revised_makes_the_next_version(revision: ReviseCampaign) -> None:
    revised = CampaignRevised(revision.title, revision.parts, revision.audience_id)
    after = A_CAMPAIGN.when(revision).then(revised)
    state = after.state(CAMPAIGN_STREAM)
    assert (state.version, state.title, state.parts, state.audience_id) == (
        2,
        revision.title,
        revision.parts,
        revision.audience_id,
    )
    after.when(revision).then_nothing()


def test_a_revision_that_changes_nothing_is_no_version() -> None:
    A_CAMPAIGN.when(replace(REVISE, parts=(HELLO,))).then_nothing()


def test_an_archived_campaign_stays_as_it_is() -> None:
    after = A_CAMPAIGN.when(ArchiveCampaign(CAMPAIGN)).then(CampaignArchived())
    after.when(ArchiveCampaign(CAMPAIGN)).then_nothing()
    assert after.state(CAMPAIGN_STREAM).archived
    ARCHIVED.when(REVISE).then_refused("archived", "campaign_id")


@pytest.mark.parametrize("command", [REVISE, ArchiveCampaign(CAMPAIGN)])
def test_a_campaign_that_nobody_created_cannot_be_changed(command: Command) -> None:
    A_WORKSPACE.when(command).then_refused("unknown_campaign", "campaign_id")


@pytest.mark.parametrize(("given", "command"), [(A_WORKSPACE, CREATE), (A_CAMPAIGN, REVISE)])
def test_a_campaign_says_one_to_ten_things(given: Given, command: CreateCampaign | ReviseCampaign) -> None:
    assert given.when(replace(command, parts=(HELLO,) * 10)).refusal is None
    given.when(replace(command, parts=(HELLO,) * 11)).then_refused("too_many", "parts", maximum=10)
    given.when(replace(command, parts=())).then_refused("empty", "parts")


IMAGE = MediaPart(MediaKind.IMAGE, a_digest("image"))
POLL = PollPart(a_ref("when"), (a_ref("saturday"), a_ref("sunday")))
DOZEN = tuple(a_ref(f"choice {number}") for number in range(12))


@pytest.mark.parametrize(
    "part",
    [
        replace(HELLO, delay=300, reply_to=0),
        replace(IMAGE, caption=a_ref("caption")),
        MediaPart(MediaKind.DOCUMENT, a_digest("menu"), a_ref("caption"), a_ref("menu.pdf")),
        *(MediaPart(kind, a_digest("file")) for kind in MediaKind),
        LocationPart(90, -180, a_ref("the pole"), None),
        ContactPart(a_ref("name"), a_ref("number")),
        replace(POLL, choices=DOZEN, selectable=12),
    ],
)
def test_a_campaign_says_what_a_messenger_can(part: Part) -> None:
    A_WORKSPACE.when(replace(CREATE, parts=(HELLO, part))).then(CampaignCreated(TITLE, (HELLO, part), AUDIENCE))


@pytest.mark.parametrize(
    ("part", "rule", "field"),
    [
        (replace(HELLO, delay=301), "out_of_range", "delay"),
        (replace(HELLO, delay=-1), "out_of_range", "delay"),
        (replace(HELLO, reply_to=1), "not_an_earlier_part", "reply_to"),
        (replace(HELLO, reply_to=-1), "not_an_earlier_part", "reply_to"),
        (MediaPart(MediaKind.VOICE, IMAGE.media, a_ref("caption")), "not_of_this_kind", "caption"),
        (MediaPart(MediaKind.STICKER, IMAGE.media, a_ref("caption")), "not_of_this_kind", "caption"),
        (replace(IMAGE, filename=a_ref("menu.pdf")), "not_of_this_kind", "filename"),
        (LocationPart(90.5, 0), "out_of_range", "latitude"),
        (LocationPart(0, -180.5), "out_of_range", "longitude"),
        (LocationPart(float("nan"), 0), "out_of_range", "latitude"),
        (replace(POLL, choices=DOZEN[:1]), "too_few", "choices"),
        (replace(POLL, choices=(*DOZEN, a_ref("one more"))), "too_many", "choices"),
        (replace(POLL, choices=(*DOZEN[:3], DOZEN[0])), "repeated", "choices"),
        (replace(POLL, selectable=0), "out_of_range", "selectable"),
        (replace(POLL, selectable=3), "out_of_range", "selectable"),
    ],
)
def test_what_no_messenger_takes_is_no_campaign(part: Part, rule: str, field: str) -> None:
    for given, command in ((A_WORKSPACE, CREATE), (A_CAMPAIGN, REVISE)):
        refusal = given.when(replace(command, parts=(HELLO, part))).refusal
        assert refusal is not None
        assert (refusal.rule, refusal.field) == (rule, f"parts.1.{field}")


def test_nothing_comes_before_the_first_part() -> None:
    for part, rule in ((replace(HELLO, delay=1), "out_of_range"), (replace(HELLO, reply_to=0), "not_an_earlier_part")):
        refusal = A_WORKSPACE.when(replace(CREATE, parts=(part,))).refusal
        assert refusal is not None
        assert refusal.rule == rule


@pytest.mark.parametrize(("given", "command"), [(A_WORKSPACE, CREATE), (A_CAMPAIGN, REVISE)])
def test_the_audience_exists(given: Given, command: CreateCampaign | ReviseCampaign) -> None:
    unknown = replace(command, audience_id=an_id("another audience"))
    given.when(unknown).then_refused("unknown_audience", "audience_id")


@pytest.mark.parametrize("command", [CREATE, REVISE, ArchiveCampaign(CAMPAIGN)])
def test_there_are_no_campaigns_without_a_workspace(command: Command) -> None:
    Given().on(CAMPAIGN_STREAM, CAMPAIGN_CREATED).when(command).then_refused("unknown_workspace", "workspace")
