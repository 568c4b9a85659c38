"""What a party owes, what its orders may still cost it, and how much of both it may have."""

from __future__ import annotations

from typing import Final

from gridcore.node_interface import API
from gridcore.registry.party import PARTY as PARTY_ENTITY
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.http.parameters import OF_PARTY
from ledger.http.queries.settlement import owed_nano
from ledger.http.roles import PARTY_ITSELF
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.columns import split_row
from ledger.leaves.held import HELD


def credit(view: LedgerView, party: str) -> Json:
    """A party's area, and nano of the currency: ``owes_nano``, the balance of the points that it is billed for; ``held_nano``, what its standing orders
    and fills that have no run yet can cost; ``credit_nano``, the most that both may be together, None without bound.
    """
    with view.reader.frozen():
        record = view.reader.in_force(PARTY_ENTITY, party)
        if record is None:
            raise Problem("not-found", f"no party {party!r}")
        area, (chunk, at) = view.area(record.area), split_row(view.reader.registry.party_number[party])
        held = HELD.load(view.reader, chunk)
        owes_nano = sum(owed_nano(view, area, area.settling_rows_of(party)))
    return {
        "party": party,
        "area": record.area,
        "credit_nano": record.credit_nano,
        "held_nano": 0 if held is None else int(held.nano[at]),
        "owes_nano": owes_nano,
    }


ROUTES: Final = (
    Query(
        rule=f"{API}/credit",
        summary="What a party owes, and what is held of it for its orders.",
        access=PARTY_ITSELF,
        query=credit,
        parameters=OF_PARTY,
    ),
)
