"""An audience begins with an import, or a choice, whose people lie in the vault."""

from dataclasses import replace

from domain.audience import AudienceChosen, AudienceImported, ChooseAudience, ImportAudience
from tests.builders import AUDIENCE, AUDIENCE_STREAM, CREATED, IMPORTED, RULES_STREAM, a_digest, a_ref
from tests.given import Given

TITLE, DIGEST = a_ref("list"), a_digest("list")
IMPORT = ImportAudience(AUDIENCE, TITLE, count=3, rejected=1, merged=1, digest=DIGEST)
FILTER = a_ref("filter")
CHOOSE = ChooseAudience(AUDIENCE, TITLE, FILTER, count=3, digest=DIGEST)
A_WORKSPACE = Given().on(RULES_STREAM, CREATED)
IN_THE_VAULT = A_WORKSPACE.vault(imported=DIGEST)


def test_what_the_vault_holds_becomes_an_audience() -> None:
    after = IN_THE_VAULT.when(IMPORT).then(AudienceImported(TITLE, 3, 1, 1, DIGEST))
    assert (after.state(AUDIENCE_STREAM).exists, after.state(AUDIENCE_STREAM).count) == (True, 3)


def test_the_same_import_again_changes_nothing() -> None:
    IN_THE_VAULT.on(AUDIENCE_STREAM, IMPORTED).when(IMPORT).then_nothing()


def test_another_import_cannot_take_its_place() -> None:
    other = replace(IMPORT, digest=a_digest("another list"))
    given = A_WORKSPACE.vault(imported=other.digest).on(AUDIENCE_STREAM, IMPORTED)
    given.when(other).then_refused("id_taken", "audience_id")


def test_what_the_vault_does_not_hold_is_no_audience() -> None:
    A_WORKSPACE.when(IMPORT).then_refused("not_in_the_vault", "digest")
    A_WORKSPACE.vault(imported=a_digest("another list")).when(IMPORT).then_refused("not_in_the_vault", "digest")


def test_there_is_no_audience_without_a_workspace() -> None:
    Given().vault(imported=DIGEST).when(IMPORT).then_refused("unknown_workspace", "workspace")


def test_who_fits_a_filter_becomes_an_audience_once() -> None:
    after = IN_THE_VAULT.when(CHOOSE).then(AudienceChosen(TITLE, FILTER, 3, DIGEST))
    assert (after.state(AUDIENCE_STREAM).exists, after.state(AUDIENCE_STREAM).count) == (True, 3)
    after.when(CHOOSE).then_nothing()
    after.when(replace(CHOOSE, digest=a_digest("others"))).then_refused("id_taken", "audience_id")


def test_only_rows_that_lie_in_the_vault_can_be_chosen() -> None:
    A_WORKSPACE.when(CHOOSE).then_refused("not_in_the_vault", "digest")
    Given().vault(imported=DIGEST).when(CHOOSE).then_refused("unknown_workspace", "workspace")
