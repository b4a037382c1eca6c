"""The tree of RFC 6962/9162 against a naive reference, published vectors and another implementation."""

from __future__ import annotations

import base64
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.tlog.errors import BadProof
from kit.tlog.merkle import (
    EMPTY_ROOT,
    RightEdge,
    inclusion_ranges,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root_from_inclusion,
    subtrees,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.kit.tlog_support import naive_consistency, naive_path, naive_root

ENTRIES = [f"entry {n}".encode() for n in range(330)]
LEAVES = [leaf_hash(each) for each in ENTRIES]

# The test tree of the Certificate Transparency reference code (google/certificate-transparency,
# cpp/merkletree/merkle_tree_test.cc), in use by every implementation since: eight leaves and their roots.
CT_LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@cache
def subtree(height: int, index: int) -> bytes:
    return naive_root(ENTRIES[index << height : (index + 1) << height])


def test_empty_tree_has_the_hash_of_nothing() -> None:
    assert base64.b64encode(EMPTY_ROOT) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert RightEdge().root() == EMPTY_ROOT


def test_roots_are_those_of_the_certificate_transparency_test_tree() -> None:
    edge = RightEdge()
    for entry, expected in zip(CT_LEAVES, CT_ROOTS, strict=True):
        edge.append(leaf_hash(entry))
        assert edge.root().hex() == expected


def test_root_of_a_b_c_is_the_known_one() -> None:
    root = tree_hash([leaf_hash(each) for each in (b"a", b"b", b"c")])
    assert base64.b64encode(root) == b"NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE="


def test_right_edge_equals_the_naive_tree_at_every_size_to_330() -> None:
    edge = RightEdge()
    for size in range(331):
        assert edge.size == size
        assert edge.root() == naive_root(ENTRIES[:size])
        if size < 330:
            edge.append(LEAVES[size])


def test_right_edge_restarts_from_its_nodes_alone() -> None:
    edge = RightEdge()
    for leaf in LEAVES[:201]:
        edge = RightEdge(edge.size, edge.nodes)
        edge.append(leaf)
    assert edge.root() == naive_root(ENTRIES[:201])


def test_right_edge_refuses_a_wrong_number_of_nodes() -> None:
    with pytest.raises(ValueError, match="complete subtrees"):
        RightEdge(3, [LEAVES[0]])


def test_a_copied_edge_leaves_the_original_alone() -> None:
    edge = RightEdge()
    edge.append(LEAVES[0])
    other = edge.copy()
    other.append(LEAVES[1])
    assert edge.root() == LEAVES[0]
    assert edge.size == 1


@pytest.mark.parametrize("size", [*range(1, 70), 127, 128, 129, 255, 256, 257, 300, 330])
def test_inclusion_proofs_equal_the_reference_and_verify(size: int) -> None:
    root = naive_root(ENTRIES[:size])
    for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
        proof = prove_inclusion(index, size, subtree)
        assert proof == naive_path(index, ENTRIES[:size])
        verify_inclusion(LEAVES[index], index, size, proof, root)


@pytest.mark.parametrize("second", [*range(1, 40), 63, 64, 65, 255, 256, 257, 330])
def test_consistency_proofs_equal_the_reference_and_verify(second: int) -> None:
    new = naive_root(ENTRIES[:second])
    for first in range(1, second + 1):
        proof = prove_consistency(first, second, subtree)
        assert proof == naive_consistency(first, ENTRIES[:second])
        verify_consistency(first, second, naive_root(ENTRIES[:first]), new, proof)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 330))
    index = data.draw(st.integers(0, size - 1))
    root = naive_root(ENTRIES[:size])
    proof = prove_inclusion(index, size, subtree)
    kind = data.draw(st.sampled_from(["flip", "drop", "add", "leaf", "swap"]))
    leaf = LEAVES[index]
    changed = list(proof)
    at = data.draw(st.integers(0, len(proof) - 1))
    if kind == "flip":
        changed[at] = bytes([changed[at][0] ^ 1]) + changed[at][1:]
    elif kind == "drop":
        del changed[at]
    elif kind == "add":
        changed.insert(at, LEAVES[0])
    elif kind == "leaf":
        leaf = leaf_hash(b"another entry")
    else:
        changed.reverse()
        if changed == proof:
            return
    with pytest.raises(BadProof):
        verify_inclusion(leaf, index, size, changed, root)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_proof_for_one_index_does_not_prove_another(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 330))
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda each: each != index))
    proof = prove_inclusion(index, size, subtree)
    with pytest.raises(BadProof):
        verify_inclusion(LEAVES[index], other, size, proof, naive_root(ENTRIES[:size]))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_rewritten_history_has_no_consistency_proof(data: st.DataObject) -> None:
    second = data.draw(st.integers(2, 330))
    first = data.draw(st.integers(1, second - 1))
    changed = data.draw(st.integers(0, first - 1))
    forked = [*ENTRIES[:changed], b"rewritten", *ENTRIES[changed + 1 : first]]
    proof = prove_consistency(first, second, subtree)
    with pytest.raises(BadProof):
        verify_consistency(first, second, naive_root(forked), naive_root(ENTRIES[:second]), proof)
    with pytest.raises(BadProof):
        verify_consistency(first, second, naive_root(ENTRIES[:first]), naive_root(forked), proof)


