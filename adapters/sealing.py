"""The installation's two secrets, and everything that is encrypted or made unguessable with them.

The master key seals (AES-256-GCM); the pepper names things by what they contain (HMAC-SHA256), so that equal texts and
equal numbers are found again and nobody without the pepper can guess them. Each use has a subkey of its own.
"""

import hmac
import os
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.message import Ref, WorkspaceId

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = b"\x01"  # the first byte of everything sealed: AES-256-GCM, then the nonce, then the ciphertext and its tag

APART = b"\x02"  # before a person's key that is wrapped under a key of the workspace's own
PERSON_KEYS = "person-keys"


class SealBroken(Exception):
    """What was sealed cannot be opened here: it was changed, moved to another place, or sealed under another key."""


def bound(*parts: object) -> bytes:
    """The parts as bytes, each with its length before it, so that no two lists of parts look the same."""
    encoded = [str(part).encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def expand(key: bytes, *label: object) -> bytes:
    """A subkey of 32 bytes: HKDF-Expand with SHA-256 (RFC 5869, one block; our keys are uniform, so no Extract)."""
    return hmac.digest(key, label_of(*label), "sha256")


@lru_cache(maxsize=4_096)
def label_of(*label: object) -> bytes:
    """A label as it goes into a subkey."""
    return bound("drumline", *label) + b"\x01"


@lru_cache(maxsize=4_096)
def place_of(field: str, version: int) -> bytes:
    """A field's place among all that is sealed of one person."""
    return bound(field, version)


class Box:
    """Seals bytes under one key, each bound to the place where they belong."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, data: bytes, place: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + nonce + self._cipher.encrypt(nonce, data, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """The bytes that were sealed for this place. Raises SealBroken."""
        if sealed[:1] != FORMAT:
            raise SealBroken("sealed in an unknown format")
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, place)
        except (InvalidTag, ValueError) as error:
            raise SealBroken("changed, moved, or sealed under another key") from error


class PersonKey:
    """One person's own key: whoever destroys it has erased what was sealed under it."""

    __slots__ = ("_box", "_key", "whose")

    def __init__(self, key: bytes, workspace: WorkspaceId, recipient_id: UUID) -> None:
        self._key = key
        self._box: Box | None = None  # made when it is needed: a list that is imported again needs it of few
        self.whose = bound(workspace, recipient_id)  # the place where the key itself belongs, and all under it

    def seal(self, field: str, version: int, value: str) -> bytes:
        return self._fields().seal(value.encode(), self.whose + place_of(field, version))

    def open(self, field: str, version: int, sealed: bytes) -> str:
        return self._fields().open(sealed, self.whose + place_of(field, version)).decode()

    def commit(self, data: bytes) -> bytes:
        """What tells equal data from unequal without opening anything: an HMAC under this person's key."""
        return hmac.digest(expand(self._key, "commitment"), data, "sha256")

    def _fields(self) -> Box:
        if self._box is None:
            self._box = Box(expand(self._key, "fields"))
        return self._box


class Sealing:
    """The subkeys of this installation's master key and pepper (32 random bytes each), by workspace and use."""

    def __init__(self, master: bytes, pepper: bytes) -> None:
        if len(master) != KEY_BYTES or len(pepper) != KEY_BYTES:
            raise ValueError(f"the master key and the pepper are {KEY_BYTES} bytes each")
        self._former = Box(expand(master, PERSON_KEYS))  # wrapped people's keys of every workspace once
        self._box = lru_cache(maxsize=1_024)(lambda workspace, use: Box(expand(master, use, workspace)))
        self._name = lru_cache(maxsize=1_024)(lambda workspace, use: expand(pepper, use, workspace))

    def seal(self, workspace: WorkspaceId, use: str, place: str, data: bytes) -> bytes:
        """Seal under the workspace's key for this use, bound to a place (a row's key)."""
        return self._box(workspace, use).seal(data, bound(workspace, use, place))

    def open(self, workspace: WorkspaceId, use: str, place: str, sealed: bytes) -> bytes:
        """What was sealed for this workspace, use and place. Raises SealBroken."""
        return self._box(workspace, use).open(sealed, bound(workspace, use, place))

    def mac(self, workspace: WorkspaceId, use: str, data: bytes) -> bytes:
        """32 bytes that only equal data gives, in this workspace and for this use."""
        return hmac.digest(self._name(workspace, use), data, "sha256")

    def content_ref(self, workspace: WorkspaceId, text: str) -> Ref:
        """The name of a text: the same text has the same one in a workspace, and another in another."""
        return Ref(self.mac(workspace, "content", text.encode()).hex())

    def personal_ref(self, workspace: WorkspaceId, recipient_id: UUID, text: str) -> Ref:
        """The name of a text about one person: nobody else's equal words have it."""
        return Ref(self.mac(workspace, "personal", bound(recipient_id, text)).hex())

    def number_hmac(self, workspace: WorkspaceId, number: str) -> bytes:
        """What a number (E.164) is looked up by."""
        return self.mac(workspace, "number", number.encode())

    def word_hmac(self, workspace: WorkspaceId, word: str) -> int:
        """What a word of a name is looked for by: 32 bits, so it may be another word's, too."""
        return int.from_bytes(self.mac(workspace, "word", word.encode())[:4], "big", signed=True)

    def recipient_id(self, workspace: WorkspaceId, number: str) -> UUID:
        """The id of whoever has this number (E.164): the same number is the same recipient in a workspace."""
        raw = bytearray(self.mac(workspace, "recipient", number.encode())[:16])
        raw[6] = raw[6] & 0x0F | 0x80  # version 8 of RFC 9562: made by rules of our own
        raw[8] = raw[8] & 0x3F | 0x80
        return UUID(bytes=bytes(raw))

    def new_person(self, workspace: WorkspaceId, recipient_id: UUID) -> tuple[PersonKey, bytes]:
        """A new random key for a person, and the same key wrapped under the workspace's own, to be kept."""
        key = os.urandom(KEY_BYTES)
        person = PersonKey(key, workspace, recipient_id)
        return person, APART + self._box(workspace, PERSON_KEYS).seal(key, person.whose)

    def person(self, workspace: WorkspaceId, recipient_id: UUID, wrapped: bytes) -> PersonKey:
        """A person's key, unwrapped. Raises SealBroken when it is not this person's."""
        box = self._former
        if wrapped[:1] == APART:
            box, wrapped = self._box(workspace, PERSON_KEYS), wrapped[1:]
        return PersonKey(box.open(wrapped, bound(workspace, recipient_id)), workspace, recipient_id)
