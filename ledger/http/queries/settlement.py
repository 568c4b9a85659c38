"""Settled slots: lines and postings, positions, statements of a day, balances, evidence."""

from __future__ import annotations

from typing import Final

from gridcore.serving.openapi import TEXT, WHOLE, WHOLE_OR_NULL, Json, object_of
from gridcore.serving.problems import Problem
from gridevidence.export import EvidenceError, EvidenceNotYetError
from ledger.client import API, CBOR_TYPE
from ledger.evidence import build_bundle
from ledger.http import parameters
from ledger.http.queries.answers import plain, settling_window, window
from ledger.http.roles import OWN_ROWS, PARTY_ITSELF, Scope
from ledger.http.route import Query, Schema
from ledger.http.view import LedgerView
from ledger.leaves.account import ACCOUNT
from ledger.leaves.area import AREA
from ledger.leaves.balance import BALANCE
from ledger.leaves.columns import chunks
from ledger.leaves.run import RUN, RunLeaf
from ledger.runs import find_runs, load_metered, load_positions, load_run
from ledger.state.registry import Area


def run(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, run_name: str, start: int) -> Json:
    """A settlement run: its leaf, and of one page of settling rows the totals, statement lines and postings.

    Counter-accounts in ``postings`` sum up the page; of one party there are its own lines and no postings of others.
    """
    party = scope.party
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    first, end, following = settling_window(area, party, start)
    result = load_run(view.reader, view.contracts, area, slot_start_s, run_name, (first, end))
    if result is None:
        raise _no_run(area.id, slot_start_s, run_name)
    parties = area.parties[first:end]
    answer: Json = {"area": area.id, "slot_start_s": slot_start_s, "run": run_name}
    if scope.reads_all:
        answer["result"] = plain(RUN.encode(result.leaf))
    answer["parties"] = [total._asdict() for total in view.statements.slot_totals(result.positions, parties)]
    answer["lines"] = [line._asdict() for line in view.statements.lines(result.lines, parties)]
    postings = view.statements.postings(result.lines, parties)
    shown = [*postings.parties, *postings.accounts] if party is None else postings.parties
    answer["postings"] = [posting._asdict() for posting in shown]
    return {**answer, "next": following}


def positions(view: LedgerView, scope: Scope, area_id: str, slot_start_s: int, run_name: str, start: int) -> Json:
    """What a run came to, point by point, as columns of equal length: primary Wh, traded energy, money, quality bytes."""
    party = scope.party
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    leaf = RUN.load(view.reader, area.id, slot_start_s, run_name)
    if leaf is None:
        raise _no_run(area.id, slot_start_s, run_name)
    first, end, following = settling_window(area, party, start)
    found, quality = load_metered(view.reader, area, leaf, first, end)
    meters = view.table(area).meters
    return {
        "area": area.id,
        "slot_start_s": slot_start_s,
        "run": run_name,
        "parties": list(area.parties[first:end]),
        "meters": [meters[row] for row in area.settling[first:end].tolist()],
        **{name: column.tolist() for name, column in found._asdict().items()},
        "quality": quality.tolist(),
        "next": following,
    }


def day(view: LedgerView, scope: Scope, area_id: str, day_start_s: int, run_name: str, start: int) -> Json:
    """A local day's statements: energy, money and saving of each party, over the slots of the day that have the run.

    Of one party there are the lines of each slot too. Slots go on being settled while pages are asked for, so each page says
    how many it sums up.
    """
    party = scope.party
    area = view.area(area_id)
    day_end_s, slots = view.day_slots(area, day_start_s)
    first, end, following = settling_window(area, party, start)
    settled = find_runs(view.reader, area, slots, run_name)
    if not settled:
        raise Problem("not-found", f"no run {run_name!r} of any slot of day {day_start_s} in area {area_id!r} yet")
    positions = (load_positions(view.reader, area, leaf, first, end) for leaf in settled)
    totals = view.statements.day_totals(positions, area.parties[first:end])
    return {
        "area": area.id,
        "day_start_s": day_start_s,
        "day_end_s": day_end_s,
        "run": run_name,
        "slots_expected": len(slots),
        "slots_settled": len(settled),
        "statements": [total._asdict() for total in totals],
        "slots": [] if party is None else [_slot_lines(view, area, leaf, party) for leaf in settled],
        "next": following,
    }