def test_a_log_does_not_shrink() -> None:
    with pytest.raises(BadProof, match="shrink"):
        verify_consistency(2, 1, LEAVES[0], LEAVES[0], [])


def test_every_log_is_consistent_with_the_empty_one() -> None:
    assert prove_consistency(0, 5, subtree) == []
    verify_consistency(0, 5, EMPTY_ROOT, naive_root(ENTRIES[:5]), [])
    with pytest.raises(BadProof):
        verify_consistency(0, 5, LEAVES[0], naive_root(ENTRIES[:5]), [])
    with pytest.raises(BadProof):
        verify_consistency(0, 5, EMPTY_ROOT, naive_root(ENTRIES[:5]), [LEAVES[0]])


def test_one_size_has_one_root() -> None:
    verify_consistency(5, 5, LEAVES[0], LEAVES[0], [])
    with pytest.raises(BadProof, match="different roots"):
        verify_consistency(5, 5, LEAVES[0], LEAVES[1], [])
    with pytest.raises(BadProof, match="too long"):
        verify_consistency(5, 5, LEAVES[0], LEAVES[0], [LEAVES[1]])


def test_refuses_an_index_beyond_the_tree() -> None:
    with pytest.raises(BadProof):
        inclusion_ranges(5, 5)
    with pytest.raises(BadProof):
        root_from_inclusion(LEAVES[0], 5, 5, [])
    with pytest.raises(BadProof):
        root_from_inclusion(LEAVES[0], -1, 5, [])


def test_refuses_hashes_that_are_not_32_bytes() -> None:
    with pytest.raises(BadProof, match="32 bytes"):
        root_from_inclusion(LEAVES[0], 0, 2, [b"short"])


@given(st.integers(1, 10**12), st.data())
def test_proof_ranges_of_large_trees_cover_every_other_leaf_once(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    ranges = sorted([*inclusion_ranges(index, size), (index, index + 1)])
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    for start, end in ranges:
        at = start
        for height, number in subtrees(start, end):
            assert number << height == at
            at += 1 << height
        assert at == end


@pytest.mark.peer
def test_pymerkle_finds_the_same_roots_and_accepts_the_same_leaves() -> None:
    """Another implementation of RFC 9162, by another author."""
    pymerkle = pytest.importorskip("pymerkle", reason="pymerkle (GPL, tests only) is not installed")
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    edge = RightEdge()
    for size, entry in enumerate(ENTRIES[:270], start=1):
        tree.append_entry(entry)
        edge.append(leaf_hash(entry))
        assert tree.get_root(size) == edge.root()
