"""The market of a slot: orders, its clearing, the anonymous book."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.client import API, CBOR_TYPE
from ledger.evidence import build_book
from ledger.http.parameters import AREA, OF_AREA, OF_SLOT, PARTY, SLOT, START
from ledger.http.queries.answers import page, plain, settling_window
from ledger.http.roles import OWN_AREA, OWN_ROWS, READERS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.state.market import by_order_id, order_id


def orders(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, start: int) -> Json:
    """Orders of a slot, perhaps of one party only, ascending by the bytes of their ids; ``filled_wh`` is None until the gate has cleared."""
    party = scope.party
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    if party is not None:
        settling_window(area, party, 0)
    found = [order for order in view.orders(area, slot_start_s) if party is None or order[0] == party]
    found = by_order_id(found, slot_start_s)
    shown, following = page(found, start)
    rows = [
        {
            "order": order_id(owner, slot_start_s, counter),
            "party": owner,
            "side": side,
            "quantity_wh": quantity_wh,
            "price_micro_per_kwh": price,
            "filled_wh": filled_wh,
        }
        for owner, counter, side, quantity_wh, price, filled_wh in shown
    ]
    return {"area": area.id, "slot_start_s": slot_start_s, "orders": rows, "next": following}


def clearing(view: LedgerView, area_id: str, slot_start_s: int) -> Json:
    """Price, volume and roots of a cleared gate."""
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    return {"price_micro_per_kwh": None, **plain(_cleared(view, area.id, slot_start_s))}


def book(view: LedgerView, area_id: str, slot_start_s: int) -> bytes:
    """The anonymous book of a cleared gate as ``verify --with-book`` reads it (docs/spec/bundle.md, "Book")."""
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    _cleared(view, area.id, slot_start_s)
    return build_book(view.reader, area.id, slot_start_s)


def _cleared(view: LedgerView, area_id: str, slot_start_s: int) -> Mapping[str, Any]:
    value = view.reader.get(f"clearing/{area_id}/{slot_start_s}")
    if value is None:
        raise Problem("not-found", f"slot {slot_start_s} of area {area_id!r} is not cleared yet")
    return value


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
