"""The gate of a slot: what clearing makes of the book of a zone (docs/spec/state.md, "Clear")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gridcore import cbor, merkle
from gridcore.registry.rules import Rules
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from ledger.contract import ClearingLike, Contract
from ledger.leaves.book import BookLeaf
from ledger.leaves.cleared import ClearedLeaf, save_cleared
from ledger.leaves.clearing import CLEARING, ClearingLeaf
from ledger.leaves.columns import Digests, Int64, digests
from ledger.leaves.fills import FillsLeaf, save_fills
from ledger.leaves.trades import TradesLeaf, save_trades
from ledger.registry.zones import Zone, ZoneInForce
from ledger.state.all_or_none import ClearedRows, clear_rounds
from ledger.state.columns import Field, encode_rows
from ledger.state.contracts import SlotContract, contract_of_slot, contract_terms, distinct_rules
from ledger.state.draft import Draft
from ledger.state.held import release_unfilled
from ledger.state.order_terms import order_terms
from ledger.state.ranks import load_ranked, until_ranks
from ledger.state.trades import AreaTrades, amounts_of_orders, fees_of_orders, join_trades, roots_of_trades


def clear_slot(draft: Draft, zone: Zone, slot_start_s: int) -> int:
    """Clear the gate of all areas of a zone and write ``clearing``, ``cleared`` and ``fills``, and ``trades`` under a contract that
    trades in pairs; returns the number of orders.
    """
    by_contract, in_force = contract_of_slot(draft, zone, slot_start_s), draft.at(slot_start_s).zone(zone)
    book = load_ranked(draft, by_contract.contract, slot_start_s, zone)
    area_starts = np.searchsorted(book.area, np.arange(len(zone.areas) + 1))
    until_rank = until_ranks(book, area_starts) if by_contract.contract.ranks_by_arrival else None
    asked = order_terms(by_contract.contract, in_force, book, area_starts)
    rules = distinct_rules(draft, by_contract.contract, in_force, slot_start_s)
    result = _clear_areas(rules, by_contract.contract, in_force, _Ranked(book, area_starts, until_rank, asked))
    seed = _seed_over(["clearing-seed/2", slot_start_s, zone.name], book.seeds)
    trades = join_trades(result.trades, seed) if by_contract.contract.trades_in_pairs else None
    fills = FillsLeaf(
        all_or_none=book.all_or_none,
        area=book.area,
        counter=book.counter,
        filled_wh=result.filled_wh,
        held_micro_per_kwh=book.held_micro_per_kwh,
        party=book.party,
        price_micro_per_kwh=book.price_micro_per_kwh,
        quantity_wh=book.quantity_wh,
        side=book.side,
        seed=seed,
        amount_nano=None if trades is None else amounts_of_orders(trades, len(book.area)),
        until_rank=until_rank,
        fee_nano=None if trades is None else fees_of_orders(trades, len(book.area)),
        **asked,
    )
    roots = _gate_roots(zone.name, slot_start_s, area_starts, fills, book.seeds, trades)
    rules_digests = digests(in_force.rules_digests)[in_force.rules]
    cleared = _cleared(result, np.diff(area_starts), roots, rules_digests, fills.seed)
    _write(draft, by_contract, zone, slot_start_s, cleared)
    save_fills(draft, slot_start_s, zone.name, fills)
    if trades is not None:
        save_trades(draft, slot_start_s, zone.name, trades)
    release_unfilled(draft, fills)
    return len(book.seeds)


class _Ranked(NamedTuple):
    """Orders by area, then by rank: where each area's begin; until_rank, asked: columns beside them (``until_ranks``, ``order_terms``)."""

    book: BookLeaf
    area_starts: Int64
    until_rank: Int64 | None
    asked: Mapping[str, Int64]

    def take(self, rows: slice) -> _Ranked:
        """Those of one area."""
        until = None if self.until_rank is None else self.until_rank[rows]
        asked = {name: column[rows] for name, column in self.asked.items()}
        return _Ranked(self.book.take(rows), self.area_starts, until, asked)