def _slot_lines(view: LedgerView, area: Area, leaf: RunLeaf, party: str) -> Json:
    """The lines of one party in a settled slot."""
    row = area.settling_row_of[party]
    own = load_run(view.reader, view.contracts, area, leaf.slot_start_s, leaf.run, (row, row + 1))
    lines = [] if own is None else view.statements.lines(own.lines, [party])
    return {"slot_start_s": leaf.slot_start_s, "lines": [line._asdict() for line in lines]}


def accounts(view: LedgerView, scope: Scope, area_id: str, start: int) -> Json:
    """Net of each counter-account (what it has received) and of each party (what it owes), in nano; a party sees its own."""
    party = scope.party
    area = view.area(area_id)
    first, end, following = window(len(area.settling), start)
    with view.reader.frozen():
        names = view.contracts[AREA.must(view.reader, area.id).contract].accounts
        sums = [(name, ACCOUNT.load(view.reader, area.id, name)) for name in names]
        parts = [BALANCE.load(view.reader, area.id, chunk) for chunk, _, _ in chunks(len(area.settling))]
    owed = [amount for part in parts if part is not None for amount in part.owes_nano()]
    owed = owed or [0] * len(area.settling)
    balances = [{"party": area.parties[row], "owes_nano": owed[row]} for row in range(first, end)]
    if party is not None:
        own = [{"party": party, "owes_nano": owed[area.settling_row_of[party]]}]
        return {"area": area.id, "accounts": [], "balances": own, "next": None}
    received = [{"account": name, "received_nano": account.received_nano if account else 0} for name, account in sums]
    return {"area": area.id, "accounts": received, "balances": balances, "next": following}


def evidence(view: LedgerView, party: str, slot_start_s: int, line_kind: str, run_name: str) -> bytes:
    """The bundle of one bill line (docs/spec/bundle.md), under the newest header."""
    view.check_slot("slot_start_s", slot_start_s)
    try:
        return build_bundle(
            view.reader,
            view.contracts,
            party=party,
            slot_start_s=slot_start_s,
            line_kind=line_kind,
            run=run_name,
        )
    except EvidenceNotYetError as error:
        raise Problem("not-yet", f"{error}; ask again later") from None
    except EvidenceError as error:
        raise Problem("not-found", str(error)) from None


def _no_run(area_id: str, slot_start_s: int, run_name: str) -> Problem:
    return Problem("not-found", f"no run {run_name!r} of slot {slot_start_s} in area {area_id!r} yet")


_SUMS: Final = ("import_wh", "export_wh", "bought_wh", "sold_wh", "pays_nano", "supplier_only_nano", "saving_nano")
_DAY: Final = Schema(
    "Day",
    object_of(
        {
            "area": TEXT,
            "run": TEXT,
            **dict.fromkeys(("day_start_s", "day_end_s", "slots_expected", "slots_settled"), WHOLE),
            "statements": {"type": "array", "items": object_of({"party": TEXT, **dict.fromkeys(_SUMS, WHOLE)})},
            "next": WHOLE_OR_NULL,
        }
    ),
)

ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/slots/<slot>/run",
        summary="Statement lines and postings.",
        access=OWN_ROWS,
        query=run,
        parameters=(parameters.AREA, parameters.SLOT, parameters.RUN, parameters.PARTY, parameters.START),
    ),
    Query(
        rule=f"{API}/areas/<area>/slots/<slot>/positions",
        summary="Energy and money, point by point.",
        access=OWN_ROWS,
        query=positions,
        parameters=(parameters.AREA, parameters.SLOT, parameters.RUN, parameters.PARTY, parameters.START),
    ),
    Query(
        rule=f"{API}/areas/<area>/days/<day>/statements",
        summary="Totals of a local day.",
        access=OWN_ROWS,
        query=day,
        parameters=(parameters.AREA, parameters.DAY, parameters.RUN, parameters.PARTY, parameters.START),
        schema=_DAY,
    ),
    Query(
        rule=f"{API}/accounts",
        summary="Net of accounts and parties.",
        access=OWN_ROWS,
        query=accounts,
        parameters=(parameters.OF_AREA, parameters.START),
    ),
    Query(
        rule=f"{API}/evidence",
        summary="The bundle (.evd) of one bill line.",
        access=PARTY_ITSELF,
        query=evidence,
        parameters=parameters.OF_LINE,
        content=CBOR_TYPE,
    ),
)
