"""The tree is RFC 9162's: its structure, and the vectors that Certificate Transparency's implementations share."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.merkle import leaf_hash, node_hash, root, root_hash

# The inputs and roots of the Certificate Transparency reference tests (trees of the first n leaves).
LEAVES = [bytes.fromhex(leaf) for leaf in ("", "00", "10", "2021", "3031", "40414243")]
LEAVES += [bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70))]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_the_rfc(leaves: Sequence[bytes]) -> bytes:
    """MTH(D_n) of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1  # the largest power of two smaller than n
    return node_hash(by_the_rfc(leaves[:split]), by_the_rfc(leaves[split:]))


@pytest.mark.parametrize("size", range(9))
def test_the_published_vectors_hold(size: int) -> None:
    assert root(LEAVES[:size]) == ROOTS[size]


@pytest.mark.parametrize("size", range(70))
def test_every_size_has_the_rfcs_structure(size: int) -> None:
    leaves = [index.to_bytes(2, "big") for index in range(size)]
    assert root_hash(leaves) == by_the_rfc(leaves)


def test_leaves_and_nodes_have_different_prefixes() -> None:
    assert leaf_hash(b"ab") == hashlib.sha256(b"\x00ab").digest()
    assert node_hash(b"a", b"b") == hashlib.sha256(b"\x01ab").digest()


@given(st.lists(st.binary(max_size=4), max_size=12), st.lists(st.binary(max_size=4), max_size=12))
def test_different_lists_have_different_roots(one: list[bytes], other: list[bytes]) -> None:
    assert (root(one) == root(other)) == (one == other)
