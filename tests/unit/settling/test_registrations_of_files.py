"""Registry rows of newer files, as transactions and blocks take them."""

from __future__ import annotations

import pytest

from gridcore.envelope import ATTACHMENT_BYTES_MAX
from gridcore.registry.row import Row
from gridcore.transactions.registry_register import ROWS_BYTES_MAX, SEED_BYTES, AttachedRows, attached_bytes
from gridledger.settling.chain import registrations

PRICES = [Row(f"price_series/{number:04}", 0, {"prices": bytes(500)}) for number in range(3)]
POINTS = [Row(f"point/{number:04}", 0, {"area": "A", "words": "x" * 160}) for number in range(4)]


@pytest.mark.parametrize(("rows_max", "sizes"), [(4, [3, 4]), (3, [3, 3, 1]), (2, [2, 1, 2, 2])])
def test_a_transaction_takes_rows_up_to_their_number_and_no_more(
    monkeypatch: pytest.MonkeyPatch, rows_max: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(registrations, "ROWS_MAX", rows_max)
    parts = list(registrations.parts_of([*POINTS, *PRICES]))
    assert [len(part) for part in parts] == sizes
    assert [row for part in parts for row in part] == [*PRICES, *POINTS]


@pytest.mark.parametrize(("short", "sizes"), [(0, [4]), (1, [3, 1])])
def test_a_transaction_takes_rows_up_to_their_bytes_and_no_more(
    monkeypatch: pytest.MonkeyPatch, short: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(registrations, "ROWS_BYTES_MAX", 4 * attached_bytes(POINTS[0]) - short)
    assert [len(part) for part in registrations.parts_of(POINTS)] == sizes


def test_rows_of_all_bytes_that_a_transaction_takes_are_an_attachment_that_it_may_have() -> None:
    rows = POINTS * (ROWS_BYTES_MAX // (4 * attached_bytes(POINTS[0])))
    assert len(rows) > 4_000
    assert len(AttachedRows(bytes(SEED_BYTES), [row.encode() for row in rows]).encode()) < ATTACHMENT_BYTES_MAX


@pytest.mark.parametrize(("most", "sizes"), [(30, [3]), (29, [2, 1]), (5, [1, 1, 1])])
def test_a_block_takes_registrations_up_to_their_bytes_and_the_next_block_what_is_more(
    monkeypatch: pytest.MonkeyPatch, most: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(registrations, "REGISTERED_BYTES_MAX", most)
    assert [len(block) for block in registrations.in_blocks([bytes(10)] * 3)] == sizes
