"""Files of corrections: new less old, and a line whose price changed is taken back in a row of its own."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.demo.dropped import PPM, Dropped
from gridledger.demo.run_sums import read_run
from gridledger.tables.results import PostingRow, StatementRow


def answer(energy_wh: int, price: int | None = 5) -> dict[str, Any]:
    """A run in which H1 took some energy from its supplier."""
    amount = energy_wh * (price or 0)
    line = {"party": "H1", "line_kind": "residual_import", "energy_wh": energy_wh, "amount_nano": amount}
    return {
        "lines": [line | {"price_micro_per_kwh": price, "account": "supplier"}],
        "postings": [
            {"account": "H1", "debit_nano": amount, "credit_nano": 0},
            {"account": "supplier", "debit_nano": 0, "credit_nano": amount},
        ],
    }


def test_a_correction_says_new_less_old_of_either_sign() -> None:
    change = read_run(answer(40)).less(read_run(answer(100)))
    assert change.statements(900, "correction-1") == [
        StatementRow("correction-1", "H1", 900, "residual_import", -60, 5, -300, "supplier")
    ]
    assert change.postings(900, "correction-1") == [
        PostingRow(900, "H1", 0, 300, "correction-1"),
        PostingRow(900, "supplier", 300, 0, "correction-1"),
    ]


def test_a_line_whose_price_changed_is_taken_back_and_said_anew() -> None:
    change = read_run(answer(100, price=7)).less(read_run(answer(100, price=5)))
    rows = [(row.energy_wh, row.price_micro_per_kwh, row.amount_nano) for row in change.statements(900, "correction-1")]
    assert sorted(rows) == [(-100, 5, -500), (100, 7, 700)]


def test_what_did_not_change_has_no_row() -> None:
    change = read_run(answer(100)).less(read_run(answer(100)))
    assert (change.statements(900, "correction-1"), change.postings(900, "correction-1")) == ([], [])


@pytest.mark.parametrize("ppm", [0, 30_000, 500_000])
def test_about_as_many_readings_are_lost_as_asked_and_the_same_ones_each_time(ppm: int) -> None:
    lost = [Dropped(7, ppm).is_dropped(900 * slot, f"M-{meter}") for slot in range(100) for meter in range(100)]
    assert lost == [Dropped(7, ppm).is_dropped(900 * slot, f"M-{meter}") for slot in range(100) for meter in range(100)]
    assert abs(sum(lost) - ppm * len(lost) / PPM) < 150
