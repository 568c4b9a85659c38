"""The benchmarks' worlds are what a node would have: the columns beside their leaves are those that the leaves say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.million import KEY, World
from benchmarks.million_world import make, register
from gridcore.clock import WallClock
from ledger.registry.columns import read_columns
from ledger.registry.columns_file import encode_columns
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS, pins


@pytest.mark.parametrize("made", [make, register])
def test_a_world_that_was_written_as_a_stream_opens_and_its_columns_are_those_of_its_leaves(
    tmp_path: Path, made: Callable[[Path, World], int]
) -> None:
    leaves = made(tmp_path / "ledger", World(areas=3, points=400))
    with closing(Ledger.open(tmp_path / "ledger", CONTRACTS, KEY, WallClock(), pins=pins())) as ledger:
        state = ledger.application.state
        assert len(state) == leaves
        assert list(encode_columns(ledger.registry.columns)) == list(encode_columns(read_columns(state)))
