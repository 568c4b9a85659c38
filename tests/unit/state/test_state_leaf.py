"""Leaves of a state: read from where they are kept, compared with the tree, and changed by what a block decided."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gridcore import cbor, merkle
from ledger.leaves.family import Value
from ledger.registry.columns_file import encode_columns
from ledger.registry.in_force import Registry
from ledger.state import state as state_module
from ledger.state.memory import MemoryLeaves, MemoryState
from ledger.state.state import State
from ledger.tiles import TileId, TileTree, empty_tree
from tests.worlds.two_areas import TWO_AREAS

NAMES = [f"a/{number}" for number in range(200)]


def state_of(*names: str) -> KeptState:
    """A state of these leaves, in this order."""
    leaves = MemoryLeaves()
    state = KeptState(leaves, "c", empty_tree(leaves))
    for name in names:
        state.advance({name: {"n": 1}})
    return state


class KeptState(State):
    """A state with the place where it is kept."""

    leaves: MemoryLeaves

    def __init__(self, leaves: MemoryLeaves, chain: str, tree: TileTree) -> None:
        super().__init__(leaves, chain, tree)
        self.leaves = leaves

    def advance(self, values: Mapping[str, Value]) -> None:
        change = self.changed(values, {})
        self.leaves.save(change)
        self.commit(change)


def reread(state: KeptState) -> State:
    """The same state with nothing at hand."""
    return State(state.leaves, "c", TileTree(state.leaves, len(state), state.root()))


def leaf_hashes(values: Mapping[str, int]) -> list[bytes]:
    return [merkle.leaf_hash(cbor.encode([name, {"n": value}])) for name, value in values.items()]


def test_what_a_change_makes_is_known_before_anything_changes() -> None:
    state = state_of("a", "b")
    before = state.root()
    change = state.changed({"d": {"n": 4}, "c": {"n": 3}, "a": {"n": 2}}, {})
    assert (state.root(), len(state), state.get("a"), state.get("c")) == (before, 2, {"n": 1}, None)
    assert [(leaf.number, leaf.key) for leaf in change.leaves] == [(0, "a"), (2, "c"), (3, "d")]
    state.leaves.save(change)
    state.commit(change)
    assert (len(state), state.get("a"), state.get("c")) == (4, {"n": 2}, {"n": 3})
    assert state.root() == change.tree.root == merkle.root_of_hashes(leaf_hashes({"a": 2, "b": 1, "c": 3, "d": 4}))


def test_a_leaf_that_never_was_has_no_bytes_until_it_is_made() -> None:
    state = state_of("a")
    for _ in range(2):
        assert state.get("b") is None
    with pytest.raises(KeyError):
        state.leaf("b")
    state.advance({"b": {"n": 2}})
    assert (state.get("b"), state.leaf("b")) == ({"n": 2}, cbor.encode(["b", {"n": 2}]))


def test_a_leaf_or_a_tile_with_one_bit_changed_is_not_read() -> None:
    state = state_of(*NAMES)
    number, leaf = state.leaves.load_leaf("a/70") or (0, b"")
    state.leaves._leaves["a/70"] = number, leaf[:-1] + bytes([leaf[-1] ^ 1])
    with pytest.raises(RuntimeError, match="leaf a/70"):
        reread(state).get("a/70")
    state.leaves._leaves["a/70"] = number, leaf
    assert reread(state).get("a/70") == {"n": 1}
    for tile in (TileId(0, 1), TileId(1, 0)):
        digests = state.leaves.tiles[tile]
        state.leaves.tiles[tile] = digests[:-1] + bytes([digests[-1] ^ 1])
        with pytest.raises(RuntimeError, match=f"tile {tile.level}/{tile.number}"):
            reread(state).get("a/70")
        with pytest.raises(RuntimeError, match=f"tile {tile.level}/{tile.number}"):
            reread(state).changed({"a/70": {"n": 5}}, {})
        state.leaves.tiles[tile] = digests


def test_a_leaf_that_stands_under_another_key_is_not_read() -> None:
    state = state_of("a", "b")
    state.leaves._leaves["a"] = state.leaves._leaves["b"]
    with pytest.raises(RuntimeError, match="leaf a"):
        reread(state).get("a")


def test_values_at_hand_are_bounded_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    state = reread(state_of(*NAMES))
    monkeypatch.setattr(state_module, "CACHED_BYTES_MAX", 10 * 1050)
    for name in NAMES:
        state.get(name)
    assert list(state._cache._leaves) == NAMES[-10:]
    assert state._cache._bytes == sum(len(state.leaf(name)) for name in NAMES[-10:])
    assert state.get(NAMES[0]) == {"n": 1}


def test_leaves_that_have_room_of_their_own_stay_whatever_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    state = reread(state_of(*NAMES))
    monkeypatch.setattr(state_module, "CACHED_BYTES_MAX", 10 * 1050)
    state.cache_more("a/1", 5 * 1050)
    own, others = [name for name in NAMES if name.startswith("a/1")], [name for name in NAMES if name[:3] != "a/1"]
    for name in [*own, *others]:
        state.get(name)
    assert list(state._cache_of_family._leaves) == own[-5:]
    assert list(state._cache._leaves) == others[-10:]
    assert state.get(own[0]) == state_of(*NAMES).get(own[0])


def test_leaves_with_room_of_their_own_are_kept_in_the_form_that_is_asked_for_and_hash_as_they_stand() -> None:
    state = reread(state_of("a/1", "b"))
    root, leaf = state.root(), state.leaf("a/1")
    state.cache_more("a/", 1 << 20, lambda value: {**value, "is_kept": True})
    state.load_together(["a/1", "a/2"])
    assert [state.get("a/1"), state.get("a/2"), state.get("b")] == [{"n": 1, "is_kept": True}, None, {"n": 1}]
    assert (state.root(), state.leaf("a/1")) == (root, leaf)


def test_leaves_whose_room_of_their_own_is_taken_back_are_what_was_written_last() -> None:
    state = state_of("a/1")
    assert state.get("a/1") == {"n": 1}
    state.cache_more("a/", 1 << 20)
    state.advance({"a/1": {"n": 2}})
    state.cache_more("a/", 0)
    assert state.get("a/1") == {"n": 2}


def test_a_registry_row_with_one_bit_changed_is_not_read() -> None:
    state = MemoryState(TWO_AREAS.genesis)
    digest = (state.get("rules/r") or {})["entries"][0][2]
    body = state.body(digest)
    state.leaves.bodies[digest] = body[:-1] + bytes([body[-1] ^ 1])
    with pytest.raises(RuntimeError, match=f"registry row {digest.hex()}"):
        state.body(digest)
    with pytest.raises(RuntimeError, match="registry row 0000"):
        state.body(bytes(32))


def test_columns_are_not_read_from_a_leaf_with_one_bit_changed_nor_from_a_row() -> None:
    state = MemoryState(TWO_AREAS.genesis)
    number, leaf = state.leaves.load_leaf("point/P-1") or (0, b"")
    digest = (state.get("point/P-1") or {})["entries"][0][2]
    body = state.leaves.bodies[digest]
    state.leaves._leaves["point/P-1"] = number, leaf[:-1] + bytes([leaf[-1] ^ 1])
    with pytest.raises(RuntimeError, match="leaf point/P-1"):
        Registry.from_state(state)
    state.leaves._leaves["point/P-1"] = number, leaf
    del state.leaves.bodies[digest]
    with pytest.raises(RuntimeError, match=f"registry row {digest.hex()}"):
        Registry.from_state(state)
    state.leaves.bodies[digest] = body
    assert list(encode_columns(Registry.from_state(state).columns)) == list(encode_columns(state.registry.columns))


def test_columns_are_of_their_state_and_a_change_of_an_entity_in_them_makes_others() -> None:
    state = MemoryState(TWO_AREAS.genesis)
    first = state.registry
    state.advance({"signer/util": state.get("signer/util") or {}})
    assert state.registry is first
    state.advance({"point/P-1": state.get("point/P-1") or {}})
    assert state.registry is not first


def test_memory_leaves_are_listed_by_prefix() -> None:
    leaves = MemoryLeaves()
    leaves.save(state_of("a/1", "b/1", "a/2").changed({"a/3": {}}, {}))
    assert list(leaves.leaf_keys("a/")) == ["a/3"]
