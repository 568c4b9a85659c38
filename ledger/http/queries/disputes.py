"""What parties contest: disputes with their steps, and the runs of the slot since."""

from __future__ import annotations

from typing import Any, Final

from gridcore.node_interface import API
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.http import parameters
from ledger.http.queries.answers import leaf_page
from ledger.http.roles import OWN_AREAS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.dispute import DISPUTE, ContestedDocument, ContestedRow, DisputeLeaf
from ledger.leaves.runs import RUNS

PAGE_DISPUTES_MAX: Final = 1_000
"""Each is read with the runs of its slot, while blocks wait."""
OPEN: Final = "open"
OVERDUE: Final = "overdue"
"""Nobody has answered in time: a regulator may decide."""


def disputes(view: LedgerView, scope: Scope, start: int) -> Json:
    """Disputes in the order in which they were opened: everybody's, or a prosumer's own."""
    with view.reader.frozen():
        keys, following = leaf_page(view, DISPUTE.prefix, start, PAGE_DISPUTES_MAX)
        found = [(DISPUTE.names(key)[0], DISPUTE.must(view.reader, DISPUTE.names(key)[0])) for key in keys]
        shown = [_shown(view, name, leaf) for name, leaf in found if scope.party in (None, leaf.party)]
    return {"disputes": shown, "next": following}


def dispute(view: LedgerView, scope: Scope, transaction_id: bytes) -> Json:
    """One dispute. Problem 404 where there is none, or none of the prosumer that asks."""
    name = transaction_id.hex()
    with view.reader.frozen():
        found = DISPUTE.load(view.reader, name)
        if found is None or scope.party not in (None, found.party):
            raise Problem("not-found", f"no dispute {name}")
        return _shown(view, name, found)


def _shown(view: LedgerView, name: str, leaf: DisputeLeaf) -> dict[str, Any]:
    is_overdue = not leaf.steps and view.reader.ledger_time_s > leaf.answer_by_s
    return {
        "dispute": name,
        "party": leaf.party,
        **_contested(view, leaf.contested),
        "ground": leaf.ground,
        "amount_nano": leaf.amount_nano,
        "statement": leaf.statement.hex(),
        "opened_s": leaf.opened_s,
        "opened_height": leaf.opened_height,
        "answer_by_s": leaf.answer_by_s,
        "status": leaf.outcome or (OVERDUE if is_overdue else OPEN),
        "is_closed": leaf.is_closed,
        "steps": [{**step._asdict(), "statement": step.statement.hex()} for step in leaf.steps],
    }


def _contested(view: LedgerView, contested: ContestedRow | ContestedDocument) -> dict[str, Any]:
    """What is contested: null in place of what a dispute of the other sort has."""
    absent = dict.fromkeys((*ContestedRow._fields, *ContestedDocument._fields))
    if isinstance(contested, ContestedDocument):
        return {**absent, **contested._asdict(), "later_runs": []}
    runs = RUNS.load(view.reader, contested.slot_start_s, contested.zone)
    names = [] if runs is None else [run for run, _ in runs.runs]
    later = names[names.index(contested.run) + 1 :] if contested.run in names else []
    return {**absent, **contested._asdict(), "later_runs": later}


ROUTES: Final = (
    Query(
        rule=f"{API}/disputes",
        summary="What parties contest.",
        access=OWN_AREAS,
        query=disputes,
        parameters=(parameters.START,),
    ),
    Query(
        rule=f"{API}/disputes/<transaction_id>",
        summary="One dispute.",
        access=OWN_AREAS,
        query=dispute,
        parameters=(parameters.TRANSACTION_ID,),
    ),
)
