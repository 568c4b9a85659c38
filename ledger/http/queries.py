"""Answers to queries: plain values for JSON, out of one state, cut down to what the caller may see.

Every function checks the caller first, so that a refusal says nothing about what exists. Functions block; they run in
threads. Lists come in pages: ``start`` is the first row wanted, ``next`` in the answer the start of the page after, or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from gridcore.batch import ABSENT_QUALITY, FLAG_FROZEN, FLAG_INTERPOLATED, FLAG_LATE, FLAG_ROLLOVER, QUALITIES
from gridcore.codes import Code
from gridcore.problems import Problem
from ledger.evidence import EvidenceError, EvidenceNotYetError, build_book, build_bundle
from ledger.http.access import Caller, check_reads_all, check_reads_gateway, check_reads_party
from ledger.http.view import LedgerView
from ledger.runs import find_runs, load_positions, load_run
from ledger.state.columns import chunks, unpack
from ledger.state.market import by_order_id, order_id
from ledger.state.registry import Area
from ledger.state.runs import ACCOUNTS

PAGE_ROWS_MAX: Final = 20_000
FLAGS: Final = (
    (FLAG_LATE, "late"),
    (FLAG_INTERPOLATED, "interpolated"),
    (FLAG_FROZEN, "frozen"),
    (FLAG_ROLLOVER, "rollover"),
)

Json = dict[str, Any]
T = TypeVar("T")


def gateway(view: LedgerView, caller: Caller, gateway_id: str) -> Json:
    """Counters of a gateway: what its next batch continues from."""
    check_reads_gateway(caller, gateway_id)
    value = view.reader.get(f"gateway/{gateway_id}")
    if value is None:
        raise Problem("not-found", f"no gateway {gateway_id!r} on this chain")
    return {"gateway": gateway_id, **_plain(value)}


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
        rules = _plain(view.reader.must(f"rules/{value['rules']}"))
        counts = {"meters": len(area.numbers), "settling": len(area.settling)}
        found.append({"area": area.id, **_plain(value), "rules": {"id": value["rules"], **rules}, **counts})
    return {"areas": found}


def progress(view: LedgerView, caller: Caller, area_id: str) -> Json:
    """Which slot of an area is cleared next, and which is settled next."""
    check_reads_all(caller)
    area = view.area(area_id)
    return {"area": area.id, **_plain(view.reader.must(f"progress/{area.id}"))}


def coverage(view: LedgerView, caller: Caller, area_id: str, boundary_s: int) -> Json:
    """How many meters of an area have a value at a boundary."""
    check_reads_all(caller)
    area = view.area(area_id)
    view.check_slot("boundary_s", boundary_s)
    quality, _, _ = view.registers(area, boundary_s)
    committed = int(np.count_nonzero(quality != ABSENT_QUALITY))
    return {"area": area.id, "boundary_s": boundary_s, "expected": len(area.numbers), "committed": committed}


def registers(view: LedgerView, caller: Caller, area_id: str, boundary_s: int, start: int) -> Json:
    """Registers of an area's meters at a boundary, in primary Wh (ratio applied), ascending by installation number."""
    party = view.scope(caller, area_id)
    area = view.area(area_id)
    view.check_slot("boundary_s", boundary_s)
    table = view.table(area)
    quality, import_wh, export_wh = view.registers(area, boundary_s)
    rows = [row for row in range(len(area.numbers)) if party is None or table.parties[row] == party]
    page, following = _page(rows, start)
    found = []
    for row in page:
        absent = int(quality[row]) == ABSENT_QUALITY
        primary = [None if absent else int(column[row]) * int(table.ratio[row]) for column in (import_wh, export_wh)]
        word, flags = quality_words(int(quality[row]))
        found.append(
            {
                "meter": table.meters[row],
                "import_wh": primary[0],
                "export_wh": primary[1],
                "quality": word,
                "flags": flags,
            }
        )
    return {"area": area.id, "boundary_s": boundary_s, "registers": found, "next": following}


