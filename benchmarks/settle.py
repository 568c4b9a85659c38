"""Settling one slot by ``p2p_call_auction/1``: from metered and traded energy to the amounts of every line, and its checks."""

from __future__ import annotations

import numpy as np

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement, best_seconds
from settlement.contracts.p2p_call_auction_1 import CONTRACT, PRICE_KEYS

SEED = 20260101
ROUNDS = 5
TRADE_PRICE = 370_000
PRICES = (460_000, 280_000, 280_000, 460_000, 180_000, 180_000, 40_000)


def _measure(meters: int) -> Measurement:
    random = np.random.default_rng(SEED + meters)
    import_wh, export_wh = random.integers(0, 1000, meters), random.integers(0, 1000, meters)
    bought_wh = random.integers(0, 1000, meters)
    sold_wh = random.permutation(bought_wh)
    prices = dict(zip(PRICE_KEYS, PRICES, strict=True))
    area = np.zeros(meters, dtype=np.int64)

    def work() -> int:
        settled = CONTRACT.settle(
            area, import_wh, export_wh, bought_wh, sold_wh, trade_prices_micro_per_kwh=[TRADE_PRICE], prices=[prices]
        )
        lines = CONTRACT.lines(
            import_wh, export_wh, settled.columns, trade_price_micro_per_kwh=TRADE_PRICE, prices=prices
        )
        return min(line.amount_nano.size for line in lines)

    require(work() == meters, "every line has an amount for every meter")
    return Measurement(meters, best_seconds(work, ROUNDS))


def _benchmark(meters: int) -> Benchmark:
    return lambda: _measure(meters)


BENCHMARKS: dict[str, Benchmark] = {"settle_slot_100k": _benchmark(100_000), "settle_slot_1m": _benchmark(1_000_000)}
"""Benchmarks by name, as ``gridledger bench run`` finds them."""
