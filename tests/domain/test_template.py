"""A template in versions, and what is made from it."""

from dataclasses import replace

import pytest

from domain.campaign import CampaignCreated, CampaignRevised, CreateCampaign, ReviseCampaign
from domain.content import PollPart
from domain.message import Command
from domain.template import (
    DECIDER,
    ArchiveTemplate,
    CreateTemplate,
    ReviseTemplate,
    TemplateArchived,
    TemplateCreated,
    TemplateRevised,
    TemplateVersion,
)
from tests.builders import (
    BYE,
    CAMPAIGN,
    CAMPAIGN_CREATED,
    CAMPAIGN_STREAM,
    CREATED,
    HELLO,
    RULES_STREAM,
    TITLE,
    a_ref,
    an_id,
)
from tests.given import Given

TEMPLATE = an_id("template")
STREAM = DECIDER.stream(TEMPLATE)
A_WORKSPACE = Given().on(RULES_STREAM, CREATED)
A_TEMPLATE = A_WORKSPACE.on(STREAM, TemplateCreated(TITLE, (HELLO,)))
SECOND = A_TEMPLATE.on(STREAM, TemplateRevised(TITLE, (HELLO, BYE)))
CREATE, REVISE = CreateTemplate(TEMPLATE, TITLE, (HELLO,)), ReviseTemplate(TEMPLATE, TITLE, (HELLO, BYE))
FROM_IT = CreateCampaign(CAMPAIGN, TITLE, template=TemplateVersion(TEMPLATE, 2))


def test_a_template_is_created_revised_and_archived() -> None:
    after = A_WORKSPACE.when(CREATE).then(TemplateCreated(TITLE, (HELLO,)))
    after = after.when(REVISE).then(TemplateRevised(TITLE, (HELLO, BYE)))
    after.when(REVISE).then_nothing()
    assert after.state(STREAM).version == 2
    after = after.when(ArchiveTemplate(TEMPLATE)).then(TemplateArchived())
    after.when(ArchiveTemplate(TEMPLATE)).then_nothing()
    after.when(replace(REVISE, title=a_ref("another"))).then_refused("archived", "template_id")
    after.when(CREATE).then_refused("id_taken", "template_id")


@pytest.mark.parametrize("command", [REVISE, ArchiveTemplate(TEMPLATE)])
def test_a_template_that_nobody_created_cannot_be_changed(command: Command) -> None:
    A_WORKSPACE.when(command).then_refused("unknown_template", "template_id")
    A_TEMPLATE.when(command).then(*A_TEMPLATE.when(command).events)


@pytest.mark.parametrize(("given", "command"), [(A_WORKSPACE, CREATE), (A_TEMPLATE, REVISE)])
def test_a_template_says_what_a_campaign_could(given: Given, command: CreateTemplate | ReviseTemplate) -> None:
    given.when(replace(command, parts=())).then_refused("empty", "parts")
    poll = PollPart(a_ref("question"), (a_ref("only one"),))
    given.when(replace(command, parts=(poll,))).then_refused("too_few", "parts.0.choices", minimum=2)


@pytest.mark.parametrize("command", [CREATE, REVISE, ArchiveTemplate(TEMPLATE)])
def test_there_are_no_templates_without_a_workspace(command: Command) -> None:
    Given().on(STREAM, TemplateCreated(TITLE, (HELLO,))).when(command).then_refused("unknown_workspace", "workspace")


def test_a_campaign_has_a_templates_parts_and_names_its_version() -> None:
    after = SECOND.when(FROM_IT).then(CampaignCreated(TITLE, (HELLO, BYE), None, FROM_IT.template))
    later = after.on(STREAM, TemplateRevised(TITLE, (BYE,)))
    assert later.state(CAMPAIGN_STREAM).parts == (HELLO, BYE), "it keeps what it had"
    newest = ReviseCampaign(CAMPAIGN, TITLE, template=TemplateVersion(TEMPLATE, 3))
    revised = later.when(newest).then(CampaignRevised(TITLE, (BYE,), None, newest.template))
    revised.when(newest).then_nothing()


def test_equal_words_of_ones_own_are_another_version() -> None:
    given = SECOND.on(CAMPAIGN_STREAM, CampaignCreated(TITLE, (HELLO, BYE), None, FROM_IT.template))
    own = ReviseCampaign(CAMPAIGN, TITLE, (HELLO, BYE))
    given.when(own).then(CampaignRevised(TITLE, (HELLO, BYE), None, None))


def test_only_the_newest_version_of_a_template_in_use_is_taken() -> None:
    for command in (FROM_IT, ReviseCampaign(CAMPAIGN, TITLE, template=FROM_IT.template)):
        given = SECOND if isinstance(command, CreateCampaign) else SECOND.on(CAMPAIGN_STREAM, CAMPAIGN_CREATED)
        first = replace(command, template=TemplateVersion(TEMPLATE, 1))
        given.when(first).then_refused("not_the_newest", "template.version", newest=2)
        unknown = replace(command, template=TemplateVersion(an_id("another"), 1))
        given.when(unknown).then_refused("unknown_template", "template.template_id")
        archived = given.on(STREAM, TemplateArchived())
        archived.when(command).then_refused("archived", "template.template_id")
        given.when(replace(command, parts=(HELLO,))).then_refused("parts_and_template", "template")
