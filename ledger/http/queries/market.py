"""The market of a slot: orders, its clearing, the anonymous book."""

from __future__ import annotations

from typing import Final

from gridcore.node_interface import API, CBOR_TYPE
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.evidence import build_book
from ledger.gates import ShownOrder, is_closed, load_gate, load_shown_orders
from ledger.http.parameters import AREA, OF_AREA, OF_SLOT, PARTY, SLOT, START
from ledger.http.queries.answers import page, plain, settling_page
from ledger.http.roles import OWN_AREA, OWN_ROWS, READERS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.clearing import CLEARING


def orders(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, start: int) -> Json:
    """Orders of a slot, perhaps of one party only, ascending by the bytes of their ids; ``filled_wh`` is None until the gate has cleared."""
    party = scope.party
    view.check_slot("slot", slot_start_s)
    area = view.area(area_id, slot_start_s)
    if party is not None:
        settling_page(area, party, 0)
    with view.reader.frozen():
        found = load_shown_orders(view.reader, area, slot_start_s)
    shown, following = page([order for order in found if party in (None, order.party)], start)
    return {"area": area.id, "slot_start_s": slot_start_s, "orders": list(map(_shown, shown)), "next": following}


def _shown(order: ShownOrder) -> Json:
    return order._asdict()


def clearing(view: LedgerView, area_id: str, slot_start_s: int) -> Json:
    """Price, volume and roots of a cleared gate: what its zone's clearing says of the area, and the leaf.

    A gate that closed without orders in the zone has no leaf and no roots.
    """
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    if not is_closed(view.reader, area.zone, slot_start_s):
        raise _not_cleared(area_id, slot_start_s)
    leaf = CLEARING.load(view.reader, slot_start_s, area.zone.name)
    gate = None if leaf is None else load_gate(view.reader, leaf, area.number)
    if leaf is None or gate is None:
        without = {"orders": 0, "price_micro_per_kwh": None, "volume_wh": 0}
        return {"area": area.id, "slot_start_s": slot_start_s, "zone": area.zone.name, **without}
    return {
        **plain(CLEARING.encode(leaf)),
        "area": area.id,
        "book_root": gate.book_root.hex(),
        "fills_root": gate.fills_root.hex(),
        "orders": gate.orders,
        "price_micro_per_kwh": gate.price_micro_per_kwh,
        "rules": gate.rules.hex(),
        "volume_wh": gate.volume_wh,
        **({} if gate.trades_root is None else {"trades": gate.trades, "trades_root": gate.trades_root.hex()}),
    }


def book(view: LedgerView, area_id: str, slot_start_s: int) -> bytes:
    """The anonymous book of a cleared gate as ``verify --with-book`` reads it (docs/spec/bundle.md, "Book")."""
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    if not is_closed(view.reader, area.zone, slot_start_s):
        raise _not_cleared(area_id, slot_start_s)
    return build_book(view.reader, area.id, slot_start_s)


def _not_cleared(area_id: str, slot_start_s: int) -> Problem:
    return Problem("not-found", f"slot {slot_start_s} of area {area_id!r} is not cleared yet")


ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/slots/<slot>/orders",
        summary="Orders and what was filled.",
        access=OWN_ROWS,
        query=orders,
        parameters=(AREA, SLOT, PARTY, START),
    ),
    Query(
        rule=f"{API}/areas/<area>/slots/<slot>/clearing",
        summary="Price and volume of the gate.",
        access=OWN_AREA,
        query=clearing,
        parameters=(AREA, SLOT),
    ),
    Query(
        rule=f"{API}/book",
        summary="The anonymous book of a gate.",
        access=READERS,
        query=book,
        is_long=True,
        parameters=(OF_AREA, OF_SLOT),
        content=CBOR_TYPE,
    ),
)