class _Cleared(NamedTuple):
    """The gates of all areas: volume_wh, has_price, price_micro_per_kwh (0 without) int64[areas], filled_wh beside the orders.

    trades: of each area with orders, under a contract that trades in pairs.
    """

    volume_wh: Int64
    has_price: Int64
    price_micro_per_kwh: Int64
    filled_wh: Int64
    trades: list[AreaTrades]


def _clear_areas(
    rules: Sequence[Rules],
    contract: Contract,
    zone: ZoneInForce,
    ranked: _Ranked,
) -> _Cleared:
    """Call the contract for each area that has orders. rules: those of the zone, by place."""
    area_starts, areas = ranked.area_starts, len(ranked.area_starts) - 1
    volume_wh, has_price, price = (np.zeros(areas, dtype=np.int64) for _ in range(3))
    cleared = _Cleared(volume_wh, has_price, price, np.zeros_like(ranked.book.area), [])
    for area in np.flatnonzero(np.diff(area_starts)).tolist():
        rows = slice(int(area_starts[area]), int(area_starts[area + 1]))
        result, own = _clear_area(contract, ranked.take(rows), contract_terms(rules[int(zone.rules[area])]))
        cleared.volume_wh[area], cleared.price_micro_per_kwh[area] = result.volume_wh, result.price_micro_per_kwh or 0
        cleared.has_price[area] = result.price_micro_per_kwh is not None
        cleared.filled_wh[rows][own] = result.filled_wh
        if result.trades is not None:
            cleared.trades.append(AreaTrades(area, rows.start, result.trades, result.fees_micro_per_kwh))
    return cleared


def _clear_area(contract: Contract, ranked: _Ranked, terms: Mapping[str, Any]) -> ClearedRows:
    """Clear the orders of one area, those that are all or none as such. Where several orders are one bid, none is all or none."""
    book = ranked.book
    side = book.side.astype(np.int8)

    def clear(rows: Int64) -> ClearingLike:
        until = None if ranked.until_rank is None else ranked.until_rank[rows]
        asked = {name: column[rows] for name, column in ranked.asked.items()}
        columns = (side[rows], book.quantity_wh[rows], book.price_micro_per_kwh[rows])
        return contract.clear(*columns, terms=terms, until_rank=until, order_terms=asked or None)

    return clear_rounds(clear, book.quantity_wh, book.all_or_none)


class _GateRoots(NamedTuple):
    """uint8[areas, 32]: roots over the rows of each area's fills, of its book, and of its trades where there may be some."""

    fills: Digests
    book: Digests
    trades: Digests | None


def _gate_roots(
    zone: str,
    slot_start_s: int,
    area_starts: Int64,
    fills: FillsLeaf,
    order_seeds: Digests,
    trades: TradesLeaf | None,
) -> _GateRoots:
    areas = len(area_starts) - 1
    fills_roots, book_roots, seeds = [merkle.EMPTY_ROOT] * areas, [merkle.EMPTY_ROOT] * areas, [b""] * areas
    for area in np.flatnonzero(np.diff(area_starts)).tolist():
        rows = slice(int(area_starts[area]), int(area_starts[area + 1]))
        seeds[area] = seed = area_seed(area, slot_start_s, zone, order_seeds[rows])
        own = fills.take(rows)
        fills_roots[area] = merkle.salted_root(fills_seed(seed), fill_rows(own))
        book_roots[area] = merkle.salted_root(book_seed(seed), book_rows(own))
    trades_roots = None if trades is None else roots_of_trades(trades, fills, seeds)
    return _GateRoots(digests(fills_roots), digests(book_roots), trades_roots)


def _cleared(result: _Cleared, orders: Int64, roots: _GateRoots, rules_digests: Digests, seed: bytes) -> ClearedLeaf:
    trades = np.zeros_like(orders)
    for part in result.trades:
        trades[part.area] = len(part.trades.buy)
    return ClearedLeaf(
        has_price=result.has_price,
        orders=orders,
        price_micro_per_kwh=result.price_micro_per_kwh,
        volume_wh=result.volume_wh,
        book_roots=roots.book,
        fills_roots=roots.fills,
        rules=rules_digests,
        seed=seed,
        trades=None if roots.trades is None else trades,
        trades_roots=roots.trades,
    )


