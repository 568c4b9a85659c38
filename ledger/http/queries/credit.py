"""What a party owes, what its orders may still cost it, how much of both it may have, and what was paid."""

from __future__ import annotations

from itertools import islice
from typing import Final

from gridcore.errors import UsageError
from gridcore.node_interface import API
from gridcore.registry.party import PARTY as PARTY_ENTITY
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.http.parameters import AREA, OF_PARTY, PARTY, START, needed, read_whole
from ledger.http.queries.settlement import owed_nano
from ledger.http.roles import OWN_ROWS, PARTY_IN_SCOPE, PARTY_ITSELF, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.columns import split_row
from ledger.leaves.held import HELD
from ledger.leaves.payments import PAYMENTS
from ledger.paid import PaidFor, payments_between

POINTS_MAX: Final = 1_000
"""Points of a party whose payments are looked up, by the bytes of their names."""
PAYMENTS_AT_ONCE: Final = 4_096
"""Payments of one answer."""


def credit(view: LedgerView, scope: Scope) -> Json:
    """A party's area, and nano of the currency: ``owes_nano``, the balance of the points that it is billed for; ``held_nano``, what its standing orders
    and fills that have no run yet can cost; ``credit_nano``, the most that both may be together, None without bound.

    Where one of its points is or was billed to another party (``shares_points``), the balance has what that one left, and the party is not told it.
    """
    party = scope.party
    with view.reader.frozen():
        record = None if party is None else view.reader.in_force(PARTY_ENTITY, party)
        if party is None or record is None:
            raise Problem("not-found", f"no party {party!r}")
        area, (chunk, at) = view.area(record.area), split_row(view.reader.registry.party_number[party])
        held = HELD.load(view.reader, chunk)
        owes_nano = sum(owed_nano(view, area, area.settling_rows_of(party)))
        shares_points = bool(view.shared_points_of(party))
    return {
        "party": party,
        "area": record.area,
        "credit_nano": record.credit_nano,
        "held_nano": 0 if held is None else int(held.nano[at]),
        "owes_nano": None if shares_points and not scope.reads_all else owes_nano,
        "shares_points": shares_points,
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


def payments_of_area(view: LedgerView, scope: Scope, area_id: str, from_s: int, until_s: int, start: int) -> Json:
    """The payments for an area's points in a span of ledger time, in the order of their blocks: all of them, by the blocks."""
    area = view.area(area_id)
    paid_for = PaidFor(area.zone.name, view.reader.height, area_id, scope.party)
    try:
        recorded = payments_between(view.reader, paid_for, range(from_s, until_s), "that time")
        found = list(islice(recorded, start, start + PAYMENTS_AT_ONCE + 1))
    except UsageError as error:
        raise Problem("not-found", str(error)) from None
    return {
        "area": area_id,
        "payments": [
            {
                "amount_nano": one.said.amount_nano,
                "ground": one.said.ground,
                "height": one.height,
                "party": one.said.party,
                "point": one.said.point,
                "reference": one.said.reference.hex(),
                "signer": one.signer,
                "time_s": one.time_s,
                "transaction": one.transaction.hex(),
            }
            for one in found[:PAYMENTS_AT_ONCE]
        ],
        "next": start + PAYMENTS_AT_ONCE if len(found) > PAYMENTS_AT_ONCE else None,
    }


ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/payments",
        summary="The payments for an area's points in a span of ledger time.",
        access=OWN_ROWS,
        query=payments_of_area,
        is_long=True,
        parameters=(
            AREA,
            needed("from_s", "Where the span begins, UTC seconds.", read_whole),
            needed("until_s", "Where it ends: the first second behind it.", read_whole),
            PARTY,
            START,
        ),
    ),
    Query(
        rule=f"{API}/credit",
        summary="What a party owes, and what is held of it for its orders.",
        access=PARTY_IN_SCOPE,
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
