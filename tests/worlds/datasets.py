"""Datasets as folders of files give them, of any size, drawn from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridcore.quality import MEASURED
from gridcore.sm3 import sm3
from gridledger.settling.dataset import (
    Counts,
    Dataset,
    EstimateTerms,
    FileRules,
    InputFile,
    InvoiceTerms,
    Orders,
    PointRow,
)

FIRST_S = 1_717_171_200
"""A local midnight in Shanghai."""
SLOT_S = 900
COMMUNITY_PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 180_000,
    "residual_price_micro_per_kwh": 460_000,
}
AUCTION_PRICES = {**COMMUNITY_PRICES, "shortfall_price_micro_per_kwh": 460_000, "surplus_price_micro_per_kwh": 280_000}
AUCTION_TERMS = {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"}
_NONE = np.zeros(0, dtype=np.int64)
NO_ORDERS = Orders(_NONE, [], [], _NONE.astype(np.int8), _NONE, _NONE)


def community(slots: int, points: int, *, areas: int = 1, seed: int = 1, **changes: Any) -> Dataset:
    """Households of one point each, whose community shares at the mid-market rate. ``changes``: other fields."""
    random = np.random.default_rng(seed)
    shape = (slots, points)
    drawn = Dataset(
        slot_start_s=FIRST_S + SLOT_S * np.arange(slots),
        slot_s=SLOT_S,
        timezone="Asia/Shanghai",
        points=[PointRow(f"P{number:03d}", f"H{number:03d}", f"A{number % areas}") for number in range(points)],
        import_wh=random.integers(0, 900, shape),
        export_wh=random.integers(0, 500, shape) * (random.random(shape) < 0.4),
        quality=np.full(shape, MEASURED, dtype=np.uint8),
        series=[],
        keys=[],
        orders=NO_ORDERS,
        rules=FileRules(COMMUNITY_PRICES, "mid_market_rate/1", {}, 300, 900, InvoiceTerms(), EstimateTerms()),
        inputs=[InputFile("readings.csv", sm3(b"readings"), slots * points)],
        counts=Counts(slots * points, 0, 0),
    )
    return drawn._replace(**changes)


def auction(slots: int, points: int, *, seed: int = 1, **changes: Any) -> Dataset:
    """The same households trade by orders: in each slot the first sells to the second."""
    rows = [(slot, party, side) for slot in range(slots) for party, side in ((0, 1), (1, 0))]
    parties = [f"H{party:03d}" for _, party, _ in rows]
    ids = [f"{party}/{FIRST_S + slot * SLOT_S}/1" for party, (slot, _, _) in zip(parties, rows, strict=True)]
    orders = Orders(
        slot=np.array([slot for slot, _, _ in rows]),
        order=ids,
        party=parties,
        side=np.array([side for _, _, side in rows], dtype=np.int8),
        quantity_wh=np.full(len(rows), 300),
        price_micro_per_kwh=np.array([450_000 - 150_000 * side for _, _, side in rows]),
    )
    rules = FileRules(AUCTION_PRICES, "p2p_call_auction/1", AUCTION_TERMS, 300, 900, InvoiceTerms(), EstimateTerms())
    return community(slots, points, seed=seed, orders=orders, rules=rules)._replace(**changes)
