"""Where a leaf's bytes come from: what a block left and no store holds yet comes first, whatever its bytes are."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gridcore import cbor, merkle
from ledger.state.block import Applied
from ledger.state.state import LeafChange, MemoryLeaves, State


class CountedLeaves(MemoryLeaves):
    """Counts what is read."""

    loaded = 0

    def load_leaf(self, key: str) -> bytes | None:
        self.loaded += 1
        return super().load_leaf(key)


def leaves_of(*leaves: tuple[str, int]) -> Iterable[LeafChange]:
    encoded = [(key, cbor.encode([key, {"n": value}])) for key, value in leaves]
    return [LeafChange(number, key, leaf, merkle.leaf_hash(leaf)) for number, (key, leaf) in enumerate(encoded)]


def test_a_committed_leaf_comes_from_memory_until_it_is_saved_and_from_the_source_then() -> None:
    source = CountedLeaves()
    source.save(leaves_of(("a", 1)))
    state = State(source, "chain")
    changes = state.commit(Applied((), {"a": {"n": 2}, "b": {"n": 3}}, work_pending=False))
    assert [state.leaf(change.key) for change in changes] == [change.leaf for change in changes]
    assert source.loaded == 0
    source.save(changes)
    state.saved()
    assert state.leaf("b") == cbor.encode(["b", {"n": 3}])
    assert source.loaded == 1


def test_a_leaf_that_never_was_has_no_bytes() -> None:
    state = State(MemoryLeaves(), "chain")
    assert state.get("a") is None
    with pytest.raises(KeyError):
        state.leaf("a")
