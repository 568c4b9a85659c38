"""The settlement of one slot at the one price of its gate (``slot_settlement/1`` of the vectors)."""

from __future__ import annotations

from collections.abc import Sequence

from settlement.contract_kit_1 import (
    METERED_KINDS,
    TRADE_PRICE,
    TRADER_PRICE_KEYS,
    ContractError,
    Energies,
    Groups,
    Line,
    LineKind,
    RowsLike,
    Settlement,
    check_int64,
    check_rows,
    lines_of_metered,
    owed_by,
    priced_line,
    prices_of_rows,
    products_of,
)

PRICE_KEYS = TRADER_PRICE_KEYS
"""The keys that ``prices`` must hold, exactly."""

POSITION_COLUMNS = ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
"""What is kept of each party: traded energy, the sum of its lines, and what the supplier alone would have asked for."""

TRADE_KINDS = (
    LineKind("trade_buy", "clearing", +1, TRADE_PRICE),
    LineKind("trade_sell", "clearing", -1, TRADE_PRICE),
)
LINE_KINDS = (*TRADE_KINDS, *METERED_KINDS)
"""The kinds of statement lines, in the order in which ``lines_of`` gives them; a row on the chain has the number."""


def settle(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None]) -> Settlement:
    """Settle some groups of rows (``slot_settlement/1`` of the vectors, group by group).

    Columns int64[n] >= 0: metered import and export, then what each party bought and sold. ``trade_prices_micro_per_kwh``: the one price of
    each gate, None only where nothing was traded. The prices of a row are exactly PRICE_KEYS, any sign. ContractError for a
    negative energy, bought and sold of a group that do not sum to the same, a missing, unknown or too large price, and a
    result outside int64. Steps in between are exact at any size.
    """
    groups, energies = check_rows(rows, len(trade_prices_micro_per_kwh)), Energies.of(rows)
    at = {
        **prices_of_rows(rows, PRICE_KEYS),
        TRADE_PRICE: groups.at(_trade_prices(groups, rows, trade_prices_micro_per_kwh)),
    }
    trades = products_of(TRADE_KINDS, (energies.bought_wh, energies.sold_wh), at)
    owed = owed_by(LINE_KINDS, groups, energies, trades, at)
    kept = (rows.bought_wh, rows.sold_wh, owed.pays_nano, owed.supplier_only_nano)
    return Settlement(dict(zip(POSITION_COLUMNS, kept, strict=True)), {}, owed.received_nano)


def lines_of(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None]) -> tuple[Line, ...]:
    """The nine lines in the order of LINE_KINDS, of any rows: no row's lines depend on another row."""
    groups, energies = check_rows(rows, len(trade_prices_micro_per_kwh)), Energies.of(rows)
    trade_prices = groups.at([price or 0 for price in trade_prices_micro_per_kwh])
    at = {**prices_of_rows(rows, PRICE_KEYS), TRADE_PRICE: trade_prices}
    traded = zip(TRADE_KINDS, (energies.bought_wh, energies.sold_wh), strict=True)
    return (*(priced_line(kind, wh, at) for kind, wh in traded), *lines_of_metered(energies, at))


def _trade_prices(groups: Groups, rows: RowsLike, trade_prices_micro_per_kwh: Sequence[int | None]) -> list[int]:
    """The price of each gate, 0 where nothing was traded; ContractError where bought energy has no price."""
    for bought, price in zip(groups.sums(rows.bought_wh), trade_prices_micro_per_kwh, strict=True):
        if price is None and bought:
            raise ContractError(f"{bought} Wh were traded, but there is no trade price")
    return [check_int64(price or 0, TRADE_PRICE) for price in trade_prices_micro_per_kwh]
