"""Rows that a contract is handed, cut and joined: some rows of an area, and two areas in one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ledger.contract import Agreements, Period, SlotRows, Tariffs, TradeAmounts

Ints = NDArray[np.int64]


def columns_of(rows: SlotRows) -> list[Ints]:
    """All columns of rows."""
    own = [rows.group, rows.import_wh, rows.export_wh, rows.bought_wh, rows.sold_wh, rows.tariffs.of_row]
    return [*own, *rows.point_terms.values(), *rows.tariffs.prices.values()]


def some_of(rows: SlotRows, at: Ints) -> SlotRows:
    """Some rows, as lines are asked for: with nothing of orders, agreements and periods."""
    return SlotRows(
        rows.group[at],
        rows.import_wh[at],
        rows.export_wh[at],
        rows.bought_wh[at],
        rows.sold_wh[at],
        rows.tariffs._replace(of_row=rows.tariffs.of_row[at]),
        {name: of[at] for name, of in rows.point_terms.items()},
    )


def together(first: SlotRows, second: SlotRows, places: Sequence[int]) -> SlotRows:
    """Two areas of as many rows each in one call; places: of each row of the result that in both, one behind the other."""
    at = np.array(places, dtype=np.int64)

    def joined(one: Ints, two: Ints) -> Ints:
        return np.concatenate((one, two))[at]

    tariffs = Tariffs(
        np.arange(2),
        joined(first.tariffs.of_row, second.tariffs.of_row + 1),
        {key: np.concatenate((of, second.tariffs.prices[key])) for key, of in first.tariffs.prices.items()},
    )
    return SlotRows(
        joined(first.group, second.group + 1),
        joined(first.import_wh, second.import_wh),
        joined(first.export_wh, second.export_wh),
        joined(first.bought_wh, second.bought_wh),
        joined(first.sold_wh, second.sold_wh),
        tariffs,
        {name: joined(of, second.point_terms[name]) for name, of in first.point_terms.items()},
        _amounts(first.amounts, second.amounts, at),
        _period(first.period, second.period, at),
        _agreements(first.agreements, second.agreements, at),
    )


def _amounts(first: TradeAmounts | None, second: TradeAmounts | None, at: Ints) -> TradeAmounts | None:
    if first is None or second is None:
        return None
    fee_nano = None
    if first.fee_nano is not None and second.fee_nano is not None:
        fee_nano = np.concatenate((first.fee_nano, second.fee_nano))[at]
    return TradeAmounts(
        np.concatenate((first.bought_nano, second.bought_nano))[at],
        np.concatenate((first.sold_nano, second.sold_nano))[at],
        fee_nano,
    )


def _period(first: Period | None, second: Period | None, at: Ints) -> Period | None:
    if first is None or second is None:
        return None
    return Period(
        [*first.start_s, *second.start_s],
        [*first.closes, *second.closes],
        {name: np.concatenate((of, second.columns[name]))[at] for name, of in first.columns.items()},
        {name: [*of, *second.area_columns[name]] for name, of in first.area_columns.items()},
    )


def _agreements(first: Agreements | None, second: Agreements | None, at: Ints) -> Agreements | None:
    """Sellers and buyers are rows, which stand elsewhere now."""
    if first is None or second is None:
        return None
    row_of = np.argsort(at, kind="stable")
    columns = dict(
        zip(Agreements._fields, (np.concatenate(both) for both in zip(first, second, strict=True)), strict=True)
    )
    for side, one, two in (("seller", first.seller, second.seller), ("buyer", first.buyer, second.buyer)):
        columns[side] = row_of[np.concatenate((one, two + at.size // 2))]
    return Agreements(**columns)
