"""The settlement of slots in which schedules stand: the schedules in full, then ``slot_settlement/1`` for what was metered otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from settlement.contract_kit_1 import (
    CLEARING_ACCOUNT,
    METERED_KINDS,
    TRADER_PRICE_KEYS,
    ContractError,
    Energies,
    Int64Column,
    Line,
    LineKind,
    Product,
    RowsLike,
    Settlement,
    check_nothing_traded,
    check_rows,
    lines_of_metered,
    owed_by,
    prices_of_rows,
    promise,
    shared_line,
)
from settlement.contracts.schedules_and_deviations_1.scheduled import schedule

POSITION_COLUMNS = (
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano",
    "supplier_only_nano",
)  # fmt: skip
"""What is kept of each point: energy and money of its schedules, of differences apart, its bill, and the supplier's alone."""

SCHEDULED = (
    LineKind("schedule_buy", CLEARING_ACCOUNT, +1, None),
    LineKind("schedule_sell", CLEARING_ACCOUNT, +1, None),
    LineKind("schedule_difference", CLEARING_ACCOUNT, +1, None),
)
"""Lines without a price of their own: a point may have several schedules."""

LINE_KINDS = (*SCHEDULED, *METERED_KINDS)
"""The kinds of statement lines, in their order; a row on the chain has the number."""


def settle(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], count: int) -> Settlement:
    """Settle ``count`` groups of rows.

    ContractError for a negative energy, anything traded by orders, agreements that are not handed in or do not fit the rows, a missing or unknown
    price, and a result outside int64.
    """
    groups = check_rows(rows, count)
    check_nothing_traded(rows, trade_prices_micro_per_kwh)
    if rows.agreements is None:
        raise ContractError("agreements are not handed in")
    kept = schedule(rows.group, rows.export_wh, rows.agreements)
    promise(not any(groups.sums(kept.difference_nano)), "differences sum to 0")
    energies = Energies(rows.import_wh, rows.export_wh, kept.bought_wh, kept.sold_wh)
    trades = [Product(column, 1) for column in (kept.bought_nano, -kept.sold_nano, kept.difference_nano)]
    owed = owed_by(LINE_KINDS, groups, energies, trades, prices_of_rows(rows, TRADER_PRICE_KEYS))
    columns = (
        kept.bought_wh, kept.sold_wh, kept.bought_nano, kept.sold_nano, kept.difference_wh, kept.difference_nano,
        owed.pays_nano, owed.supplier_only_nano,
    )  # fmt: skip
    return Settlement(dict(zip(POSITION_COLUMNS, columns, strict=True)), {}, owed.received_nano)


def lines_of(rows: RowsLike, columns: Mapping[str, Int64Column], count: int) -> tuple[Line, ...]:
    """The lines of settled rows, in the order of LINE_KINDS: no row's lines depend on another row."""
    check_rows(rows, count)
    energies_wh = (rows.bought_wh, rows.sold_wh, columns["difference_wh"])
    amounts_nano = (columns["bought_nano"], -columns["sold_nano"], columns["difference_nano"])
    scheduled = (shared_line(*of) for of in zip(SCHEDULED, energies_wh, amounts_nano, strict=True))
    return (*scheduled, *lines_of_metered(Energies.of(rows), prices_of_rows(rows, TRADER_PRICE_KEYS)))
