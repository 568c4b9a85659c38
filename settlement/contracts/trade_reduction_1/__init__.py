"""``trade_reduction/1``: a call auction that gives up its marginal orders and keeps its surplus on an account of its own.

A gate has the price that buyers pay, and trades at the price that sellers get. ``bought_nano`` is what sellers get for a buyer's energy; what he
pays beyond it is a line of its own, to the account ``auction_surplus``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from settlement.contract_kit_1 import (
    METERED_KINDS,
    PAIRED_KINDS,
    TRADER_ACCOUNTS,
    TRADER_PRICE_KEYS,
    ContractError,
    Energies,
    Int8Column,
    Int64Column,
    Line,
    LineKind,
    PairedClearing,
    PairedContract,
    Product,
    RowsLike,
    Settlement,
    Trades,
    check_int64,
    check_rows,
    lines_of_metered,
    multiply,
    owed_by,
    prices_of_rows,
    shared_line,
    subtract,
)
from settlement.contracts.trade_reduction_1.reduction import Reduced, reduce_trades

__all__ = ["CONTRACT", "Reduced", "reduce_trades"]

SURPLUS_ACCOUNT = "auction_surplus"
LINE_KINDS = (*PAIRED_KINDS[:2], LineKind("auction_surplus", SURPLUS_ACCOUNT, +1, None), *METERED_KINDS)
"""The kinds of statement lines, in their order; a row on the chain has the number."""
ACCOUNTS = tuple(sorted((*TRADER_ACCOUNTS, SURPLUS_ACCOUNT)))
POSITION_COLUMNS = (
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "surplus_nano", "pays_nano", "supplier_only_nano",
)  # fmt: skip
"""What is kept of each party: what it traded, at what sellers get; what it pays beyond; the sum of its lines, and the supplier's alone."""


@dataclass(frozen=True)
class TradeReduction(PairedContract):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    position_columns = POSITION_COLUMNS

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        terms: Mapping[str, Any],
        until_rank: Int64Column | None = None,
        order_terms: Mapping[str, Int64Column] | None = None,
    ) -> PairedClearing:
        """Clear one gate: see ``reduction.reduce_trades``."""
        trades, buy_price = reduce_trades(side, quantity_wh, price_micro_per_kwh)
        return PairedClearing(
            trades, trades.filled_wh(quantity_wh), check_int64(trades.volume_wh, "volume_wh"), buy_price
        )

    def settle(
        self, rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Sequence[Mapping[str, Any]]
    ) -> Settlement:
        """Settle some groups of rows. ContractError as ``owed_by``, and where what is bought has no price or costs less than sellers get."""
        groups, amounts = check_rows(rows, len(terms)), rows.amounts
        if amounts is None:
            raise ContractError("what was traded has no amounts")
        for bought, price in zip(groups.sums(rows.bought_wh), trade_prices_micro_per_kwh, strict=True):
            if bought and price is None:
                raise ContractError(f"{bought} Wh were traded, but there is no price for buyers")
        buy_price = groups.at([check_int64(price or 0, "the price of a gate") for price in trade_prices_micro_per_kwh])
        paid_nano = multiply(rows.bought_wh, buy_price, "what buyers pay")
        surplus_nano = subtract(paid_nano, amounts.bought_nano, "surplus_nano")
        if surplus_nano.size and int(surplus_nano.min()) < 0:
            raise ContractError("buyers pay less than sellers get")
        trades = [Product(amounts.bought_nano, 1), Product(amounts.sold_nano, 1, -1), Product(surplus_nano, 1)]
        at = prices_of_rows(rows, TRADER_PRICE_KEYS)
        owed = owed_by(LINE_KINDS, groups, Energies.of(rows), trades, at, accounts=ACCOUNTS)
        kept = (
            rows.bought_wh, rows.sold_wh, amounts.bought_nano, amounts.sold_nano, surplus_nano, owed.pays_nano,
            owed.supplier_only_nano,
        )  # fmt: skip
        return Settlement(dict(zip(POSITION_COLUMNS, kept, strict=True)), {}, owed.received_nano)

    def lines(
        self,
        rows: RowsLike,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> tuple[Line, ...]:
        """The lines of settled rows, in the order of LINE_KINDS."""
        check_rows(rows, len(terms))
        return (
            shared_line(LINE_KINDS[0], rows.bought_wh, columns["bought_nano"]),
            shared_line(LINE_KINDS[1], rows.sold_wh, columns["sold_nano"], sign=-1),
            shared_line(LINE_KINDS[2], rows.bought_wh, columns["surplus_nano"]),
            *lines_of_metered(Energies.of(rows), prices_of_rows(rows, TRADER_PRICE_KEYS)),
        )


def _match(
    side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column, _until_rank: Int64Column | None
) -> Trades:
    return reduce_trades(side, quantity_wh, price_micro_per_kwh).trades


CONTRACT = TradeReduction("trade_reduction/1", _match)
"""The one instance: contracts hold no state."""
