"""The Merkle tree of RFC 9162 (2.1.1) over SHA-256: one hash that stands for a whole ordered list."""

import hashlib
from collections.abc import Iterable

from domain.message import Digest


def leaf_hash(data: bytes) -> bytes:
    """A leaf: the prefix 0x00 keeps it from being taken for a node."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """An inner node over two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """The tree's head. Level by level, an odd last node moving up, is the RFC's split at the largest power of two."""
    level = [leaf_hash(leaf) for leaf in leaves]
    if not level:
        return hashlib.sha256().digest()
    while len(level) > 1:
        pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def root(leaves: Iterable[bytes]) -> Digest:
    """The head as a digest."""
    return Digest(root_hash(leaves).hex())
