"""The balance of an area on a local day: its borders, its balance groups and what they are worth, as of every block that changed it."""

from __future__ import annotations

from typing import Final

from gridcore.node_interface import API
from gridcore.serving.openapi import Json
from ledger.area_balances import AreaBalances, KnownBalance, TermsOfSlot
from ledger.http import parameters
from ledger.http.roles import READERS
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.runs import slots_brought


def area_balance(view: LedgerView, area_id: str, day_start_s: int) -> Json:
    """What is known of every settled slot of a local day, first knowledge first; energies in Wh, null while a border is not known."""
    area = view.area(area_id)
    day_end_s, slots = view.day_slots(area, day_start_s)
    balances = AreaBalances(view.reader, area_id, area.zone, area.number)
    brought = slots_brought(view.reader, area.zone.name, slots, area.own)
    of_slots = ((slot_start_s, balances.history(slot_start_s)) for slot_start_s in brought)
    found = [
        {"slot_start_s": slot_start_s, "known": [_known(known) for known in history]}
        for slot_start_s, history in of_slots
        if history
    ]
    return {"area": area_id, "day_start_s": day_start_s, "day_end_s": day_end_s, "slots": found}


def _known(known: KnownBalance) -> Json:
    return {
        "height": known.height,
        "run": known.run,
        "groups": [sums._asdict() for sums in known.groups],
        "borders": [flow._asdict() for flow in known.borders],
        "terms": None if known.terms is None else _terms(known.terms),
    }


def _terms(terms: TermsOfSlot) -> Json:
    """Without ``penalty`` where there is none."""
    penalty = {} if terms.penalty is None else {"penalty": dict(terms.penalty)}
    return {"loss_responsible": terms.loss_responsible, "prices": dict(terms.prices), **penalty}


ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/days/<day>/balance",
        summary="Borders, balance groups and their prices of a local day.",
        access=READERS,
        query=area_balance,
        is_long=True,
        parameters=(parameters.AREA, parameters.DAY),
    ),
)
