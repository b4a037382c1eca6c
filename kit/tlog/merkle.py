"""Merkle tree hashes, proofs and their verification.

RFC 6962 section 2.1 (the tree, MTH) and RFC 9162 sections 2.1.3 and 2.1.4 (proofs, and how to verify them).
A proof is first written as *ranges* of leaves whose tree hashes it consists of, then each range as complete
subtrees, so that any storage that can answer "hash of the complete subtree (height, index)" can prove.
Pure: no clock, no storage, no signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from kit.tlog.errors import BadProof

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()  # RFC 6962 section 2.1: MTH({}) = SHA-256()

SubtreeHash = Callable[[int, int], bytes]
"""(height, index) -> hash of the complete subtree over leaves [index << height, (index + 1) << height)."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry; the 0x00 keeps an entry from posing as a node (second preimage)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two children."""
    return sha256(b"\x01" + left + right).digest()


def tree_hash(hashes: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes already computed: any number of them, no storage."""
    edge = RightEdge()
    for each in hashes:
        edge.append(each)
    return edge.root()


class RightEdge:
    """Everything that must be remembered of a tree to append to it: the roots of its complete subtrees.

    The subtrees are those of the binary form of the size, largest (leftmost) first.
    """

    __slots__ = ("nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.nodes = list(nodes)
        if len(self.nodes) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees")

    def copy(self) -> RightEdge:
        """An independent edge, to be thrown away when what it stands for is not kept."""
        return RightEdge(self.size, self.nodes)

    def append(self, leaf: bytes) -> bytes:
        """Add a leaf hash and return the hash of the largest subtree it completes."""
        size, nodes = self.size, self.nodes
        while size & 1:  # each trailing 1 bit is a complete subtree of the same height as `leaf` by now
            leaf = sha256(b"\x01" + nodes.pop() + leaf).digest()
            size >>= 1
        nodes.append(leaf)
        self.size += 1
        return leaf

    def root(self) -> bytes:
        """The tree hash at the present size."""
        if not self.nodes:
            return EMPTY_ROOT
        return _fold(self.nodes)


def subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """Write leaves [start, end) of a proof range as complete subtrees (height, index), left to right.

    `start` is aligned as every range of RFC 6962's recursion is: to the power of two that covers the range.
    """
    found = []
    while start < end:
        height = (end - start).bit_length() - 1
        found.append((height, start >> height))
        start += 1 << height
    return found


def range_hash(start: int, end: int, subtree: SubtreeHash) -> bytes:
    """MTH(D[start:end]) from complete subtrees."""
    if start >= end:
        return EMPTY_ROOT
    return _fold([subtree(height, index) for height, index in subtrees(start, end)])


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The ranges that prove leaf `index` in a tree of `size`, its sibling first (RFC 9162 section 2.1.3.1).

    Raises BadProof.
    """
    if not 0 <= index < size:
        raise BadProof(f"there is no leaf {index} in a tree of {size}")
    path: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    path.reverse()
    return path


def consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """The ranges that prove that tree `second` begins with tree `first` (RFC 9162 section 2.1.4.1). Raises BadProof."""
    if not 0 < first <= second:
        raise BadProof(f"no consistency proof leads from size {first} to {second}")
    if first == second:
        return []
    path: list[tuple[int, int]] = []
    start, end = 0, second
    known = True  # whether the subtree at hand is one the verifier holds as its old root (the RFC's `b`)
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
            known = False
    if not known:
        path.append((start, end))
    path.reverse()
    return path


def prove_inclusion(index: int, size: int, subtree: SubtreeHash) -> list[bytes]:
    """Inclusion proof of leaf `index` in the tree of `size`."""
    return [range_hash(start, end, subtree) for start, end in inclusion_ranges(index, size)]


def prove_consistency(first: int, second: int, subtree: SubtreeHash) -> list[bytes]:
    """Consistency proof between two sizes; empty when they are equal or the first is empty."""
    if first == 0:
        return []
    return [range_hash(start, end, subtree) for start, end in consistency_ranges(first, second)]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2, steps numbered as there).

    Raises BadProof.
    """
    if not 0 <= index < size:  # 1
        raise BadProof(f"there is no leaf {index} in a tree of {size}")
    _check_hashes([leaf, *proof])
    fn, sn = index, size - 1  # 2
    root = leaf  # 3
    for each in proof:  # 4
        if sn == 0:
            raise BadProof("the inclusion proof is too long")
        if fn & 1 or fn == sn:
            root = node_hash(each, root)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            root = node_hash(root, each)
        fn >>= 1
        sn >>= 1
    if sn != 0:  # 5
        raise BadProof("the inclusion proof is too short")
    return root


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> None:
    """Raise BadProof unless the leaf hash is at `index` of the tree with that size and root."""
    if root_from_inclusion(leaf, index, size, proof) != expected_root:
        raise BadProof("the inclusion proof does not lead to the checkpoint's root")


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise BadProof unless the first tree is a prefix of the second (RFC 9162 section 2.1.4.2)."""
    if not 0 <= first <= second:
        raise BadProof(f"a log does not shrink from {first} to {second}")
    _check_hashes([first_root, second_root, *proof])
    if first == second:
        if proof:
            raise BadProof("the consistency proof is too long")
        if first_root != second_root:
            raise BadProof("two trees of one size have different roots")
        return
    if first == 0:
        if proof:
            raise BadProof("the consistency proof is too long")
        if first_root != EMPTY_ROOT:
            raise BadProof("the empty tree has another root")
        return
    if not proof:  # 1
        raise BadProof("the consistency proof is empty")
    path = list(proof)
    if first & (first - 1) == 0:  # 2
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1  # 3
    while fn & 1:  # 4
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]  # 5
    for each in path[1:]:  # 6
        if sn == 0:
            raise BadProof("the consistency proof is too long")
        if fn & 1 or fn == sn:
            fr = node_hash(each, fr)
            sr = node_hash(each, sr)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            sr = node_hash(sr, each)
        fn >>= 1
        sn >>= 1
    if sn != 0:  # 7
        raise BadProof("the consistency proof is too short")
    if fr != first_root:
        raise BadProof("the consistency proof does not lead to the older root: history was rewritten")
    if sr != second_root:
        raise BadProof("the consistency proof does not lead to the newer root")


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (RFC 6962's k)."""
    return 1 << ((size - 1).bit_length() - 1)


def _fold(nodes: Sequence[bytes]) -> bytes:
    """Join subtree roots, largest first, from the right."""
    root = nodes[-1]
    for left in reversed(nodes[:-1]):
        root = sha256(b"\x01" + left + root).digest()
    return root


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(each) != HASH_SIZE for each in hashes):
        raise BadProof("a hash is not 32 bytes long")