def _write(draft: Draft, by_contract: SlotContract, zone: Zone, slot_start_s: int, cleared: ClearedLeaf) -> None:
    leaf = ClearingLeaf(
        areas=len(zone.areas),
        areas_root=merkle.salted_root(areas_seed(cleared.seed), cleared_rows(cleared)),
        contract=by_contract.contract.contract_id,
        contract_pin=by_contract.pin,
        slot_start_s=slot_start_s,
        zone=zone.name,
    )
    CLEARING.save(draft, leaf, slot_start_s, zone.name)
    save_cleared(draft, slot_start_s, zone.name, cleared)


# ------------------------------------------------------------------------------------------------- rows and their salts


def fill_rows(fills: FillsLeaf) -> PackedRows:
    """Rows of the fills of an area, by rank: each is shown to its party. What trades come to, their fees, and what was asked of orders, is at the end."""
    money = (column for column in (fills.amount_nano, fills.fee_nano) if column is not None)
    amounts: list[Field] = [("<i8", column) for column in money]
    return encode_rows([("<u4", fills.party), ("<u4", fills.counter), *_terms(fills), *amounts, *_asked(fills)])


def book_rows(fills: FillsLeaf) -> PackedRows:
    """Rows of the book of an area, by rank: they name nobody. Where orders rank by arrival, until when each stood is at the end;
    and so is what the contract asks of orders.
    """
    until: list[Field] = [] if fills.until_rank is None else [("<u4", fills.until_rank)]
    return encode_rows([("<u4", np.arange(len(fills.area), dtype=np.int64)), *_terms(fills), *until, *_asked(fills)])


def _terms(fills: FillsLeaf) -> list[Field]:
    wide = (fills.quantity_wh, fills.price_micro_per_kwh, fills.filled_wh)
    return [("u1", fills.side + 2 * fills.all_or_none), *(("<i8", column) for column in wide)]


def _asked(fills: FillsLeaf) -> list[Field]:
    return [("<u4", column) for column in fills.order_terms.values()]


def cleared_rows(cleared: ClearedLeaf) -> PackedRows:
    """Rows of all areas of a cleared gate, by area number. Where there may be trades, their number and root stand at the end."""
    traded: list[Field] = []
    if cleared.trades is not None and cleared.trades_roots is not None:
        traded = [("<u4", cleared.trades), ("32u1", cleared.trades_roots)]
    return encode_rows(
        [
            ("<u4", np.arange(len(cleared.orders), dtype=np.int64)),
            ("<u4", cleared.orders),
            ("<i8", cleared.volume_wh),
            ("u1", cleared.has_price),
            ("<i8", cleared.price_micro_per_kwh),
            ("32u1", cleared.rules),
            ("32u1", cleared.book_roots),
            ("32u1", cleared.fills_roots),
            *traded,
        ]
    )


def area_seed(area: int, slot_start_s: int, zone: str, order_seeds: Digests) -> bytes:
    """The secret from which the salts of an area's book and fills follow; ``order_seeds`` in the order of the order ids."""
    return _seed_over(["clearing-seed/2", area, slot_start_s, zone], order_seeds)


def _seed_over(words: list[int | str], order_seeds: Digests) -> bytes:
    """SM3 of canonical [*words, [order seeds]]."""
    before = cbor.encode([*words, 0])[:-1]  # all but the last item, which is one byte
    return sm3(before + cbor.encode_digests(order_seeds.tobytes()))


def fills_seed(seed: bytes) -> bytes:
    """Salt seed of the fill rows, from the area's seed."""
    return sm3(seed + b"fills")


def book_seed(seed: bytes) -> bytes:
    """Salt seed of the book rows, from the area's seed."""
    return sm3(seed + b"book")


def areas_seed(seed: bytes) -> bytes:
    """Salt seed of the rows of areas, from the seed of a gate or a run."""
    return sm3(seed + b"areas")