def quality_words(quality: int) -> tuple[str, list[str]]:
    """The word and the flags of a quality byte; an absent value is "missing"."""
    if quality == ABSENT_QUALITY:
        return "missing", []
    code = quality & 15
    word = QUALITIES[code] if code < len(QUALITIES) else f"unknown {code}"
    return word, [name for flag, name in FLAGS if quality >> 4 & flag]


def orders(view: LedgerView, caller: Caller, area_id: str, slot_start_s: int, start: int) -> Json:
    """Orders of a slot, ascending by the bytes of their ids; ``filled_wh`` is None until the gate has cleared."""
    party = view.scope(caller, area_id)
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    found = [order for order in view.orders(area, slot_start_s) if party is None or order[0] == party]
    found = by_order_id(found, slot_start_s)
    page, following = _page(found, start)
    rows = [
        {
            "order": order_id(owner, slot_start_s, counter),
            "party": owner,
            "side": side,
            "quantity_wh": quantity_wh,
            "price_micro_per_kwh": price,
            "filled_wh": filled_wh,
        }
        for owner, counter, side, quantity_wh, price, filled_wh in page
    ]
    return {"area": area.id, "slot_start_s": slot_start_s, "orders": rows, "next": following}


def clearing(view: LedgerView, caller: Caller, area_id: str, slot_start_s: int) -> Json:
    """Price, volume and roots of a cleared gate."""
    view.scope(caller, area_id)
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    return {"price_micro_per_kwh": None, **_plain(_cleared(view, area.id, slot_start_s))}


def run(view: LedgerView, caller: Caller, area_id: str, slot_start_s: int, run_name: str, start: int) -> Json:
    """A settlement run: its leaf, and of one page of settling rows the totals, statement lines and postings.

    Counter-accounts in ``postings`` sum up the page; a party sees its own lines and no postings of others.
    """
    party = view.scope(caller, area_id)
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    result = load_run(view.reader, view.contracts, area, slot_start_s, run_name)
    if result is None:
        raise Problem("not-found", f"no run {run_name!r} of slot {slot_start_s} in area {area.id!r} yet")
    first, end, following = _settling_window(area, party, start)
    page = (result.settled, area.parties[first:end], first)
    answer: Json = {"area": area.id, "slot_start_s": slot_start_s, "run": run_name}
    if party is None:
        answer["result"] = _plain(result.leaf)
    answer["parties"] = [total._asdict() for total in view.statements.slot_totals(*page)]
    answer["lines"] = [line._asdict() for line in view.statements.lines(*page)]
    postings = view.statements.postings(*page)
    shown = [*postings.parties, *postings.accounts] if party is None else postings.parties
    answer["postings"] = [posting._asdict() for posting in shown]
    return {**answer, "next": following}


def day(view: LedgerView, caller: Caller, area_id: str, day_start_s: int, run_name: str, start: int) -> Json:
    """A local day's statements: energy, money and saving of each party, over the slots of the day that have the run.

    Slots go on being settled while pages are asked for, so each page says how many it sums up.
    """
    party = view.scope(caller, area_id)
    area = view.area(area_id)
    day_end_s, slots = view.day_slots(area, day_start_s)
    first, end, following = _settling_window(area, party, start)
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
        "next": following,
    }


def exceptions(view: LedgerView, caller: Caller, gateway_id: str | None, start: int) -> Json:
    """Rows of batches that were not used, with the reason; of one gateway or of all."""
    check_reads_all(caller)
    prefix = "exception/" if gateway_id is None else f"exception/{gateway_id}/"
    keys = view.reader.leaf_keys(prefix, start, PAGE_ROWS_MAX + 1)
    following = start + PAGE_ROWS_MAX if len(keys) > PAGE_ROWS_MAX else None
    found = []
    for key in keys[:PAGE_ROWS_MAX]:
        _, owner, epoch, counter = key.split("/")
        value = view.reader.must(key)
        rows = [
            {"row": row, "meter": meter, "code": code, "name": Code(code).name} for row, meter, code in value["rows"]
        ]
        entry = {"gateway": owner, "epoch": int(epoch), "counter": int(counter), "boundary_s": value["boundary_s"]}
        found.append({**entry, "rows": rows})
    return {"exceptions": found, "next": following}


