"""Prices that vary and sharing keys of a dataset, as its ledger settles by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gridcore.registry.point import POINT
from gridledger.settling.chain import read_runs, settled_ledger
from gridledger.settling.dataset import Dataset, KeyRow, SeriesRows
from tests.worlds.datasets import FIRST_S, SLOT_S, community

LEVY, RETAIL = "levy_micro_per_kwh", "residual_price_micro_per_kwh"


def series(key: str, prices: dict[int, int], area: str | None = None, point: str | None = None) -> SeriesRows:
    """A price by the slot from which it holds."""
    starts = np.array([FIRST_S + slot * SLOT_S for slot in prices], dtype=np.int64)
    return SeriesRows(key, area, point, starts, np.array(list(prices.values()), dtype=np.int64))


VARYING = [
    series(LEVY, {0: 10, 4: 20, 50: -30}),
    series(LEVY, {8: 1_000}, area="A1"),
    series(RETAIL, {0: 600_000, 1: 700_000}, point="P002"),
]


def prices_of(dataset: Dataset, folder: Path) -> dict[tuple[str, int, str], int]:
    """By point, slot and key: the price that the ledger settled by."""
    found = {}
    with settled_ledger(dataset, folder) as ledger:
        for run in read_runs(ledger, dataset):
            slot = (run.slot_start_s - FIRST_S) // SLOT_S
            for key, column in run.tariffs.prices.items():
                for at, row in enumerate(run.rows.tolist()):
                    found[dataset.points[row].point, slot, key] = int(column[run.tariffs.of_row[at]])
    return found


def test_prices_of_all_of_an_area_and_of_a_point_hold_from_their_starts_on(tmp_path: Path) -> None:
    prices = prices_of(community(60, 4, areas=2, series=VARYING), tmp_path)
    assert [prices["P000", slot, LEVY] for slot in (0, 3, 4, 49, 50, 59)] == [10, 10, 20, 20, -30, -30]
    assert [prices["P001", slot, LEVY] for slot in (0, 4, 7, 8, 59)] == [10, 20, 20, 1_000, 1_000]
    assert [prices["P002", slot, RETAIL] for slot in (0, 1, 59)] == [600_000, 700_000, 700_000]
    assert {prices["P002", slot, LEVY] for slot in range(4, 50)} == {20}
    assert {prices["P003", slot, RETAIL] for slot in range(60)} == {460_000}


def test_a_price_of_every_slot_of_two_months_takes_several_entries(tmp_path: Path) -> None:
    slots = 3_100
    each = {slot: slot for slot in range(slots)}
    prices = prices_of(community(slots, 1, series=[series(LEVY, each)]), tmp_path)
    assert [prices["P000", slot, LEVY] for slot in range(slots)] == list(range(slots))


def test_sharing_keys_hold_from_when_they_say(tmp_path: Path) -> None:
    keys = [
        KeyRow("P000", 400_000, None, None),
        KeyRow("P000", 500_000, None, FIRST_S + 5 * SLOT_S),
        KeyRow("P001", None, 2, None),
    ]
    with settled_ledger(community(10, 2, keys=keys), tmp_path) as ledger:
        of_slots = [ledger.in_force(POINT, "P000", FIRST_S + slot * SLOT_S) for slot in (0, 4, 5)]
        assert [point.share_ppm for point in of_slots if point is not None] == [400_000, 400_000, 500_000]
        other = ledger.in_force(POINT, "P001", FIRST_S)
        assert other is not None
        assert (other.share_ppm, other.priority) == (None, 2)
