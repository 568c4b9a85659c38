"""Areas, their installations and calendars: what is registered, and how far each area has come."""

from __future__ import annotations

from typing import Final

import numpy as np

from gridcore.node_interface import API
from gridcore.quality import ABSENT_QUALITY
from gridcore.registry.party import PARTY
from gridcore.registry.zone import TAKEN_UP
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.http import parameters
from ledger.http.queries.answers import plain, window
from ledger.http.queries.contracts import contract_answer
from ledger.http.roles import OWN_AREAS, OWN_ROWS, READERS, SIGNERS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.progress import PROGRESS
from ledger.registry.calendars import known_calendar


def areas(view: LedgerView, scope: Scope) -> Json:
    """The areas that the caller has to do with, with their rules, and the contracts that they name."""
    own = None if scope.party is None else view.reader.in_force(PARTY, scope.party)
    ids = view.area_ids if scope.party is None else [] if own is None else [own.area]
    found = [_area(view, area_id) for area_id in ids]
    named = dict.fromkeys(area["contract"] for area in found)
    contracts = [contract_answer(view.contracts[name], view.statements.vocabulary(name)) for name in named]
    return {"areas": found, "contracts": contracts}


def _area(view: LedgerView, area_id: str) -> Json:
    area = view.area(area_id)
    own, zone, rules = view.registered(area)
    timeline = area.zone.timeline._asdict()
    first_slot_start_s, runs = timeline.pop("first_slot_start_s"), timeline.pop("run_calendar")
    for name in ("part_slots_are_measured", "profiles_have_conditions", *TAKEN_UP, *TAKEN_UP.values()):
        if not timeline[name]:
            del timeline[name]
    if runs is not None:
        timeline["run_calendar"] = runs.encode()
    return {
        "area": area_id,
        "calendar": own.calendar,
        "contract": zone.contract,
        "contract_pin": zone.contract_pin.hex(),
        "first_slot_start_s": first_slot_start_s,
        "zone": own.zone,
        "rules": {"id": own.rules, "prices": dict(rules.prices), **timeline, **plain(rules.terms)},
        "meters": len(area.rows),
        "settling": len(area.settling),
        "traders": view.traders_of.get(area_id, 0),
    }


def progress(view: LedgerView, area_id: str) -> Json:
    """Which slots of an area are cleared and settled next: those of its zone."""
    area = view.area(area_id)
    return {"area": area.id, **plain(PROGRESS.encode(PROGRESS.must(view.reader, area.zone.name)))}


def coverage(view: LedgerView, area_id: str, boundary_s: int) -> Json:
    """How many of the meters that hung in an area at a boundary have a value there, and how many of its borders other areas measure."""
    area = view.area(area_id, boundary_s)
    view.check_slot("boundary_s", boundary_s)
    quality, _, _ = view.registers(area, area.rows, boundary_s)
    committed = int(np.count_nonzero(quality != ABSENT_QUALITY))
    return {
        "area": area.id,
        "boundary_s": boundary_s,
        "expected": len(area.rows),
        "committed": committed,
        "borders_elsewhere": view.borders_elsewhere(area, boundary_s),
    }


def installations(view: LedgerView, scope: Scope, area_id: str, time_s: int, start: int) -> Json:
    """Metering points of an area at a time (negative: now), in the order of their rows; limit and modulus in primary Wh; a party sees its own."""
    area = view.area(area_id, None if time_s < 0 else time_s)
    rows, table = view.metered(area, scope.party)
    first, end, following = window(len(rows), start)
    now, numbers = area.in_force, area.registry.numbers
    found = []
    for at, row in enumerate(rows[first:end].tolist(), first):
        ratio = int(now.ratio[row])
        found.append(
            {
                "number": int(numbers[now.installation[row]]),
                "meter": table.meters[at],
                "point": table.points[at],
                "party": table.parties[at] or None,
                "role": table.roles[at],
                "gateway": table.gateways[at],
                "ratio": ratio,
                "limit_wh": int(now.limit_wh[row]) * ratio,
                "modulus_wh": int(now.modulus_wh[row]) * ratio,
                "trades": table.trades[at],
            }
        )
        if scope.party is not None:
            number = str(numbers[now.installation[row]])
            found[-1]["since_s"] = view.billed_since_s(number, table.points[at], scope.party)
    return {"area": area.id, "installations": found, "next": following}


def meter(view: LedgerView, code: str) -> Json:
    """The area in which a meter of a code hangs, the first by name of several."""
    area_id = view.area_of_meter(code)
    if area_id is None:
        raise Problem("not-found", "no meter of this code is installed")
    return {"meter": code, "area": area_id}


def calendar(view: LedgerView, calendar_id: str) -> Json:
    """The local days and months of a calendar, as UTC instants; for every signer of the chain."""
    found = known_calendar(view.reader, calendar_id, view.reader.height)
    if found is None:
        raise Problem("not-found", f"no calendar {calendar_id!r} on this chain")
    return {"calendar": calendar_id, **found._asdict()}


ROUTES: Final = (
    Query(rule=f"{API}/areas", summary="Areas with their rules.", access=OWN_AREAS, query=areas),
    Query(
        rule=f"{API}/areas/<area>/installations",
        summary="Metering points.",
        access=OWN_ROWS,
        query=installations,
        parameters=(parameters.AREA, parameters.AT, parameters.PARTY, parameters.START),
    ),
    Query(
        rule=f"{API}/meters/<meter>",
        summary="Where a meter hangs.",
        access=READERS,
        query=meter,
        parameters=(parameters.METER,),
    ),
    Query(
        rule=f"{API}/areas/<area>/progress",
        summary="Next gate and next run.",
        access=READERS,
        query=progress,
        parameters=(parameters.AREA,),
    ),
    Query(
        rule=f"{API}/areas/<area>/coverage",
        summary="Values there and due.",
        access=READERS,
        query=coverage,
        parameters=(parameters.AREA, parameters.BOUNDARY),
    ),
    Query(
        rule=f"{API}/calendars/<calendar>",
        summary="Local days and months.",
        access=SIGNERS,
        query=calendar,
        parameters=(parameters.CALENDAR,),
    ),
)
