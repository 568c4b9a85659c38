"""``price_series/<name>``: a price that varies, as one value a span of time: a market's, or a supplier's dynamic tariff."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import Form, integer
from gridcore.registry.entity import Entity, Shape

SPANS_MAX: Final = 3_000
"""Values of one entry: a month of quarter hours has at most 2,980."""
SPAN_S_MAX: Final = 86_400
PRICE_MICRO_PER_KWH_MAX: Final = 10**9
"""Of either sign."""
_VALUE_BYTES: Final = 8


class PriceSeries(NamedTuple):
    """prices: int64 little-endian, micro per kWh, one for each ``slot_s`` seconds from the entry's ``from_s`` on."""

    prices: bytes
    slot_s: int

    @classmethod
    def of(cls, slot_s: int, prices_micro_per_kwh: Sequence[int]) -> PriceSeries:
        """Prices as whole numbers."""
        return cls(pack_prices(prices_micro_per_kwh), slot_s)

    def price_at(self, from_s: int, time_s: int) -> int | None:
        """The price at ``time_s`` by the entry of ``from_s``, None behind its last span."""
        place = (time_s - from_s) // self.slot_s * _VALUE_BYTES
        value = self.prices[place : place + _VALUE_BYTES]
        return int.from_bytes(value, "little", signed=True) if value else None


def pack_prices(prices_micro_per_kwh: Sequence[int]) -> bytes:
    """int64 little-endian bytes; struct.error for what is no 64-bit integer."""
    return struct.pack(f"<{len(prices_micro_per_kwh)}q", *prices_micro_per_kwh)


def _are_prices(value: Any) -> bool:
    if not isinstance(value, bytes) or len(value) % _VALUE_BYTES:
        return False
    prices = struct.unpack(f"<{len(value) // _VALUE_BYTES}q", value)
    return 1 <= len(prices) <= SPANS_MAX and max(map(abs, prices)) <= PRICE_MICRO_PER_KWH_MAX


PRICES: Final = Form(
    f"1 to {SPANS_MAX} whole numbers, each -{PRICE_MICRO_PER_KWH_MAX} to {PRICE_MICRO_PER_KWH_MAX}", _are_prices
)
PRICE_SERIES: Final[Entity[PriceSeries]] = Entity(
    "price_series", Shape(PriceSeries, {"prices": PRICES, "slot_s": integer(1, SPAN_S_MAX)})
)
