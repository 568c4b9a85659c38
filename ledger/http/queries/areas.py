"""Areas, their installations and calendars: what genesis registered, and how far each area has come."""

from __future__ import annotations

import numpy as np

from gridcore.batch import ABSENT_QUALITY
from gridcore.serving.problems import Problem
from ledger.http.access import Caller, check_reads_all
from ledger.http.queries.answers import Json, page, plain
from ledger.http.view import LedgerView


def areas(view: LedgerView, caller: Caller) -> Json:
    """The areas that the caller has to do with, with their rules."""
    own = view.reader.get(f"party/{caller.id}") if "prosumer" in caller.roles else None
    if not caller.reads_all and own is None:
        check_reads_all(caller)
    found = []
    for area in view.areas:
        if not caller.reads_all and (own is None or own["area"] != area.id):
            continue
        value = view.reader.must(f"area/{area.id}")
        rules = plain(view.reader.must(f"rules/{value['rules']}"))
        counts = {"meters": len(area.numbers), "settling": len(area.settling)}
        found.append({"area": area.id, **plain(value), "rules": {"id": value["rules"], **rules}, **counts})
    return {"areas": found}


def progress(view: LedgerView, caller: Caller, area_id: str) -> Json:
    """Which slot of an area is cleared next, and which is settled next."""
    check_reads_all(caller)
    area = view.area(area_id)
    return {"area": area.id, **plain(view.reader.must(f"progress/{area.id}"))}


def coverage(view: LedgerView, caller: Caller, area_id: str, boundary_s: int) -> Json:
    """How many meters of an area have a value at a boundary."""
    check_reads_all(caller)
    area = view.area(area_id)
    view.check_slot("boundary_s", boundary_s)
    quality, _, _ = view.registers(area, boundary_s)
    committed = int(np.count_nonzero(quality != ABSENT_QUALITY))
    return {"area": area.id, "boundary_s": boundary_s, "expected": len(area.numbers), "committed": committed}


def installations(view: LedgerView, caller: Caller, area_id: str, start: int) -> Json:
    """Metering points of an area, ascending by number; limit and modulus in primary Wh; a party sees its own."""
    party = view.scope(caller, area_id)
    area = view.area(area_id)
    table = view.table(area)
    rows = [row for row in range(len(area.numbers)) if party is None or table.parties[row] == party]
    shown, following = page(rows, start)
    found = [
        {
            "number": int(area.numbers[row]),
            "meter": table.meters[row],
            "point": table.points[row],
            "party": table.parties[row] or None,
            "role": table.roles[row],
            "gateway": table.gateways[row],
            "ratio": int(table.ratio[row]),
            "limit_wh": int(table.limit_wh[row]) * int(table.ratio[row]),
            "modulus_wh": int(table.modulus_wh[row]) * int(table.ratio[row]),
            "trades": table.trades[row],
        }
        for row in shown
    ]
    return {"area": area.id, "installations": found, "next": following}


def calendar(view: LedgerView, caller: Caller, calendar_id: str) -> Json:
    """The local days and months of a calendar, as UTC instants; for every signer of the chain."""
    value = view.reader.get(f"calendar/{calendar_id}")
    if value is None:
        raise Problem("not-found", f"{caller.id}: no calendar {calendar_id!r} on this chain")
    return {"calendar": calendar_id, **plain(value)}
