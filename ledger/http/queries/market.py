"""The market of a slot: orders, its clearing, the anonymous book."""

from __future__ import annotations

from typing import Final

from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.client import API, CBOR_TYPE
from ledger.evidence import build_book
from ledger.http.parameters import AREA, OF_AREA, OF_SLOT, PARTY, SLOT, START
from ledger.http.queries.answers import page, plain, settling_window
from ledger.http.roles import OWN_AREA, OWN_ROWS, READERS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.clearing import CLEARING, ClearingLeaf
from ledger.leaves.fills import Fill
from ledger.state.market import by_order_id, order_id


def orders(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, start: int) -> Json:
    """Orders of a slot, perhaps of one party only, ascending by the bytes of their ids; ``filled_wh`` is None until the gate has cleared."""
    party = scope.party
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    if party is not None:
        settling_window(area, party, 0)
    found = [order for order in view.orders(area, slot_start_s) if party is None or order.party == party]
    shown, following = page(by_order_id(found, slot_start_s), start)
    rows = [
        {
            "order": order_id(order.party, slot_start_s, order.counter),
            "party": order.party,
            "side": order.side,
            "quantity_wh": order.quantity_wh,
            "price_micro_per_kwh": order.price_micro_per_kwh,
            "filled_wh": order.filled_wh if isinstance(order, Fill) else None,
        }
        for order in shown
    ]
    return {"area": area.id, "slot_start_s": slot_start_s, "orders": rows, "next": following}


def clearing(view: LedgerView, area_id: str, slot_start_s: int) -> Json:
    """Price, volume and roots of a cleared gate."""
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    return {"price_micro_per_kwh": None, **plain(CLEARING.encode(_cleared(view, area.id, slot_start_s)))}


def book(view: LedgerView, area_id: str, slot_start_s: int) -> bytes:
    """The anonymous book of a cleared gate as ``verify --with-book`` reads it (docs/spec/bundle.md, "Book")."""
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    _cleared(view, area.id, slot_start_s)
    return build_book(view.reader, area.id, slot_start_s)


def _cleared(view: LedgerView, area_id: str, slot_start_s: int) -> ClearingLeaf:
    found = CLEARING.load(view.reader, area_id, slot_start_s)
    if found is None:
        raise Problem("not-found", f"slot {slot_start_s} of area {area_id!r} is not cleared yet")
    return found


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
        parameters=(OF_AREA, OF_SLOT),
        content=CBOR_TYPE,
    ),
)
