"""What a contract declares of its statement lines, and the lines of rows: one kind of line for every party at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from settlement.contract_kit_1.columns import Int64Column, Price, multiply

TRADE_PRICE = "trade_price_micro_per_kwh"
"""Where the price of a line comes from that is settled at the price of the gate; every other name is one of the rules' prices."""


class LineKind(NamedTuple):
    """One kind of statement line, as its contract declares it.

    ``account``: the counter-account; ``sign``: +1 where a positive price makes the party owe, -1 where it is owed;
    ``price``: TRADE_PRICE, a key of the rules' prices, or None where the line has an amount and no price of its own.
    """

    kind: str
    account: str
    sign: int
    price: str | None


@dataclass(frozen=True)
class Line:
    """One kind of line for every party: int64[n] >= 0 of energy. A line exists for a party exactly where it is positive.

    ``price_micro_per_kwh``: as the rules state it, None where the line has none. The amount is ``sign`` x ``column`` x ``factor``.
    """

    kind: str
    account: str
    energy_wh: Int64Column
    price_micro_per_kwh: Price | None
    column: Int64Column
    factor: Price
    sign: int

    @cached_property
    def amount_nano(self) -> Int64Column:
        """int64[n]; positive: the party owes. ContractError where an amount does not fit into int64."""
        return multiply(self.column, self.factor, f"amount_nano of {self.kind}", self.sign)


def priced_line(kind: LineKind, energy_wh: Int64Column, prices: Mapping[str, Price]) -> Line:
    """The line of a kind that has a price, out of ``prices`` (TRADE_PRICE among them): amount = sign x energy x price."""
    price = prices[kind.price or ""]
    return Line(kind.kind, kind.account, energy_wh, price, energy_wh, price, kind.sign)


def shared_line(kind: LineKind, energy_wh: Int64Column, amount_nano: Int64Column, sign: int = 1) -> Line:
    """The line of a kind without a price: ``sign`` x ``amount_nano`` is each party's part of a sum that was shared out, or what its trades
    come to.
    """
    return Line(kind.kind, kind.account, energy_wh, None, amount_nano, 1, sign)
