"""What is sealed opens only where it belongs, and names made of contents tell nothing without the pepper."""

from uuid import RFC_4122, uuid4

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from adapters.sealing import APART, PERSON_KEYS, Box, PersonKey, SealBroken, Sealing, bound, expand
from tests.adapters.vaulted import HERE, MASTER, PEPPER, THERE

SEALING = Sealing(MASTER, PEPPER)
NUMBER = "+12025550101"


@given(st.lists(st.text()), st.lists(st.text()))
def test_two_lists_of_parts_are_bound_alike_only_when_they_are_equal(one: list[str], other: list[str]) -> None:
    assert (bound(*one) == bound(*other)) == (one == other)


def test_parts_that_run_together_are_told_apart() -> None:
    assert len({bound("ab", "c"), bound("a", "bc"), bound("abc"), bound("abc", ""), bound("", "abc")}) == 5


@given(st.binary(min_size=32, max_size=32), st.lists(st.text(max_size=20), max_size=3))
def test_a_subkey_is_what_hkdf_expand_says(key: bytes, label: list[str]) -> None:
    standard = HKDFExpand(algorithm=SHA256(), length=32, info=bound("drumline", *label))
    assert expand(key, *label) == standard.derive(key)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_is_sealed_opens_in_its_place_and_looks_different_each_time(data: bytes, place: bytes) -> None:
    box = Box(MASTER)
    sealed = box.seal(data, place)
    assert box.open(sealed, place) == data
    assert box.seal(data, place) != sealed


@given(st.binary(min_size=1, max_size=60), st.data())
def test_one_changed_bit_is_noticed(data: bytes, choose: st.DataObject) -> None:
    sealed = bytearray(Box(MASTER).seal(data, b"place"))
    index = choose.draw(st.integers(0, len(sealed) - 1))
    sealed[index] ^= 1 << choose.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        Box(MASTER).open(bytes(sealed), b"place")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 20, 28])
def test_what_is_cut_short_is_noticed(length: int) -> None:
    sealed = Box(MASTER).seal(b"", b"place")
    with pytest.raises(SealBroken):
        Box(MASTER).open(sealed[:length], b"place")


def test_what_is_sealed_for_one_place_opens_in_no_other() -> None:
    sealed = SEALING.seal(HERE, "body", "row-1", b"words")
    assert SEALING.open(HERE, "body", "row-1", sealed) == b"words"
    for workspace, use, place in ((THERE, "body", "row-1"), (HERE, "content", "row-1"), (HERE, "body", "row-2")):
        with pytest.raises(SealBroken):
            SEALING.open(workspace, use, place, sealed)


def test_a_persons_field_opens_only_as_that_field_of_that_version_of_that_person() -> None:
    recipient = SEALING.recipient_id(HERE, NUMBER)
    key, wrapped = SEALING.new_person(HERE, recipient)
    sealed = key.seal("city", 2, "Rome")
    assert SEALING.person(HERE, recipient, wrapped).open("city", 2, sealed) == "Rome"
    raw = b"k" * 32
    for other in (PersonKey(raw, HERE, uuid4()), PersonKey(raw, THERE, recipient), key):
        with pytest.raises(SealBroken):
            other.open("city", 2, PersonKey(raw, HERE, recipient).seal("city", 2, "Rome"))
    for field, version in (("name", 2), ("city", 1)):
        with pytest.raises(SealBroken):
            key.open(field, version, sealed)


def test_a_wrapped_key_is_one_persons_in_one_workspace() -> None:
    recipient = SEALING.recipient_id(HERE, NUMBER)
    _, wrapped = SEALING.new_person(HERE, recipient)
    for workspace, person in ((HERE, uuid4()), (THERE, recipient)):
        with pytest.raises(SealBroken):
            SEALING.person(workspace, person, wrapped)


def test_each_workspaces_people_have_keys_wrapped_under_a_key_of_its_own() -> None:
    recipient = SEALING.recipient_id(HERE, NUMBER)
    _, wrapped = SEALING.new_person(HERE, recipient)
    place = bound(HERE, recipient)
    assert wrapped[:1] == APART
    assert len(Box(expand(MASTER, PERSON_KEYS, HERE)).open(wrapped[1:], place)) == 32
    for other in (expand(MASTER, PERSON_KEYS, THERE), expand(MASTER, PERSON_KEYS)):
        with pytest.raises(SealBroken):
            Box(other).open(wrapped[1:], place)


def test_a_key_wrapped_before_workspaces_had_their_own_still_opens() -> None:
    recipient, key = SEALING.recipient_id(HERE, NUMBER), b"k" * 32
    former = Box(expand(MASTER, PERSON_KEYS)).seal(key, bound(HERE, recipient))
    sealed = PersonKey(key, HERE, recipient).seal("city", 1, "Rome")
    assert SEALING.person(HERE, recipient, former).open("city", 1, sealed) == "Rome"


def test_another_master_key_opens_nothing_but_names_things_alike() -> None:
    other = Sealing(b"m" * 32, PEPPER)
    with pytest.raises(SealBroken):
        other.open(HERE, "body", "row", SEALING.seal(HERE, "body", "row", b"words"))
    assert other.recipient_id(HERE, NUMBER) == SEALING.recipient_id(HERE, NUMBER)
    assert other.content_ref(HERE, "words") == SEALING.content_ref(HERE, "words")


def test_the_same_number_is_one_recipient_in_a_workspace_and_another_elsewhere_or_under_another_pepper() -> None:
    ids = {
        SEALING.recipient_id(HERE, NUMBER),
        SEALING.recipient_id(HERE, NUMBER),
        SEALING.recipient_id(THERE, NUMBER),
        Sealing(MASTER, b"p" * 32).recipient_id(HERE, NUMBER),
    }
    assert len(ids) == 3
    assert {(recipient.version, recipient.variant) for recipient in ids} == {(8, RFC_4122)}


def test_what_a_number_is_looked_up_by_is_not_in_its_recipients_id() -> None:
    assert SEALING.recipient_id(HERE, NUMBER).bytes[:6] not in SEALING.number_hmac(HERE, NUMBER)


def test_a_text_has_one_reference_in_a_workspace_and_another_elsewhere() -> None:
    ref = SEALING.content_ref(HERE, "Hello")
    assert len(ref) == 64
    assert int(ref, 16) >= 0
    assert ref == SEALING.content_ref(HERE, "Hello")
    assert len({ref, SEALING.content_ref(HERE, "Hello!"), SEALING.content_ref(THERE, "Hello")}) == 3


@pytest.mark.parametrize(("master", "pepper"), [(b"", PEPPER), (MASTER, b"short"), (MASTER + b"!", PEPPER)])
def test_secrets_of_another_length_are_not_taken(master: bytes, pepper: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealing(master, pepper)
