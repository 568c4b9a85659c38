"""The green certificates of an area: counted of the runs that the ledger keeps, month by month."""

from __future__ import annotations

from typing import Final

from gridcore.errors import UsageError
from gridcore.node_interface import API
from gridcore.serving.openapi import TEXT, WHOLE, Json, object_of
from gridcore.serving.problems import Problem
from ledger.http.parameters import AREA, PARTY
from ledger.http.roles import OWN_ROWS, Scope
from ledger.http.route import Query, Schema
from ledger.http.view import LedgerView


def certificates(view: LedgerView, scope: Scope, area_id: str) -> Json:
    """As the newest block knows them; they follow from the ledger, and no bundle proves them."""
    view.area(area_id)
    if view.certificates is None:
        raise Problem("not-found", "this node counts no certificates")
    try:
        found = view.certificates(view.reader, area_id, party=scope.party)
    except UsageError as error:
        raise Problem("too-large", str(error)) from None
    return {
        "area": area_id,
        "months": [month._asdict() for month in found.months],
        "certificates": [one._asdict() for one in found.certificates],
    }


_MONTH: Final = object_of(
    {
        **dict.fromkeys(("party", "known", "month"), TEXT),
        **dict.fromkeys(("energy_wh", "issued", "cancelled", "carry_wh"), WHOLE),
    }
)
_CERTIFICATE: Final = object_of(
    {
        **dict.fromkeys(("certificate", "party", "state", "month", "issued", "cancelled", "valid_through"), TEXT),
        **dict.fromkeys(("points", "slots", "first_slot_s", "last_slot_s", "energy_wh"), WHOLE),
    }
)
ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/certificates",
        summary="Green certificates, and the energy that is carried on.",
        access=OWN_ROWS,
        query=certificates,
        is_long=True,
        parameters=(AREA, PARTY),
        schema=Schema(
            "AreaCertificates",
            object_of(
                {
                    "area": TEXT,
                    "months": {"type": "array", "items": _MONTH},
                    "certificates": {"type": "array", "items": _CERTIFICATE},
                }
            ),
        ),
    ),
)
