"""A genesis of a million points: what is held of its rows at once is bounded, whatever their number."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from gridcore.genesis import Genesis
from gridcore.registry.row import Row, decode_row
from ledger import genesis_rows
from ledger.genesis_check import check_genesis
from ledger.registry.columns import read_columns
from ledger.registry.columns_file import encode_columns
from ledger.registry.histories import Stated
from ledger.state import genesis as genesis_state
from ledger.state.genesis import genesis_change
from ledger.state.genesis import genesis_state as genesis_state_of
from ledger.state.memory import MemoryState
from ledger.state.state import LeafChange
from settlement.catalogue import CONTRACTS, pins
from tests.worlds.consortium import Consortium, household

HOUSEHOLDS = 400
GENESIS: Genesis = Consortium(meters=[household(number, f"p-{number}") for number in range(HOUSEHOLDS)]).genesis


@pytest.fixture(autouse=True)
def only_new_objects() -> None:
    """``gc.get_objects`` passes over what other tests left in this process, and over what was collected (``tests/conftest.py``)."""
    gc.collect()
    gc.freeze()


class Alive:
    """``decode_row``, which at every 50th call counts how many new objects of some types are alive."""

    def __init__(self, *types: type[Any]) -> None:
        self._types = types
        self._calls = 0
        self.counts: list[int] = []

    def decode_row(self, data: bytes) -> Row:
        """The row."""
        self._calls += 1
        if self._calls % 50 == 0:
            self.counts.append(sum(isinstance(item, self._types) for item in gc.get_objects()))
        return decode_row(data)


def test_a_check_keeps_as_many_rows_decoded_as_were_asked_for_last(monkeypatch: pytest.MonkeyPatch) -> None:
    alive = Alive(Row, Stated)
    monkeypatch.setattr(genesis_rows, "DECODED_MAX", 8)
    monkeypatch.setattr(genesis_rows, "decode_row", alive.decode_row)
    check_genesis(GENESIS, CONTRACTS, pins())
    assert len(alive.counts) > 3 * HOUSEHOLDS // 50
    assert max(alive.counts) < 16, "8 entities, and the rows of those that are being compared"


def test_the_state_of_a_genesis_decodes_one_row_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    alive = Alive(Row, LeafChange)
    monkeypatch.setattr(genesis_state, "decode_row", alive.decode_row)
    change = genesis_change(GENESIS)
    assert len(alive.counts) >= 3 * HOUSEHOLDS // 50
    assert max(alive.counts) <= 2
    assert change.tree.size == sum(1 for _ in change.leaves) > 3 * HOUSEHOLDS


def test_what_a_genesis_registers_is_what_its_saved_state_registers() -> None:
    state = MemoryState(GENESIS)
    ours = encode_columns(read_columns(genesis_state_of(GENESIS).registered))
    assert list(ours) == list(encode_columns(read_columns(state)))
    assert state.registry.numbers.tolist() == list(range(HOUSEHOLDS))


@pytest.mark.parametrize("part", [lambda change: change.leaves, lambda change: change.bodies])
def test_leaves_and_bodies_of_a_genesis_are_the_same_each_time(part: Callable[[Any], Any]) -> None:
    change = genesis_change(GENESIS)
    assert list(part(change)) == list(part(change))
