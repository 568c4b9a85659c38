"""Every contract of the catalogue settles a folder of files, orders with their kinds and times among them, as the slow reference does."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from gridcore.transactions.market_order import ramp
from gridledger.cli import main
from gridledger.toml_text import toml_lines
from settlement.catalogue import CONTRACTS
from tests.slow.bilateral_agreements import Deal
from tests.slow.catalogue import REFERENCES, Lines, Meter, Placed, Slot
from tests.unit.settling.folders import make_folder

START_S: Final = 1_748_736_000
NEVER: Final = -1
PRICES: Final = {
    "residual_price_micro_per_kwh": 460_000,
    "feed_in_price_micro_per_kwh": 280_000,
    "surplus_price_micro_per_kwh": 280_000,
    "shortfall_price_micro_per_kwh": 460_000,
    "network_traded_micro_per_kwh": 180_000,
    "network_residual_micro_per_kwh": 180_000,
    "levy_micro_per_kwh": 40_000,
}
METERS: Final = (Meter(600, 0, 500_000), Meter(0, 500), Meter(300, 0, 400_000), Meter(20, 400))
KINDS: Final = ("", "solar", "", "gas")
PLACES: Final = (10, 10, 20, 20)
POINTS: Final = "point,party,area,grid_place,energy_kind\n" + "".join(
    f"P{at + 1},M{at + 1},A1,{place},{kind}\n" for at, (place, kind) in enumerate(zip(PLACES, KINDS, strict=True))
)
READINGS: Final = "start,point,import_kwh,export_kwh\n" + "".join(
    f"2025-06-01T00:{minute}:00Z,P{at + 1},{meter.import_wh / 1000},{meter.export_wh / 1000}\n"
    for minute in ("00", "15")
    for at, meter in enumerate(METERS)
)
KEYS: Final = "point,share_ppm\n" + "".join(
    f"P{at + 1},{meter.share_ppm}\n" for at, meter in enumerate(METERS) if meter.share_ppm > 0
)
AGREEMENTS: Final = (
    "agreement,seller_point,buyer_point,basis,price_micro_per_kwh,quantity_kwh,share_ppm\n"
    "a-fixed,P2,P1,fixed_quantity,330000,0.2,\nb-share,P4,P3,pay_as_produced,350000,,250000\n"
)
DEALS: Final = (
    Deal(1, 0, False, 200, None, 330_000, 0), Deal(3, 2, False, -1, Fraction(1, 4), 350_000, 0),
)  # fmt: skip
GRID: Final = [{"place": 1, "fee_micro_per_kwh": 20_000}, {"place": 10, "parent": 1, "fee_micro_per_kwh": 10_000},
               {"place": 20, "parent": 1, "fee_micro_per_kwh": 5_000}]  # fmt: skip


class Row(NamedTuple):
    """A row of orders.csv. party: its place; last: of a ramp of ``steps``."""

    party: int
    counter: int
    buys: bool
    energy_wh: int
    limit: int
    arrival: int
    cancelled_at: int = NEVER
    steps: int = 1
    last: int = 0

    def csv(self) -> str:
        order = f"M{self.party + 1}/{START_S}/{self.counter}"
        side, went = "buy" if self.buys else "sell", "" if self.cancelled_at == NEVER else self.cancelled_at
        is_ramp = (self.steps, self.last) if self.steps > 1 else ("", "")
        said = (START_S, order, f"M{self.party + 1}", side, self.energy_wh, self.limit, self.arrival, went, *is_ramp)
        return ",".join(map(str, said)) + "\n"

    def limits(self) -> Sequence[tuple[int, int, int]]:
        """Counter, Wh and limit of each order."""
        parts = ramp(self.energy_wh, self.limit, self.last, self.steps) if self.steps > 1 else [self[3:5]]
        return [(self.counter + step, *part) for step, part in enumerate(parts)]


BOOK: Final = (
    Row(3, 1, False, 120, 300_000, arrival=40),
    Row(0, 2, True, 250, 450_000, arrival=7, cancelled_at=60),
    Row(1, 1, False, 300, 310_000, arrival=12, cancelled_at=50),
    Row(2, 1, True, 210, 440_000, arrival=55, steps=3, last=300_000),
    Row(0, 10, True, 90, 400_000, arrival=60),
    Row(1, 2, False, 150, 290_000, arrival=61),
    Row(3, 2, False, 80, 380_000, arrival=62, cancelled_at=63),
    Row(0, 3, True, 60, 390_000, arrival=64),
)
HEADER: Final = "slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh,arrival,cancelled_at,steps,last_price_micro_per_kwh\n"
BY_K: Final = {"price_k_ppm": 250_000}
TERMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "p2p_call_auction/1": {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"},
    "p2p_call_auction/2": {**BY_K, "rationing": "time"},
    "pay_as_bid/2": BY_K,
    "continuous_double_auction/2": BY_K,
    "conditional_bid/1": {"price_rule": "pay_as_bid"},
    "grid_fee_path/1": {"price_rule": "pay_as_offer", "grid_places": GRID},
    "grid_fee_path/2": {"grid_places": [{**place, "fee_ppm": 20_000} for place in GRID]},
    "sharing_keys/1": {"method": "static", "trade_price_micro_per_kwh": 370_000},
}


def placed(contract: str) -> Sequence[Placed]:
    """The book in the order of ranks: as orders came, withdrawn ones among them, or by their ids."""
    ranks_by_arrival = CONTRACTS[contract].ranks_by_arrival
    orders = [
        (row, counter, energy_wh, limit)
        for row in BOOK
        for counter, energy_wh, limit in row.limits()
        if ranks_by_arrival or row.cancelled_at == NEVER
    ]
    by_time = sorted(orders, key=lambda one: (one[0].arrival, one[0].party, one[1]))
    ranked = by_time if ranks_by_arrival else sorted(orders, key=lambda one: f"M{one[0].party + 1}/{one[1]}".encode())
    found = []
    for rank, (row, counter, energy_wh, limit) in enumerate(ranked):
        gone = row.cancelled_at != NEVER
        until = sum(one[0].arrival < row.cancelled_at for one in ranked) if gone else len(ranked)
        came = by_time.index((row, counter, energy_wh, limit))
        kinds = frozenset([KINDS[row.party]] if KINDS[row.party] and not row.buys else [])
        place = PLACES[row.party]
        found.append(Placed(row.party, row.buys, energy_wh, limit, came, until, rank, kinds=kinds, place=place))
    return found


def expected(contract: str) -> Sequence[Lines]:
    """What each party is billed in a slot, by the reference."""
    before = (METERS,) if contract == "bill_sharing/1" else None
    orders = placed(contract) if CONTRACTS[contract].takes_orders else ()
    slot = Slot(PRICES, TERMS.get(contract, {}), METERS, orders, DEALS, before)
    return REFERENCES[contract](slot).lines


def folder(path: Path, contract: str, book: Sequence[Row] = BOOK) -> Path:
    """The parties, meters and orders as files."""
    tables: dict[str, object] = {
        "market": {"contract": contract, **TERMS.get(contract, {})},
        "prices": PRICES,
        "timeline": {"slot_s": 900, "timezone": "UTC", "gate_before_start_s": 300, "metering_deadline_s": 900},
    }
    files = {
        "rules.toml": "\n".join(toml_lines(tables)) + "\n",
        "points.csv": POINTS,
        "readings.csv": READINGS,
        "keys.csv": KEYS,
        "agreements.csv": AGREEMENTS,
        "orders.csv": HEADER + "".join(row.csv() for row in book),
    }
    return make_folder(path, files)


def billed(out: Path, slot_start_s: int) -> Sequence[Lines]:
    """Energy and amount of each party's lines in a slot, by kind."""
    found: list[Lines] = [{} for _ in METERS]
    with (out / "statements.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if int(row["slot_start_s"]) == slot_start_s:
                own = found[int(row["party"].removeprefix("M")) - 1]
                own[row["line_kind"]] = int(row["energy_wh"]), int(row["amount_nano"])
    return found


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_folder_under_each_contract_bills_what_the_reference_says(tmp_path: Path, contract: str) -> None:
    out = tmp_path / "out"
    assert main(["settle", "files", str(folder(tmp_path / "in", contract)), "--out", str(out)]) == 0
    slot_start_s = START_S + (900 if contract == "bill_sharing/1" else 0)
    told = billed(out, slot_start_s)
    assert told == list(expected(contract))
    kinds = {kind for lines in told for kind in lines}
    assert ("trade_buy" in kinds) == (CONTRACTS[contract].takes_orders or contract == "sharing_keys/1")


def test_orders_that_come_in_another_order_trade_otherwise_where_that_counts(tmp_path: Path) -> None:
    turned = [row._replace(arrival=99 - row.arrival, cancelled_at=NEVER) for row in BOOK]
    stayed = [row._replace(cancelled_at=NEVER) for row in BOOK]
    told: dict[str, list[Sequence[Lines]]] = {"continuous_double_auction/1": [], "pay_as_bid/1": []}
    for contract, of_books in told.items():
        for name, book in (("turned", turned), ("stayed", stayed)):
            out = tmp_path / contract / name / "out"
            path = folder(tmp_path / contract / name / "in", contract, book)
            assert main(["settle", "files", str(path), "--out", str(out)]) == 0
            of_books.append(billed(out, START_S))
    assert told["continuous_double_auction/1"][0] != told["continuous_double_auction/1"][1]
    assert told["pay_as_bid/1"][0] == told["pay_as_bid/1"][1]
