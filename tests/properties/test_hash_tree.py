"""The Merkle tree against the definitions of RFC 6962 written down naively, and against published vectors."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import LedgerProofError
from guard.ledger.hash_tree import (
    EMPTY_ROOT,
    Frontier,
    appended_nodes,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    peak_positions,
    root_hash,
    verify_consistency,
    verify_inclusion,
)

ALL_SIZES = 130


def split(count: int) -> int:
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(old: int, leaves: list[bytes], *, known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if old == len(leaves):
        return [] if known else [naive_root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*naive_proof(old, leaves[:k], known=known), naive_root(leaves[k:])]
    return [*naive_proof(old - k, leaves[k:], known=False), naive_root(leaves[:k])]


class StoredTree:
    """What the database holds: complete subtrees by position; counts how often they are read."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        for size, leaf in enumerate(leaves):
            for level, index, digest in appended_nodes(size, leaf_hash(leaf), self.read):
                assert (level, index) not in self.nodes
                self.nodes[level, index] = digest
        self.reads = 0

    def read(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.nodes[level, index]


def leaves_of(count: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(count)]


LEAVES = leaves_of(ALL_SIZES)
TREE = StoredTree(LEAVES)
ROOTS = [naive_root(LEAVES[:size]) for size in range(ALL_SIZES + 1)]


def test_roots_of_all_sizes() -> None:
    frontier = Frontier()
    for size in range(ALL_SIZES + 1):
        assert root_hash(size, TREE.read) == ROOTS[size]
        assert frontier.root() == ROOTS[size]
        if size < ALL_SIZES:
            for level, index, digest in frontier.add(leaf_hash(LEAVES[size])):
                assert TREE.nodes[level, index] == digest


def test_inclusion_of_every_leaf_in_all_sizes() -> None:
    for size in range(1, ALL_SIZES + 1):
        for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
            path = inclusion_path(index, size, TREE.read)
            assert path == naive_path(index, LEAVES[:size])
            verify_inclusion(leaf_hash(LEAVES[index]), index, size, path, ROOTS[size])


def test_consistency_of_all_pairs_of_sizes() -> None:
    for new in range(ALL_SIZES + 1):
        for old in range(0, new + 1, 1 if new < 40 else 7):
            path = consistency_path(old, new, TREE.read)
            assert path == (naive_proof(old, LEAVES[:new]) if old else [])
            verify_consistency(old_size=old, old_root=ROOTS[old], new_size=new, new_root=ROOTS[new], path=path)


@settings(deadline=None)  # a busy machine is not a failure
@given(data=st.data())
def test_a_proof_fits_nothing_but_its_own_leaf_place_and_tree(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, ALL_SIZES))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, TREE.read)
    leaf, root = leaf_hash(LEAVES[index]), ROOTS[size]
    kind = data.draw(st.sampled_from(["leaf", "index", "root", "bit", "shorter", "longer"]))
    if kind == "leaf":
        leaf = leaf_hash(b"another")
    elif kind == "index":
        index = data.draw(st.integers(-2, size + 2).filter(lambda other: other != index))
    elif kind == "root":
        root = ROOTS[size - 1]
    elif kind == "longer":
        path = [*path, data.draw(st.binary(min_size=32, max_size=32))]
    elif path and kind == "bit":
        place = data.draw(st.integers(0, len(path) - 1))
        path[place] = bytes([path[place][0] ^ 1]) + path[place][1:]
    elif path:
        path = path[:-1]
    else:
        return
    with pytest.raises(LedgerProofError):
        verify_inclusion(leaf, index, size, path, root)


