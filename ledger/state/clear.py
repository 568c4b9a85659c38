"""The gate of a slot: what clearing makes of the book of a zone (docs/spec/state.md, "Clear")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore import cbor, merkle
from gridcore.registry.rules import Rules
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from ledger.contract import Contract
from ledger.leaves.book import BookLeaf, load_orders
from ledger.leaves.cleared import ClearedLeaf, save_cleared
from ledger.leaves.clearing import CLEARING, ClearingLeaf
from ledger.leaves.columns import Digests, Int64, digests
from ledger.leaves.fills import FillsLeaf, save_fills
from ledger.registry.in_force import Registry
from ledger.registry.zones import Zone, ZoneInForce
from ledger.state.columns import Field, encode_rows
from ledger.state.contracts import SlotContract, contract_of_slot, contract_terms, distinct_rules
from ledger.state.draft import Draft
from ledger.state.held import release_unfilled

ORDER_COUNTER_MAX: Final = 16
_COUNTER_NAMES: Final = [str(counter) for counter in range(ORDER_COUNTER_MAX + 1)]
_COUNTER_RANK: Final = np.argsort(np.argsort(_COUNTER_NAMES, kind="stable"), kind="stable")
"""How counters rank as the ends of order ids: 10 comes before 2."""


def order_id(party: str, slot_start_s: int, counter: int) -> str:
    """The name of an order; its bytes break ties."""
    return f"{party}/{slot_start_s}/{counter}"


def by_order_id(registry: Registry, area: Int64, party: Int64, counter: Int64) -> Int64:
    """int64[n]: orders of one slot as clearing sees them, ascending by area, then by the bytes of their ids."""
    return np.lexsort((_COUNTER_RANK[counter], registry.party_rank[party], area))


def clear_slot(draft: Draft, zone: Zone, slot_start_s: int) -> int:
    """Clear the gate of all areas of a zone and write ``clearing``, ``cleared`` and ``fills``; returns the number of orders."""
    by_contract, in_force = contract_of_slot(draft, zone, slot_start_s), draft.at(slot_start_s).zone(zone)
    book = load_orders(draft, slot_start_s, zone.name)
    book = book.take(by_order_id(draft.registry, book.area, book.party, book.counter))
    area_starts = np.searchsorted(book.area, np.arange(len(zone.areas) + 1))
    result = _clear_areas(
        distinct_rules(draft, by_contract.contract, in_force, slot_start_s),
        by_contract.contract,
        in_force,
        book,
        area_starts,
    )
    fills = FillsLeaf(
        area=book.area,
        counter=book.counter,
        filled_wh=result.filled_wh,
        held_micro_per_kwh=book.held_micro_per_kwh,
        party=book.party,
        price_micro_per_kwh=book.price_micro_per_kwh,
        quantity_wh=book.quantity_wh,
        side=book.side,
        seed=_seed_over(["clearing-seed/2", slot_start_s, zone.name], book.seeds),
    )
    roots = _gate_roots(zone.name, slot_start_s, area_starts, fills, book.seeds)
    rules_digests = digests(in_force.rules_digests)[in_force.rules]
    cleared = _cleared(result, np.diff(area_starts), roots, rules_digests, fills.seed)
    _write(draft, by_contract, zone, slot_start_s, cleared)
    save_fills(draft, slot_start_s, zone.name, fills)
    release_unfilled(draft, fills)
    return len(book.seeds)


class _Cleared(NamedTuple):
    """The gates of all areas: volume_wh and price_micro_per_kwh (0 without volume) int64[areas], filled_wh beside the orders."""

    volume_wh: Int64
    price_micro_per_kwh: Int64
    filled_wh: Int64


def _clear_areas(
    rules: Sequence[Rules], contract: Contract, zone: ZoneInForce, book: BookLeaf, area_starts: Int64
) -> _Cleared:
    """Call the contract for each area that has orders. rules: those of the zone, by place."""
    areas = len(area_starts) - 1
    cleared = _Cleared(*(np.zeros(size, dtype=np.int64) for size in (areas, areas, len(book.area))))
    for area in np.flatnonzero(np.diff(area_starts)).tolist():
        rows = slice(int(area_starts[area]), int(area_starts[area + 1]))
        result = contract.clear(
            book.side[rows].astype(np.int8),
            book.quantity_wh[rows],
            book.price_micro_per_kwh[rows],
            terms=contract_terms(rules[int(zone.rules[area])]),
        )
        cleared.volume_wh[area], cleared.price_micro_per_kwh[area] = result.volume_wh, result.price_micro_per_kwh or 0
        cleared.filled_wh[rows] = result.filled_wh
    return cleared


class _GateRoots(NamedTuple):
    """uint8[areas, 32]: roots over the rows of each area's fills and of its book."""

    fills: Digests
    book: Digests


def _gate_roots(zone: str, slot_start_s: int, area_starts: Int64, fills: FillsLeaf, order_seeds: Digests) -> _GateRoots:
    areas = len(area_starts) - 1
    fills_roots, book_roots = [merkle.EMPTY_ROOT] * areas, [merkle.EMPTY_ROOT] * areas
    for area in np.flatnonzero(np.diff(area_starts)).tolist():
        rows = slice(int(area_starts[area]), int(area_starts[area + 1]))
        seed, own = area_seed(area, slot_start_s, zone, order_seeds[rows]), fills.take(rows)
        fills_roots[area] = merkle.salted_root(fills_seed(seed), fill_rows(own))
        book_roots[area] = merkle.salted_root(book_seed(seed), book_rows(own))
    return _GateRoots(digests(fills_roots), digests(book_roots))


def _cleared(result: _Cleared, orders: Int64, roots: _GateRoots, rules_digests: Digests, seed: bytes) -> ClearedLeaf:
    has_price = (result.volume_wh > 0).astype(np.int64)
    return ClearedLeaf(
        has_price=has_price,
        orders=orders,
        price_micro_per_kwh=result.price_micro_per_kwh,
        volume_wh=result.volume_wh,
        book_roots=roots.book,
        fills_roots=roots.fills,
        rules=rules_digests,
        seed=seed,
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
    """Rows of the fills of an area, by order id: each is shown to its party."""
    return encode_rows([("<u4", fills.party), ("<u4", fills.counter), *_terms(fills)])


def book_rows(fills: FillsLeaf) -> PackedRows:
    """Rows of the book of an area, by order id: they name nobody."""
    return encode_rows([("<u4", np.arange(len(fills.area), dtype=np.int64)), *_terms(fills)])


def _terms(fills: FillsLeaf) -> list[Field]:
    wide = (fills.quantity_wh, fills.price_micro_per_kwh, fills.filled_wh)
    return [("u1", fills.side), *(("<i8", column) for column in wide)]


def cleared_rows(cleared: ClearedLeaf) -> PackedRows:
    """Rows of all areas of a cleared gate, by area number."""
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
