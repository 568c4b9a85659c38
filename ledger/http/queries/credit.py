"""What a party owes, what its orders may still cost it, how much of both it may have, and what was paid."""

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
from ledger.leaves.payments import PAYMENTS

POINTS_MAX: Final = 1_000
"""Points of a party whose payments are looked up, by the bytes of their names."""


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


def payments(view: LedgerView, party: str) -> Json:
    """The newest payments for the points that a party is billed for, or was: those that name it, in the order of their blocks."""
    with view.reader.frozen():
        if view.reader.in_force(PARTY_ENTITY, party) is None:
            raise Problem("not-found", f"no party {party!r}")
        number = view.reader.registry.party_number[party]
        points = sorted(view.reader.registry.lookups.points_of_party(number), key=str.encode)
        found = [(point, PAYMENTS.load(view.reader, point)) for point in points[:POINTS_MAX]]
    shown = [
        {**paid._asdict(), "point": point, "reference": paid.reference.hex()}
        for point, leaf in found
        if leaf is not None
        for paid in leaf.newest
        if paid.party == party
    ]
    return {"party": party, "payments": sorted(shown, key=lambda paid: (paid["height"], paid["point"]))}


ROUTES: Final = (
    Query(
        rule=f"{API}/credit",
        summary="What a party owes, and what is held of it for its orders.",
        access=PARTY_ITSELF,
        query=credit,
        parameters=OF_PARTY,
    ),
    Query(
        rule=f"{API}/payments",
        summary="The newest payments of a party.",
        access=PARTY_ITSELF,
        query=payments,
        parameters=OF_PARTY,
    ),
)
