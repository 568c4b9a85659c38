"""The settlement of slots of a community that shares its production by keys: who is given what, then ``slot_settlement/1``.

Production is all export of a group, consumption its imports, never netted. What is given to a point it has bought, at one price
that the terms name; what all were given is sold by those who export, in proportion. With ``settle_residual`` false the
shared energy alone is billed here, as if a point had imported and exported nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from settlement.contract_kit_1 import (
    TRADE_PRICE,
    Groups,
    Int64Column,
    Line,
    LineKind,
    Price,
    Product,
    RowsLike,
    Settlement,
    check_conserved,
    check_nothing_traded,
    check_rows,
    priced_line,
    prices_of_rows,
    products_of,
    promise,
    receipts,
    sum_of_products,
)
from settlement.contracts.sharing_keys_1.allocation import PRIORITY, allocate

METHOD = "method"
SETTLE_RESIDUAL = "settle_residual"
SHARE_PPM, PRIORITY_NUMBER = "share_ppm", "priority"
SERVED_LAST = 1_000_001
"""In place of the priority of a point that has none: behind all that a point may have."""

RESIDUAL_PRICE = "residual_price_micro_per_kwh"
FEED_IN_PRICE = "feed_in_price_micro_per_kwh"
NETWORK_TRADED = "network_traded_micro_per_kwh"
NETWORK_RESIDUAL = "network_residual_micro_per_kwh"
LEVY = "levy_micro_per_kwh"

PRICE_KEYS = (RESIDUAL_PRICE, FEED_IN_PRICE, NETWORK_TRADED, NETWORK_RESIDUAL, LEVY)
"""The keys that ``prices`` must hold, exactly."""

SUPPLIER_KEYS = (RESIDUAL_PRICE, NETWORK_RESIDUAL, LEVY)
"""The prices that make up a kWh from the supplier alone."""

POSITION_COLUMNS = ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
"""What is kept of each point: what it was given and what others were given of its export, its bill, and the supplier's alone."""

AREA_COLUMNS = ("production_wh", "consumption_wh", "shared_wh", "keys_ppm")
"""What every share of an area rests on: all export, all import, what was shared, the sum of the keys."""

ACCOUNTS = ("clearing", "levy", "network", "offtaker", "supplier")
"""The counter-accounts. ``clearing`` stands between those who are given energy and those who give it; it always ends at 0."""

LINE_KINDS = (
    LineKind("trade_buy", "clearing", +1, TRADE_PRICE),
    LineKind("trade_sell", "clearing", -1, TRADE_PRICE),
    LineKind("residual_import", "supplier", +1, RESIDUAL_PRICE),
    LineKind("residual_export", "offtaker", -1, FEED_IN_PRICE),
    LineKind("network_traded", "network", +1, NETWORK_TRADED),
    LineKind("network_residual", "network", +1, NETWORK_RESIDUAL),
    LineKind("levy", "levy", +1, LEVY),
)
"""The kinds of statement lines, in their order; a row on the chain has the number."""

Terms = Sequence[Mapping[str, Any]]


def settle(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Terms) -> Settlement:
    """Settle some groups of rows, each a community with its method and price.

    ContractError for a negative energy, anything traded by orders, a missing or unknown price, and a result outside int64.
    """
    groups = check_rows(rows, len(terms))
    check_nothing_traded(rows, trade_prices_micro_per_kwh)
    production_wh, consumption_wh = groups.sums(rows.export_wh), groups.sums(rows.import_wh)
    shares_ppm = np.maximum(rows.point_terms[SHARE_PPM], 0)
    bought_wh = _allocate(groups, production_wh, rows, shares_ppm, [of_group[METHOD] for of_group in terms])
    shared_wh = groups.sums(bought_wh)
    sold_wh = groups.split(shared_wh, rows.export_wh)
    billed = _billed(groups, rows, bought_wh, sold_wh, terms)
    at = _prices(groups, rows, terms)
    products = products_of(LINE_KINDS, _energies(billed), at)
    received_nano = receipts(LINE_KINDS, products, ACCOUNTS, groups)
    promise(not any(received_nano["clearing"]), "the clearing account ends at 0")
    pays_nano = sum_of_products(products, "pays_nano")
    check_conserved(pays_nano, received_nano)
    alone = [Product(billed.import_wh, at[key]) for key in SUPPLIER_KEYS]
    alone.append(Product(billed.export_wh, at[FEED_IN_PRICE], -1))
    kept = (bought_wh, sold_wh, pays_nano, sum_of_products(alone, "supplier_only_nano"))
    sums = (production_wh, consumption_wh, shared_wh, groups.sums(shares_ppm))
    return Settlement(
        columns=dict(zip(POSITION_COLUMNS, kept, strict=True)),
        area_columns=dict(zip(AREA_COLUMNS, sums, strict=True)),
        received_nano=received_nano,
    )


