"""Merkle tree of RFC 9162 section 2.1 (hashes as in RFC 6962) with inclusion and consistency proofs."""

import hashlib
from collections.abc import Sequence


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry), 32 bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes. Without leaves, SHA-256 of the empty string."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = _split_point(len(leaves))
    return node_hash(root_hash(leaves[:split]), root_hash(leaves[split:]))


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Hashes that lead from leaf `index` to the root, lowest first (2.1.3.1). Raises ValueError out of range."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"no leaf {index} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = _split_point(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if index < split:
        return [*inclusion_proof(index, left), root_hash(right)]
    return [*inclusion_proof(index - split, right), root_hash(left)]


def consistency_proof(old_size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Proof that the tree of the first `old_size` leaves is a prefix of this one (2.1.4.1). Raises ValueError out of range."""
    if not 0 < old_size <= len(leaves):
        raise ValueError(f"no tree of {old_size} within a tree of {len(leaves)}")
    return _consistency_subproof(old_size, leaves, whole=True)


def verify_inclusion(index: int, size: int, leaf: bytes, *, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is leaf `index` of the tree with `size` leaves and root `root` (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            position, last = _skip_missing_siblings(position, last)
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(sizes: tuple[int, int], roots: tuple[bytes, bytes], *, proof: Sequence[bytes]) -> bool:
    """Whether the tree (old size, old root) is a prefix of the tree (new size, new root) (2.1.4.2)."""
    (old_size, new_size), (old_root, new_root) = sizes, roots
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    # If the old size is a power of two, the old root is the first node of the path and omitted from the proof.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            position, last = _skip_missing_siblings(position, last)
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _split_point(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _skip_missing_siblings(position: int, last: int) -> tuple[int, int]:
    """Skip levels on which the node has no sibling. Nothing is skipped when `position` is odd."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _consistency_subproof(old_size: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF of the RFC. With `whole` the verifier knows the root of these leaves, so it is omitted."""
    if old_size == len(leaves):
        return [] if whole else [root_hash(leaves)]
    split = _split_point(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if old_size <= split:
        return [*_consistency_subproof(old_size, left, whole=whole), root_hash(right)]
    return [*_consistency_subproof(old_size - split, right, whole=False), root_hash(left)]
