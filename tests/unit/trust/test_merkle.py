"""Compare with a second implementation of RFC 9162 that pairs levels bottom-up instead of splitting top-down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.trust.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(70)]


def levels(leaves: list[bytes]) -> list[list[bytes]]:
    """Pair neighbours; a last node without a neighbour moves up unchanged."""
    rows = [leaves]
    while len(rows[-1]) > 1:
        row = rows[-1]
        paired = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        rows.append(paired + row[len(row) - len(row) % 2 :])
    return rows


def siblings(index: int, leaves: list[bytes]) -> list[bytes]:
    path = []
    for row in levels(leaves)[:-1]:
        if index ^ 1 < len(row):
            path.append(row[index ^ 1])
        index //= 2
    return path


@pytest.mark.parametrize("size", range(1, 70))
def test_root_and_every_inclusion_proof(size: int) -> None:
    leaves = LEAVES[:size]
    root = root_hash(leaves)
    assert root == levels(leaves)[-1][0]
    for index, leaf in enumerate(leaves):
        proof = inclusion_proof(index, leaves)
        assert proof == siblings(index, leaves)
        assert verify_inclusion(index, size, leaf, proof=proof, root=root)
        assert not verify_inclusion(index, size, leaf_hash(b"x"), proof=proof, root=root)
        assert not verify_inclusion(index, size, leaf, proof=[*proof, leaf], root=root)
        assert not verify_inclusion(index, size, leaf, proof=proof[:-1], root=root) or size == 1


@pytest.mark.parametrize("size", range(1, 70))
def test_every_consistency_proof(size: int) -> None:
    root = root_hash(LEAVES[:size])
    for old_size in range(1, size + 1):
        old_root = root_hash(LEAVES[:old_size])
        proof = consistency_proof(old_size, LEAVES[:size])
        assert verify_consistency((old_size, size), (old_root, root), proof=proof)
        assert not verify_consistency((old_size, size), (leaf_hash(b"x"), root), proof=proof)
        assert not verify_consistency((old_size, size), (old_root, leaf_hash(b"x")), proof=proof)
        assert not verify_consistency((old_size, size), (old_root, root), proof=[*proof, root])


@given(st.integers(1, 69), st.data())
def test_a_proof_is_of_one_place_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size + 2).filter(lambda place: place != index))
    proof = inclusion_proof(index, LEAVES[:size])
    assert not verify_inclusion(other, size, LEAVES[index], proof=proof, root=root_hash(LEAVES[:size]))


@given(st.integers(2, 69), st.data())
def test_a_changed_hash_breaks_a_proof(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, LEAVES[:size])
    place = data.draw(st.integers(0, len(proof) - 1))
    changed = bytearray(proof[place])
    changed[data.draw(st.integers(0, 31))] ^= data.draw(st.integers(1, 255))
    broken = [*proof[:place], bytes(changed), *proof[place + 1 :]]
    assert not verify_inclusion(index, size, LEAVES[index], proof=broken, root=root_hash(LEAVES[:size]))


@given(st.integers(2, 69), st.data())
def test_a_rewritten_log_has_no_consistency_proof(size: int, data: st.DataObject) -> None:
    old_size = data.draw(st.integers(1, size - 1))
    rewritten = list(LEAVES[:size])
    rewritten[data.draw(st.integers(0, old_size - 1))] = leaf_hash(b"rewritten")
    roots = (root_hash(LEAVES[:old_size]), root_hash(rewritten))
    assert not verify_consistency((old_size, size), roots, proof=consistency_proof(old_size, rewritten))


def test_out_of_range_is_an_error_to_make_and_false_to_verify() -> None:
    leaves = LEAVES[:4]
    root = root_hash(leaves)
    for index in (-1, 4):
        with pytest.raises(ValueError):
            inclusion_proof(index, leaves)
        assert not verify_inclusion(index, 4, leaves[0], proof=[], root=root)
    for old_size in (0, 5, -1):
        with pytest.raises(ValueError):
            consistency_proof(old_size, leaves)
        assert not verify_consistency((old_size, 4), (root, root), proof=[])
    assert not verify_consistency((3, 4), (root_hash(LEAVES[:3]), root), proof=[])


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