def lines_of(rows: RowsLike, terms: Terms) -> tuple[Line, ...]:
    """The lines of settled rows, in the order of LINE_KINDS: no row's lines depend on another row."""
    groups = check_rows(rows, len(terms))
    energies_wh = _energies(_billed(groups, rows, rows.bought_wh, rows.sold_wh, terms))
    at = _prices(groups, rows, terms)
    return tuple(priced_line(kind, wh, at) for kind, wh in zip(LINE_KINDS, energies_wh, strict=True))


class _Billed(NamedTuple):
    """int64[n]: the energy that is billed, and what of it was shared."""

    import_wh: Int64Column
    export_wh: Int64Column
    bought_wh: Int64Column
    sold_wh: Int64Column


def _billed(groups: Groups, rows: RowsLike, bought_wh: Int64Column, sold_wh: Int64Column, terms: Terms) -> _Billed:
    """All energy of groups that settle the rest here too, of others the shared alone."""
    with_rest = groups.at([int(of_group.get(SETTLE_RESIDUAL, True)) for of_group in terms])
    import_wh = np.where(with_rest, rows.import_wh, bought_wh)
    return _Billed(import_wh, np.where(with_rest, rows.export_wh, sold_wh), bought_wh, sold_wh)


def _energies(of: _Billed) -> tuple[Int64Column, ...]:
    """The energy of each of LINE_KINDS: nobody is given more than it imports, or gives more than it exports."""
    rest_wh = of.import_wh - of.bought_wh
    return of.bought_wh, of.sold_wh, rest_wh, of.export_wh - of.sold_wh, of.bought_wh, rest_wh, of.import_wh


def _prices(groups: Groups, rows: RowsLike, terms: Terms) -> dict[str, Price]:
    """The prices of each row, with that of shared energy."""
    return {**prices_of_rows(rows, PRICE_KEYS), TRADE_PRICE: groups.at([of_group[TRADE_PRICE] for of_group in terms])}


def _allocate(
    groups: Groups, production_wh: Sequence[int], rows: RowsLike, shares_ppm: Int64Column, methods: Sequence[str]
) -> Int64Column:
    """What each row is given by the method of its group."""
    numbers = rows.point_terms[PRIORITY_NUMBER]
    turns = np.where(numbers < 0, SERVED_LAST, numbers)
    distinct = sorted(set(methods))
    if len(distinct) == 1:
        keys = turns if distinct[0] == PRIORITY else shares_ppm
        return allocate(groups, production_wh, rows.import_wh, method=distinct[0], keys=keys)
    allocated_wh = np.zeros_like(rows.import_wh)
    for method in distinct:
        places = [place for place, of_group in enumerate(methods) if of_group == method]
        renumbered = np.full(groups.count, -1, dtype=np.int64)
        renumbered[places] = np.arange(len(places))
        own = np.flatnonzero(renumbered[groups.of_row] >= 0)
        allocated_wh[own] = allocate(
            Groups(renumbered[groups.of_row[own]], len(places)),
            [production_wh[place] for place in places],
            rows.import_wh[own],
            method=method,
            keys=(turns if method == PRIORITY else shares_ppm)[own],
        )
    return allocated_wh
