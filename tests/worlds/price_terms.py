"""Homes that trade under the terms of later contracts: a price between two limits, service as orders came, fees as a fraction of an offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from settlement.catalogue import CONTRACTS
from settlement.contract_kit_2 import PRICE_K
from settlement.contracts.p2p_call_auction_1 import PRO_RATA, TIME
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, rules, zone
from tests.worlds.pairs import CONTINUOUS, PAIRS, one_continuous_slot, one_paired_slot
from tests.worlds.placed import GRID, PLACED, one_placed_slot
from tests.worlds.transactions import Sender

K_PPM = 250_000


class PriceTerms(NamedTuple):
    """A world, its first slot, and what the lines of some parties come to: energy and nano."""

    world: Consortium
    slot: Callable[[Sender], list[list[bytes]]]
    lines: dict[tuple[str, str], tuple[int, int]]


def _under(world: Consortium, contract: str, terms: dict[str, Any]) -> Consortium:
    return replace(world, rules=[rules(terms=terms)], zones=[zone(contract=contract)])


def one_timed_slot(sender: Sender) -> list[list[bytes]]:
    """shop's bid comes in a later block than house's at the same limit, roof's offer is for fewer than both: house is served first."""
    before = [(number, 0, 0) for number in range(1, 6)]
    after = [(1, 0, 600), (2, 0, 0), (3, 300, 0), (4, 200, 0), (5, 100, 0)]
    return [
        [sender.order("house", "a-1", "buy", 500, 400_000, FIRST_S, counter=2)],
        [sender.order("shop", "a-1", "buy", 500, 400_000, FIRST_S)],
        [sender.order("roof", "a-1", "sell", 600, 300_000, FIRST_S)],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, before)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, after)],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]


def one_even_slot(sender: Sender) -> list[list[bytes]]:
    """As much is offered from 0.30 as is asked for up to 0.40: every price between them clears it."""
    before = [(number, 0, 0) for number in range(1, 6)]
    after = [(1, 0, 600), (2, 0, 0), (3, 300, 0), (4, 0, 0), (5, 100, 0)]
    return [
        [
            sender.order("house", "a-1", "buy", 300, 400_000, FIRST_S, counter=2),
            sender.order("shop", "a-1", "buy", 300, 410_000, FIRST_S),
            sender.order("roof", "a-1", "sell", 600, 300_000, FIRST_S),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, before)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, after)],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]


# Under pay_as_bid/1 shop (0.44) meets barn (0.30) for 400 Wh, then roof (0.39) for 100 Wh; house (0.40) meets roof for 500 Wh.
_SHOP_NANO, _HOUSE_NANO = 400 * 335_000 + 100 * 402_500, 500 * 392_500
PERCENT_GRID = [{**place, "fee_ppm": 10_000 * row} for row, place in enumerate(GRID)]
# The places take 0, 1 and 2 % too. In the south shop (0.44) meets barn (0.30): 0.005 + 0.006; in the north house (0.40) roof (0.38): 0.010 + 0.0038.
# Shop's other 100 Wh are seen at the substation as 0.44 - 0.005 - 0.0088 = 0.4262, roof's as 0.38 + 0.0138 + 0.02 = 0.4138: they meet at
# 0.38, and the way takes 0.0338 of roof, and of shop's place 0.005 + 0.0076.
_FEES_NANO = 400 * 11_000 + 100 * (33_800 + 12_600)

PRICE_TERMS = {
    "the lowest quarter of the way": PriceTerms(
        _under(PAIRS, "p2p_call_auction/2", {"rationing": "pro_rata", "price_k_ppm": K_PPM}),
        one_even_slot,
        {("roof", "trade_sell"): (600, -600 * 325_000), ("house", "trade_buy"): (300, 300 * 325_000)},
    ),
    "as orders came": PriceTerms(
        _under(PAIRS, "p2p_call_auction/2", {"rationing": "time", "price_k_ppm": K_PPM}),
        one_timed_slot,
        {("shop", "trade_buy"): (100, 100 * 400_000), ("roof", "trade_sell"): (600, -600 * 400_000)},
    ),
    "pairs between their limits": PriceTerms(
        _under(PAIRS, "pay_as_bid/2", {"price_k_ppm": K_PPM}),
        one_paired_slot,
        {("shop", "trade_buy"): (500, _SHOP_NANO), ("barn", "trade_sell"): (400, -400 * 335_000)},
    ),
    "pairs between their limits as they come": PriceTerms(
        _under(CONTINUOUS, "continuous_double_auction/2", {"price_k_ppm": K_PPM}),
        one_continuous_slot,
        {("shop", "trade_buy"): (200, 200 * 402_500), ("barn", "trade_sell"): (300, -300 * 325_000)},
    ),
    "fees as a fraction": PriceTerms(
        _under(PLACED, "grid_fee_path/2", {"grid_places": PERCENT_GRID}),
        one_placed_slot,
        {
            ("shop", "grid_fee"): (500, _FEES_NANO),
            ("shop", "trade_buy"): (500, 400 * 300_000 + 100 * 380_000),
            ("roof", "trade_sell"): (700, -700 * 380_000),
        },
    ),
}


def clear_by_other_terms(monkeypatch: pytest.MonkeyPatch, told: PriceTerms) -> None:
    """Let ledgers of a world clear its gates by other terms than those of its rules, as a liar's would: another price, turn or fraction."""
    (of_world,) = told.world.zones
    contract: Any = type(CONTRACTS[of_world.record.contract])
    honest = contract.clear

    def clear(self: object, *columns: object, terms: Mapping[str, Any], **more: object) -> object:
        return honest(self, *columns, terms=_otherwise(terms), **more)

    monkeypatch.setattr(contract, "clear", clear)


def _otherwise(terms: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(terms)
    if PRICE_K in terms:
        changed[PRICE_K] = 3 * K_PPM
    if terms.get("rationing") == TIME:
        changed["rationing"] = PRO_RATA
    if "grid_places" in terms:
        changed["grid_places"] = [{**place, "fee_ppm": place["fee_ppm"] + 1_000} for place in terms["grid_places"]]
    return changed
