"""Settling by ``p2p_call_auction/1``: one slot from metered and traded energy to the amounts of every line, and a month of slots.

The month is settled day by day, as a correction of it would be: all slots of a day in one call, so that memory is that of a day: less than 1 GiB, in a
process of its own, which says so. The bound of both is the same sums in bare numpy: columns that are known to be well-formed and sums that are known to
fit, no check of input or result.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement, best_seconds
from ledger.contract import SlotRows
from ledger.one_group import one_group
from settlement.contracts.p2p_call_auction_1 import CONTRACT, PRICE_KEYS

SEED = 20260101
ROUNDS = 5
TRADE_PRICE = 370_000
PRICES = (460_000, 280_000, 280_000, 460_000, 180_000, 180_000, 40_000)
MONTH_MIB_MAX: Final = 1024
MONTH_DAYS, DAY_SLOTS, MONTH_POINTS = 31, 96, 10_000

Column = NDArray[np.int64]


class Slots(NamedTuple):
    """Rows of some slots, and the trade price of each slot."""

    rows: SlotRows
    trade_prices: list[int]


def _slots(slots: int, points: int, seed: int) -> Slots:
    """Slots one after another, each with all points; a slot's trade price is its own."""
    random = np.random.default_rng(seed)
    import_wh, export_wh = (random.integers(0, 1000, slots * points) for _ in range(2))
    bought_wh = random.integers(0, 1000, (slots, points))
    sold_wh = random.permuted(bought_wh, axis=1)
    rows = one_group(
        dict(zip(PRICE_KEYS, PRICES, strict=True)), import_wh, export_wh, bought_wh.reshape(-1), sold_wh.reshape(-1)
    )
    tariffs = rows.tariffs._replace(of_group=np.zeros(slots, dtype=np.int64))
    rows = rows._replace(group=np.repeat(np.arange(slots), points), tariffs=tariffs)
    return Slots(rows, [TRADE_PRICE + slot for slot in range(slots)])


def _settle(slots: Slots) -> Column:
    """What each row pays, by the contract."""
    terms: list[dict[str, object]] = [{}] * len(slots.trade_prices)
    settled = CONTRACT.settle(slots.rows, trade_prices_micro_per_kwh=slots.trade_prices, terms=terms)
    return settled.columns["pays_nano"]


def _settle_bare(slots: Slots) -> Column:
    """What each row pays, and what would have been paid to the supplier alone; what each account of each slot receives."""
    trade_prices = slots.trade_prices
    import_wh, export_wh = slots.rows.import_wh, slots.rows.export_wh
    bought_wh, sold_wh = slots.rows.bought_wh, slots.rows.sold_wh
    residual, feed_in, surplus, shortfall, traded, other, levy = PRICES
    own_price = np.repeat(trade_prices, bought_wh.size // len(trade_prices)) if len(trade_prices) > 1 else TRADE_PRICE
    traded_import_wh = np.minimum(import_wh, bought_wh)
    energies_wh = (
        import_wh - traded_import_wh,
        bought_wh - traded_import_wh,
        np.maximum(export_wh - sold_wh, 0),
        np.maximum(sold_wh - export_wh, 0),
        traded_import_wh,
        import_wh - traded_import_wh,
        import_wh,
    )
    pays_nano = (bought_wh - sold_wh) * own_price
    for energy_wh, price in zip(
        energies_wh, (residual, -surplus, -feed_in, shortfall, traded, other, levy), strict=True
    ):
        pays_nano += energy_wh * price
    alone_nano = import_wh * (residual + other + levy) - export_wh * feed_in
    received = [energy_wh.reshape(len(trade_prices), -1).sum(axis=1) for energy_wh in energies_wh]
    require(len(received) == len(PRICES) and alone_nano.size == pays_nano.size, "the bound does the same work")
    return pays_nano


def _measure_slot(points: int) -> Measurement:
    """The contract alone."""
    slots = _slots(1, points, SEED + points)
    require(bool((_settle(slots) == _settle_bare(slots)).all()), "contract and bound give the same answer")
    seconds = best_seconds(lambda: _settle(slots), ROUNDS)
    return Measurement(points, seconds, "bare numpy without checks", best_seconds(lambda: _settle_bare(slots), ROUNDS))


def settle_month() -> None:
    """2,976 slots of 10,000 points; making the columns of a day is outside the clock. Prints seconds, those of the bound, and the most memory of the process, MiB: the bound's columns of the days before among it."""
    seconds = bound_seconds = 0.0
    peak_mib = 0
    for day in range(MONTH_DAYS):
        slots = _slots(DAY_SLOTS, MONTH_POINTS, SEED + day)
        start = time.perf_counter()
        ours = _settle(slots)
        between = time.perf_counter()
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        bare = _settle_bare(slots)
        seconds, bound_seconds = seconds + between - start, bound_seconds + time.perf_counter() - between
        require(bool((ours == bare).all()), "contract and bound give the same answer")
    print(json.dumps([seconds, bound_seconds, peak_mib]))  # noqa: T201


def _measure_month() -> Measurement:
    """In a process of its own, whose memory is the month's alone."""
    command = [sys.executable, "-c", "from benchmarks.settle import settle_month; settle_month()"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, bound_seconds, peak_mib = json.loads(done.stdout)
    sys.stderr.write(f"settle_month_10k: {peak_mib} MiB of memory at most\n")
    require(peak_mib < MONTH_MIB_MAX, "less than 1 GiB of memory")
    rows_settled = MONTH_DAYS * DAY_SLOTS * MONTH_POINTS
    return Measurement(rows_settled, seconds, "bare numpy without checks", bound_seconds)


def _benchmark(points: int) -> Benchmark:
    return lambda: _measure_slot(points)


BENCHMARKS: dict[str, Benchmark] = {
    "settle_slot_100k": _benchmark(100_000),
    "settle_slot_1m": _benchmark(1_000_000),
    "settle_month_10k": _measure_month,
}
"""Benchmarks by name, as ``gridledger bench run`` finds them."""
