"""Merkle trees: RFC 9162 shape against a direct transcription of its recursion, proofs, the incremental tree, salted rows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import merkle
from gridcore.errors import EncodingError, InvariantError
from gridcore.sm3 import sm3
from gridcore.sm3.hashers import PythonHasher
from gridcore.sm3.rows import SALT_BYTES, LoopKernel

LEAVES = [bytes([number]) for number in range(70)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def recursive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sm3(b"")
    if len(leaves) == 1:
        return sm3(b"\x00" + leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sm3(b"\x01" + recursive_root(leaves[:k]) + recursive_root(leaves[k:]))


def recursive_proof(size_old: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162 section 2.1.4.1, word for word."""
    if size_old == len(leaves):
        return [] if whole else [recursive_root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if size_old <= k:
        return [*recursive_proof(size_old, leaves[:k], whole), recursive_root(leaves[k:])]
    return [*recursive_proof(size_old - k, leaves[k:], False), recursive_root(leaves[:k])]


@pytest.mark.parametrize("size", range(20))
def test_level_pairing_gives_the_rfc_tree_and_all_its_proofs(size: int) -> None:
    leaves = [bytes([number]) for number in range(size)]
    root = recursive_root(leaves)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    assert merkle.root(leaves) == merkle.root_of_hashes(hashes) == merkle.Tree(hashes).root() == root
    for index, leaf in enumerate(leaves):
        path = merkle.inclusion_path(hashes, index)
        assert merkle.is_included(leaf, index, size, path, root)
        sided = merkle.sided_path(hashes, index)
        assert merkle.fold(hashes[index], sided) == root
        tree = merkle.Tree(hashes)
        assert tree.path(index) == path
        assert tree.sided_path(index) == sided
    for size_old in range(1, size + 1):
        proof = recursive_proof(size_old, leaves)
        assert merkle.is_consistent(size_old, recursive_root(leaves[:size_old]), size, root, proof)


@given(st.integers(1, 70), st.data())
@settings(max_examples=60, deadline=None)
def test_no_other_leaf_index_size_path_or_root_is_included(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaf, hashes = bytes([index]), HASHES[:size]
    root, path = merkle.root_of_hashes(hashes), merkle.inclusion_path(hashes, index)
    assert merkle.is_included(leaf, index, size, path, root)
    assert not merkle.is_included(leaf + b"x", index, size, path, root)
    assert not merkle.is_included(leaf, index, size, path, root[::-1])
    assert not merkle.is_included(leaf, index, size, [*path, root], root)
    assert not any(merkle.is_included(leaf, other, size, path, root) for other in range(-1, size + 2) if other != index)
    if path:
        assert not merkle.is_included(leaf, index, size, path[:-1], root)
        assert not merkle.is_included(leaf, index, size, [path[0][:-1], *path[1:]], root)


@given(st.integers(2, 60), st.data())
@settings(max_examples=60, deadline=None)
def test_no_rewritten_history_is_consistent(size: int, data: st.DataObject) -> None:
    size_old = data.draw(st.integers(1, size - 1))
    old, new = merkle.root_of_hashes(HASHES[:size_old]), merkle.root_of_hashes(HASHES[:size])
    proof = recursive_proof(size_old, LEAVES[:size])
    assert merkle.is_consistent(size_old, old, size, new, proof)
    changed = [b"changed", *LEAVES[1:size]]
    assert not merkle.is_consistent(size_old, old, size, merkle.root(changed), recursive_proof(size_old, changed))
    assert not merkle.is_consistent(size_old, old, size, new, [])
    assert not merkle.is_consistent(size_old, old, size, new, [*proof, new])
    assert not merkle.is_consistent(size, new, size_old, old, proof)
    for position in range(len(proof)):
        altered = [*proof[:position], proof[position][::-1], *proof[position + 1 :]]
        assert not merkle.is_consistent(size_old, old, size, new, altered)


def test_at_equal_and_empty_sizes_only_equal_and_empty_roots_are_consistent() -> None:
    root = merkle.root_of_hashes(HASHES[:3])
    assert merkle.is_consistent(3, root, 3, root, [])
    assert not merkle.is_consistent(3, root, 3, root, [root])
    assert not merkle.is_consistent(3, root, 3, merkle.EMPTY_ROOT, [])
    assert merkle.is_consistent(0, merkle.EMPTY_ROOT, 3, root, [])
    assert not merkle.is_consistent(0, root, 3, root, [])
    assert merkle.is_consistent(0, merkle.EMPTY_ROOT, 0, merkle.EMPTY_ROOT, [])
    assert not merkle.is_consistent(0, root, 0, root, [])
    assert not merkle.is_consistent(-1, root, 3, root, [])
    assert not merkle.is_consistent(3, b"", 3, b"", [])


def test_trap_16_second_preimages_and_duplicated_last_leaves_have_other_roots() -> None:
    assert merkle.root([]) == merkle.EMPTY_ROOT == sm3(b"")
    assert merkle.root([b""]) == sm3(b"\x00") != merkle.EMPTY_ROOT
    left, right = HASHES[:2]
    # An inner node offered as a leaf: the prefixes keep the two apart.
    assert merkle.root([left + right]) != merkle.root_of_hashes([left, right])
    assert not merkle.is_included(left + right, 0, 2, HASHES[2:3], merkle.root_of_hashes(HASHES[:3]))
    # CVE-2012-2459: trees that duplicate an odd last node give these two lists one root.
    assert merkle.root_of_hashes(HASHES[:3]) != merkle.root_of_hashes([*HASHES[:3], HASHES[2]])
    assert merkle.root_of_hashes(HASHES[:6]) != merkle.root_of_hashes([*HASHES[:6], *HASHES[4:6]])
    roots = {merkle.root_of_hashes(HASHES[:size]) for size in range(70)}
    assert len(roots) == 70


@given(
    st.lists(st.tuples(st.sampled_from(["append", "update", "root"]), st.integers(0, 1_000)), max_size=60),
    st.integers(0, 40),
)
@settings(max_examples=80, deadline=None)
def test_incremental_tree_equals_the_tree_built_anew(steps: list[tuple[str, int]], start: int) -> None:
    hashes = HASHES[:start]
    tree = merkle.Tree(hashes)
    for step, number in steps:
        if step == "append":
            hashes.append(merkle.leaf_hash(number.to_bytes(2, "big")))
            assert tree.append(hashes[-1]) == len(hashes) - 1
        elif step == "update" and hashes:
            index = number % len(hashes)
            hashes[index] = merkle.leaf_hash(b"u" + number.to_bytes(2, "big"))
            tree.update(index, hashes[index])
        elif step == "root":
            assert tree.root() == merkle.root_of_hashes(hashes)
    assert len(tree) == len(hashes)
    assert tree.root() == merkle.root_of_hashes(hashes)
    for index in range(len(hashes)):
        assert tree.leaf(index) == hashes[index]
        assert tree.sided_path(index) == merkle.sided_path(hashes, index)


def test_a_batch_of_updates_rehashes_each_shared_node_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = merkle.Tree([merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(1024)])
    tree.root()
    hashed = 0

    class Counting(LoopKernel):
        def level(self, digests: bytes) -> bytes:
            nonlocal hashed
            hashed += len(digests) // 64
            return super().level(digests)

    monkeypatch.setattr(merkle, "ROWS", Counting("python", PythonHasher))
    for index in range(8):
        tree.update(index, HASHES[index])
    tree.root()
    assert hashed == 4 + 2 + 1 + 7
    tree.root()
    assert hashed == 14


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_the_tree_is_a_broken_promise(index: int) -> None:
    for call in (merkle.inclusion_path, merkle.sided_path):
        with pytest.raises(InvariantError):
            call(HASHES[:3], index)
    for method in (merkle.Tree(HASHES[:3]).path, merkle.Tree(HASHES[:3]).leaf):
        with pytest.raises(InvariantError):
            method(index)


@pytest.mark.parametrize(
    "item", [b"", b"\x00" + HASHES[0][1:], b"\x02" + HASHES[0], HASHES[0], b"\x01" + HASHES[0] + b"\x00"]
)
def test_a_malformed_sided_path_is_an_encoding_error(item: bytes) -> None:
    with pytest.raises(EncodingError, match="path item 0"):
        merkle.fold(HASHES[0], [item])


def test_paths_and_leaf_hashes_have_their_limits() -> None:
    item = b"\x00" + HASHES[0]
    assert len(merkle.fold(HASHES[0], [item] * merkle.PATH_ITEMS_MAX)) == 32
    with pytest.raises(EncodingError, match="at most 64"):
        merkle.fold(HASHES[0], [item] * (merkle.PATH_ITEMS_MAX + 1))
    with pytest.raises(EncodingError, match="leaf hash of 31 bytes"):
        merkle.fold(HASHES[0][1:], [])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_salts_are_the_key_derivation_stream_cut_in_halves(count: int) -> None:
    seed = b"seed"
    stream = b"".join(sm3(seed + counter.to_bytes(4, "big")) for counter in range(1, 6))
    halves = [stream[16 * index : 16 * index + 16] for index in range(count)]
    assert list(merkle.salts(seed, count)) == halves
    assert [merkle.salt_at(seed, index) for index in range(count)] == halves


def test_salts_begin_with_the_standards_own_stream() -> None:
    # GB/T 32918.5-2017 annex C: x2 || y2 of the encryption example and the first bytes of t.
    seed = bytes.fromhex(
        "335e18d751e51f040e27d468138b7ab1dc86ad7f981d7d416222fd6ab3ed230dab743ebcfb22d64f7b6ab791f70658f25b48fa93e54064fdbfbed3f0bd847ac9"
    )
    assert b"".join(merkle.salts(seed, 2)).hex().startswith("44e60fdbf0bae81437665374bef26749046c9e")


@given(st.binary(max_size=40), st.integers(1, 130), st.integers(0, 40), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_salted_rows_are_leaves_over_salt_and_row(seed: bytes, row_bytes: int, count: int, draw: random.Random) -> None:
    rows = [draw.randbytes(row_bytes) for _ in range(count)]
    salts = merkle.salts(seed, len(rows))
    expected = [sm3(b"\x00" + salt + row) for salt, row in zip(salts, rows, strict=True)]
    assert list(merkle.salted_leaf_hashes(seed, rows)) == expected
    assert [merkle.salted_leaf_hash(salt, row) for salt, row in zip(salts, rows, strict=True)] == expected


def test_a_full_row_with_salt_and_prefix_fills_one_block() -> None:
    assert 1 + SALT_BYTES + merkle.ROW_BYTES_MAX + 9 == 64  # 0x80 and the length follow the message
    with pytest.raises(EncodingError, match="salt of 15 bytes"):
        merkle.salted_leaf_hash(b"s" * 15, b"row")


@given(st.integers(0, 70), st.integers(0, 70))
def test_salts_from_a_number_on_are_those_of_the_whole(first: int, count: int) -> None:
    whole = merkle.salts(b"seed", first + count)
    assert list(merkle.salts(b"seed", count, first)) == list(whole)[first:]
