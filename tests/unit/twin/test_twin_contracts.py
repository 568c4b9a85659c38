"""The twin's contract against the conformance vectors, so that the oracle itself does not rest on the ledger's word."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.twin.contracts import CallAuction, Member, Order, clear_auction, split_by_largest_remainder

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
REFUSED = ("refused-",)


def cases(handler: str) -> list[Any]:
    """The cases of a handler that have an answer."""
    folders = sorted(f for f in (VECTORS / handler).iterdir() if not f.name.startswith(REFUSED))
    return [pytest.param(folder, id=folder.name) for folder in folders]


def load(folder: Path, table: str) -> tuple[dict[str, Any], list[dict[str, str]], dict[str, Any]]:
    case = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    with (folder / case["input"][table]).open(encoding="utf-8", newline="") as file:
        return case["input"], list(csv.DictReader(file)), case["expect"]


@pytest.mark.parametrize("folder", cases("call_auction"))
def test_cleared_price_volume_and_pro_rata_fills_are_those_of_the_vector(folder: Path) -> None:
    given, rows, expect = load(folder, "orders")
    rows.sort(key=lambda row: row["order_id"].encode())
    orders = [
        Order(
            area=0,
            party=row["order_id"],
            number=number,
            counter=1,
            side=["buy", "sell"].index(row["side"]),
            quantity_wh=int(row["quantity_wh"]),
            price=int(row["price_micro_per_kwh"]),
            held=0,
            transaction_id=b"",
            seed=b"",
        )
        for number, row in enumerate(rows)
    ]
    names = ("price_k_ppm", "reference_price_micro_per_kwh")
    terms: dict[str, Any] = {"reference_price_micro_per_kwh": None, "rationing": "pro_rata"}
    terms.update((name, given[name]) for name in names if name in given)
    price, volume, fills = clear_auction(orders, terms)
    assert volume == expect.get("volume_wh", volume)
    assert price == expect.get("price_micro_per_kwh", 0)
    if given.get("rationing") == "pro_rata" and "filled_wh" in expect:
        assert {o.party: wh for o, wh in zip(orders, fills, strict=True) if wh} == expect["filled_wh"]


@pytest.mark.parametrize("folder", cases("slot_settlement"))
def test_settled_amounts_and_accounts_are_those_of_the_vector(folder: Path) -> None:
    given, rows, expect = load(folder, "rows")
    prices = {key: value for key, value in given.items() if key not in ("rows", "trade_price_micro_per_kwh")}
    members = [
        Member(int(row["import_wh"]), int(row["export_wh"]), int(row["bought_wh"]), int(row["sold_wh"])) for row in rows
    ]
    settled = CallAuction.settle(members, given["trade_price_micro_per_kwh"], prices, {})
    participants = [row["participant"] for row in rows]
    assert dict(zip(participants, (own[2] for own in settled.positions), strict=True)) == expect["pays_nano"]
    assert dict(zip(participants, (own[3] for own in settled.positions), strict=True)) == expect["supplier_only_nano"]
    received = dict(settled.received)
    assert received.pop("clearing") == 0
    assert received == expect["accounts_nano"]


def test_odd_units_go_to_the_largest_remainders_and_then_in_order() -> None:
    assert split_by_largest_remainder(350, [300, 300, 300]) == [117, 117, 116]
    assert split_by_largest_remainder(10, [1, 2, 4]) == [1, 3, 6]
    assert split_by_largest_remainder(0, [5, 5]) == [0, 0]
