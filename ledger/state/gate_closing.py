"""The gates of a zone that are due: profiles order, then what has a book is cleared (docs/spec/state.md, "Due work")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.leaves.orders import ORDERS
from ledger.leaves.profile_span import PROFILE_SPAN, ProfileSpanLeaf
from ledger.registry.zones import Zone
from ledger.state.clear import clear_slot
from ledger.state.draft import Draft
from ledger.state.profiles import order_by_profiles


class Closed(NamedTuple):
    """books: the slots that have orders and are not cleared yet; rows: what closing gates took of the budget."""

    books: Sequence[int]
    rows: int


def close_gates(draft: Draft, zone: Zone, books: Sequence[int], rows: int) -> Closed:
    """Close gates while ``rows`` of the budget are left; the one that exhausts them is finished. books: as ``Closed``, before."""
    left, taken, span = list(books), 0, PROFILE_SPAN.load(draft, zone.name)
    while taken < rows and is_gate_due(draft, zone, left):
        slot_start_s = min(_next_gates(left, span))
        if span is not None and slot_start_s == span.first_slot_s < span.end_s:
            taken += max(order_by_profiles(draft, zone, slot_start_s), 1)
            span = span._replace(first_slot_s=slot_start_s + draft.slot_s)
            PROFILE_SPAN.save(draft, span, zone.name)
        if ORDERS.load(draft, slot_start_s, zone.name) is not None:
            taken += clear_slot(draft, zone, slot_start_s)
        left = [book for book in left if book != slot_start_s]
    return Closed(left, taken)


def is_gate_due(draft: Draft, zone: Zone, books: Sequence[int]) -> bool:
    """Whether a gate of a slot with orders, or with profiles, is to be closed now."""
    gates = _next_gates(books, PROFILE_SPAN.load(draft, zone.name))
    return bool(gates) and draft.ledger_time_s >= min(gates) - zone.timeline.gate_before_start_s


def _next_gates(books: Sequence[int], span: ProfileSpanLeaf | None) -> list[int]:
    """The first slot that has orders, and the first that may have profiles."""
    has_profiles = span is not None and span.first_slot_s < span.end_s
    return [*books[:1], *([span.first_slot_s] if span is not None and has_profiles else [])]
