"""The market of a slot: orders, its clearing, the anonymous book."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gridcore.node_interface import API, CBOR_TYPE
from gridcore.registry.party import PARTY as PARTY_ENTITY
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from gridcore.transactions.market_order import SIDES
from gridevidence.sources import EvidenceError
from ledger.evidence import build_book
from ledger.gates import is_closed, load_gate, load_shown_orders, said_of_wants
from ledger.http.parameters import AREA, OF_AREA, OF_PARTY, OF_SLOT, PARTY, SLOT, START
from ledger.http.queries.answers import plain, settling_page, window
from ledger.http.roles import OWN_AREA, OWN_ROWS, PARTY_ITSELF, READERS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.clearing import CLEARING
from ledger.leaves.columns import split_row
from ledger.leaves.profiles import PROFILES, join_profiles


def orders(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, start: int) -> Json:
    """Orders of a slot, perhaps of one party only, ascending by the bytes of their ids; ``filled_wh`` is None until the gate has cleared."""
    party = scope.party
    view.check_slot("slot", slot_start_s)
    area = view.area(area_id, slot_start_s)
    if party is not None:
        settling_page(area, party, 0)
    with view.reader.frozen():
        found = load_shown_orders(view.reader, area, slot_start_s)
        number = None if party is None else view.reader.registry.party_number[party]
    own = found if number is None else found.take(np.flatnonzero(found.party == number))
    first, end, following = window(len(own), start)
    shown = [order._asdict() for order in own.take(slice(first, end)).each()]
    return {"area": area.id, "slot_start_s": slot_start_s, "orders": shown, "next": following}


def profiles(view: LedgerView, party: str) -> Json:
    """The standing rules of a party that may still order, in the order in which they were taken. ``counter`` and ``slot_start_s`` name one for its end."""
    with view.reader.frozen():
        record = view.reader.in_force(PARTY_ENTITY, party)
        if record is None:
            raise Problem("not-found", f"no party {party!r}")
        zone, number = view.area(record.area).zone, view.reader.registry.party_number[party]
        leaf = PROFILES.load(view.reader, zone.name, split_row(number)[0]) or join_profiles([])
        ends_later = leaf.end_s > np.maximum(leaf.first_slot_s, view.reader.ledger_time_s)
        own = leaf.take((leaf.party == number) & ends_later)
    shown: dict[bytes, dict[str, Any]] = {}
    ends, asked = own.entries.cumsum().tolist(), said_of_wants(view.reader.registry.parties, own.wants)
    for row, (end, entries) in enumerate(zip(ends, own.entries.tolist(), strict=True)):
        counter = int(own.counter[row])
        times = {"slot_start_s": int(own.first_slot_s[row]), "end_s": int(own.end_s[row])}
        found = shown.setdefault(bytes(own.ids[row]), {"counter": counter, **times, "parts": []})
        said = {
            "price_micro_per_kwh": int(own.price_micro_per_kwh[row]),
            "quantities_wh": own.quantities_wh[end - entries : end].tolist(),
        }
        part: dict[str, Any] = {"side": SIDES[int(own.side[row])]}
        choice = asked[row].pop("choice", None)
        if choice is None:
            found["parts"].append({**part, **said})
            continue
        if choice == 1:
            found["parts"].append({**part, "conditions": []})
        found["parts"][-1]["conditions"].append({**said, **asked[row]})
    return {"party": party, "area": record.area, "profiles": list(shown.values())}


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
    try:
        return build_book(view.reader, area.id, slot_start_s)
    except EvidenceError as error:
        raise Problem("too-large", str(error)) from None


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
        rule=f"{API}/profiles",
        summary="The standing rules of a party.",
        access=PARTY_ITSELF,
        query=profiles,
        parameters=OF_PARTY,
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