def accounts(view: LedgerView, caller: Caller, area_id: str, start: int) -> Json:
    """Net of each counter-account (what it has received) and of each party (what it owes), in nano; a party sees its own."""
    party = view.scope(caller, area_id)
    area = view.area(area_id)
    first, end, following = _window(len(area.settling), start)
    with view.reader.frozen():
        sums = [(name, view.reader.get(f"account/{area.id}/{name}")) for name in ACCOUNTS]
        chunk_rows = [view.reader.get(f"balance/{area.id}/{chunk}") for chunk, _, _ in chunks(len(area.settling))]
    limbs = [[unpack(chunk[name]).tolist() for name in ("units", "nano")] for chunk in chunk_rows if chunk is not None]
    owed = [units * 10**9 + nano for chunk in limbs for units, nano in zip(*chunk, strict=True)]
    owed = owed or [0] * len(area.settling)
    balances = [{"party": area.parties[row], "owes_nano": owed[row]} for row in range(first, end)]
    if party is not None:
        own = [{"party": party, "owes_nano": owed[area.settling_row_of[party]]}]
        return {"area": area.id, "accounts": [], "balances": own, "next": None}
    received = [
        {"account": name, "received_nano": value["units"] * 10**9 + value["nano"] if value else 0}
        for name, value in sums
    ]
    return {"area": area.id, "accounts": received, "balances": balances, "next": following}


def book(view: LedgerView, caller: Caller, area_id: str, slot_start_s: int) -> bytes:
    """The anonymous book of a cleared gate as ``verify --with-book`` reads it (docs/spec/bundle.md, "Book")."""
    check_reads_all(caller)
    area = view.area(area_id)
    view.check_slot("slot", slot_start_s)
    _cleared(view, area.id, slot_start_s)
    return build_book(view.reader, area.id, slot_start_s)


def evidence(view: LedgerView, caller: Caller, party: str, slot_start_s: int, line_kind: str, run_name: str) -> bytes:
    """The bundle of one bill line (docs/spec/bundle.md), under the newest header."""
    check_reads_party(caller, party)
    view.check_slot("slot_start_s", slot_start_s)
    try:
        return build_bundle(
            view.reader,
            view.contracts,
            party=party,
            slot_start_s=slot_start_s,
            line_kind=line_kind,
            run=run_name,
            registry=view.registry,
        )
    except EvidenceNotYetError as error:
        raise Problem("busy", f"{error}; ask again later") from None
    except EvidenceError as error:
        raise Problem("not-found", str(error)) from None


def _cleared(view: LedgerView, area_id: str, slot_start_s: int) -> Mapping[str, Any]:
    value = view.reader.get(f"clearing/{area_id}/{slot_start_s}")
    if value is None:
        raise Problem("not-found", f"slot {slot_start_s} of area {area_id!r} is not cleared yet")
    return value


def _window(rows: int, start: int) -> tuple[int, int, int | None]:
    """First row, end row and start of the page after, of ``rows`` rows."""
    end = min(start + PAGE_ROWS_MAX, rows)
    return min(start, rows), end, end if end < rows else None


def _settling_window(area: Area, party: str | None, start: int) -> tuple[int, int, int | None]:
    """The page of settling rows at ``start``; for one party, its row alone."""
    if party is None:
        return _window(len(area.settling), start)
    row = area.settling_row_of[party]
    return row, row + 1, None


def _page(rows: Sequence[T], start: int) -> tuple[Sequence[T], int | None]:
    first, end, following = _window(len(rows), start)
    return rows[first:end], following


def _plain(value: Any) -> Any:
    """A leaf's value for JSON: bytes as hex digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
