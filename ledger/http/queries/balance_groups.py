"""Balance groups of a local day: what the points of each balance responsible party were metered and traded, slot by slot."""

from __future__ import annotations

from typing import Final

from gridcore.node_interface import API
from gridcore.serving.openapi import Json
from ledger.balance_groups import sums_by_group
from ledger.http import parameters
from ledger.http.roles import READERS
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.runs import find_runs


def balance_groups(view: LedgerView, area_id: str, day_start_s: int, run_name: str | None) -> Json:
    """The groups of every slot of a local day that has the run, by itself the last: energies in Wh; "" is what no party answers for."""
    day_end_s, slots = view.day_slots(view.area(area_id), day_start_s)
    leaves = find_runs(view.reader, view.area(area_id), slots, run_name)
    of_slots = ((view.area(area_id, leaf.slot_start_s, leaf.as_of_height), leaf) for leaf in leaves)
    found = [
        {"slot_start_s": leaf.slot_start_s, "run": leaf.run, "groups": [sums._asdict() for sums in groups]}
        for leaf, groups in zip(leaves, sums_by_group(view.reader, of_slots), strict=True)
    ]
    return {"area": area_id, "day_start_s": day_start_s, "day_end_s": day_end_s, "slots": found}


ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/days/<day>/balance-groups",
        summary="Energies of a local day by balance responsible party.",
        access=READERS,
        query=balance_groups,
        is_long=True,
        parameters=(parameters.AREA, parameters.DAY, parameters.RUN),
    ),
)