@settings(deadline=None)  # a busy machine is not a failure
@given(data=st.data())
def test_consistency_fits_nothing_but_its_own_pair(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, ALL_SIZES))
    old = data.draw(st.integers(1, new - 1))
    path = consistency_path(old, new, TREE.read)
    case = {"old_size": old, "old_root": ROOTS[old], "new_size": new, "new_root": ROOTS[new], "path": path}
    kind = data.draw(st.sampled_from(["old_root", "new_root", "bit", "shorter", "longer"]))
    if kind.endswith("root"):
        case[kind] = leaf_hash(b"another")
    elif kind == "bit":
        place = data.draw(st.integers(0, len(path) - 1))
        case["path"] = [*path[:place], bytes([path[place][0] ^ 1]) + path[place][1:], *path[place + 1 :]]
    else:
        case["path"] = path[:-1] if kind == "shorter" else [*path, bytes(32)]
    with pytest.raises(LedgerProofError):
        verify_consistency(**case)


def test_the_edges_of_consistency() -> None:
    verify_consistency(old_size=0, old_root=EMPTY_ROOT, new_size=9, new_root=ROOTS[9], path=[])
    verify_consistency(old_size=9, old_root=ROOTS[9], new_size=9, new_root=ROOTS[9], path=[])
    bad = [
        {"old_size": 0, "old_root": ROOTS[1], "new_size": 9, "new_root": ROOTS[9], "path": []},
        {"old_size": 9, "old_root": ROOTS[8], "new_size": 9, "new_root": ROOTS[9], "path": []},
        {"old_size": 9, "old_root": ROOTS[9], "new_size": 9, "new_root": ROOTS[9], "path": [ROOTS[1]]},
        {"old_size": 9, "old_root": ROOTS[9], "new_size": 8, "new_root": ROOTS[8], "path": []},
        {"old_size": -1, "old_root": ROOTS[9], "new_size": 8, "new_root": ROOTS[8], "path": []},
        {"old_size": 7, "old_root": ROOTS[7], "new_size": 9, "new_root": ROOTS[9], "path": []},
    ]
    for case in bad:
        with pytest.raises(LedgerProofError):
            verify_consistency(**case)
    for old, new in ((-1, 3), (4, 3)):
        with pytest.raises(LedgerProofError):
            consistency_path(old, new, TREE.read)
    for index in (-1, 3):
        with pytest.raises(LedgerProofError):
            inclusion_path(index, 3, TREE.read)


def test_a_leaf_is_never_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


@settings(deadline=None)  # a busy machine is not a failure
@given(size=st.integers(1, 2**40), index=st.integers(0, 2**40))
def test_work_grows_with_the_logarithm(size: int, index: int) -> None:
    reads = 0

    def read(level: int, position: int) -> bytes:
        nonlocal reads
        reads += 1
        assert (position + 1) << level <= size, "a subtree that is not complete yet was asked for"
        return bytes(32)

    bits = size.bit_length()
    root_hash(size, read)
    assert reads == len(peak_positions(size)) <= bits
    inclusion_path(index % size, size, read)
    consistency_path(index % size, size, read)
    appended_nodes(size, bytes(32), read)
    assert reads <= 7 * bits


VECTOR_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
VECTOR_ROOTS = [
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
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
VECTOR_PATHS = {
    (0, 1): [],
    (0, 8): [A, B, C],
    (5, 8): [D, E, VECTOR_ROOTS[4]],
    (2, 3): [VECTOR_ROOTS[2]],
    (1, 5): [VECTOR_ROOTS[1], B, D],
}
VECTOR_PROOFS = {(1, 1): [], (1, 8): [A, B, C], (6, 8): [F, E, VECTOR_ROOTS[4]], (2, 5): [B, D]}


def test_the_vectors_of_certificate_transparency() -> None:
    """Source: google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc (reference tree of 8 leaves)."""
    tree = StoredTree([bytes.fromhex(leaf) for leaf in VECTOR_LEAVES])
    assert [root_hash(size, tree.read).hex() for size in range(9)] == VECTOR_ROOTS
    for (index, size), path in VECTOR_PATHS.items():
        assert [item.hex() for item in inclusion_path(index, size, tree.read)] == path
    for (old, new), path in VECTOR_PROOFS.items():
        assert [item.hex() for item in consistency_path(old, new, tree.read)] == path
