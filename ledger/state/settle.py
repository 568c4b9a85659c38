"""Settlement runs: registers and fills of one slot of a zone become positions, results and postings (docs/spec/state.md, "Settle")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore import cbor, merkle
from gridcore.rows import PackedRows
from gridcore.run_names import CORRECTION, DISPUTE, FINAL, INITIAL, counted, run_type
from gridcore.sm3 import sm3
from ledger.contract import Period, SettlementLike, SlotRows, Tariffs
from ledger.leaves.cleared import load_cleared
from ledger.leaves.columns import Digests, Int64, UInt8, chunks, digests
from ledger.leaves.fills import load_fills
from ledger.leaves.money import Money
from ledger.leaves.positions import HEAD, POSITIONS, PositionsLeaf
from ledger.leaves.results import ResultsLeaf, save_results
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS, RunsLeaf
from ledger.registry.prices import prices_by_key
from ledger.registry.zones import Timeline, Zone
from ledger.state.agreements import agreements_of_slot
from ledger.state.clear import areas_seed
from ledger.state.columns import encode_rows
from ledger.state.contracts import SlotContract, contract_of_slot, distinct_rules
from ledger.state.dealing import deal_fills
from ledger.state.draft import Draft
from ledger.state.held import release_settled
from ledger.state.known_energy import known_energy
from ledger.state.missing import estimate_rows
from ledger.state.outcome import Outcome, change_nano, is_same_as
from ledger.state.periods import count_run, counting_of, period_of
from ledger.state.pieces import Energy
from ledger.state.postings import post_run
from ledger.state.said_anew import rows_said_anew
from ledger.state.slot import Slot, load_slot

ABSENT_REGISTER: Final = -1
"""A register that was not read, in a position."""


class Settled(NamedTuple):
    """What became of a slot that was to be settled.

    period_end_s: end of the period in whose sums a run was counted; None where none was, or nobody knows its end.
    immaterial_nano: what a dispute run that was not made would have changed; None where none was left out.
    """

    period_end_s: int | None = None
    immaterial_nano: int | None = None


def settle_slot(draft: Draft, zone: Zone, slot_start_s: int) -> Settled:
    """Settle one slot with what is known now: as its initial run, later as another one, which posts the difference.

    Nothing is done for a slot without settling rows that has no run, nor by a later run that need not be made (``_without_run``).
    """
    before = RUNS.load(draft, slot_start_s, zone.name) or RunsLeaf([])
    if not before.runs and not len(draft.at(slot_start_s).zone(zone).settling):
        return Settled()
    slot = load_slot(draft, zone, slot_start_s)
    slot_contract = contract_of_slot(draft, zone, slot_start_s)
    last = before.last if before.runs else None
    counting = counting_of(draft, slot_contract.contract, slot, last)
    outcome = settle(draft, slot_contract, slot, None if counting is None else period_of(draft, counting, slot))
    run = run_name(zone.timeline, slot.end_s, draft.ledger_time_s, before)
    if last is not None:
        left_out = _without_run(draft, zone, slot_start_s, run, last, outcome)
        if left_out is not None:
            return left_out
    write_run(draft, slot_contract, slot, outcome, run, before)
    if last is None:
        release_settled(draft, zone, slot_start_s, result_seed(slot, INITIAL))
    if counting is None:
        return Settled()
    count_run(draft, counting, outcome.columns, outcome.area_columns, result_seed(slot, run))
    return Settled(period_end_s=counting.month.end_s)


def _without_run(draft: Draft, zone: Zone, slot_start_s: int, run: str, last: str, outcome: Outcome) -> Settled | None:
    """What becomes of a slot whose next run need not be made; None where it is to be made.

    The final run is made in any case; any other one only where it says something else than the run ``last``, or points name somebody else than
    they did for it; a dispute run also only where what it changes is material to the zone.
    """
    said_anew = rows_said_anew(draft, zone, slot_start_s, last)
    if run != FINAL and not len(said_anew) and is_same_as(draft, zone, slot_start_s, last, outcome):
        return Settled()
    if run_type(run) == DISPUTE:
        changes_nano = change_nano(draft, zone, slot_start_s, last, outcome, moved=said_anew)
        if changes_nano < zone.timeline.dispute_material_nano:
            return Settled(immaterial_nano=changes_nano)
    return None


def run_name(timeline: Timeline, slot_end_s: int, now_s: int, before: RunsLeaf) -> str:
    """The name of the next run of a slot that has the runs ``before``."""
    names, calendar = [name for name, _ in before.runs], timeline.run_calendar
    if not names:
        return INITIAL
    if FINAL in names:
        return counted(DISPUTE, len(names) - names.index(FINAL))
    if calendar is not None and now_s >= slot_end_s + calendar.final_run_after_s:
        return FINAL
    return counted(CORRECTION, len(names))


def settle(draft: Draft, slot_contract: SlotContract, slot: Slot, period: Period | None) -> Outcome:
    """What a slot comes to; the energy of rows of which it is not known is estimated. period: under a contract that sums over months."""
    zone, contract = slot.zone, slot_contract.contract
    energy, quality = known_energy(draft, slot)
    unknown = zone.settling[~energy.is_known[zone.settling]]
    if len(unknown):
        estimated = estimate_rows(draft, slot, unknown)
        energy.import_wh[unknown], energy.export_wh[unknown] = estimated.energy_wh
        quality[unknown] = estimated.quality
    settled = _settle_rows(draft, slot_contract, slot, energy, period)
    columns = dict(zip(HEAD, _head_columns(slot, energy), strict=True))
    for name in contract.position_columns:
        columns[name] = np.zeros(len(zone.zone), dtype=np.int64)
        columns[name][zone.settling] = settled.columns[name]
    return Outcome(
        columns=columns,
        quality=quality,
        area_columns={name: np.array(values, dtype=np.int64) for name, values in settled.area_columns.items()},
        rules=digests(zone.rules_digests)[zone.rules],
        received={account: Money.of(settled.received_nano[account]) for account in contract.accounts},
        points=len(zone.settling),
    )


def write_run(
    draft: Draft, slot_contract: SlotContract, slot: Slot, outcome: Outcome, run: str, before: RunsLeaf
) -> None:
    """Write the leaves of a run that follows the runs ``before``, and post what it changes."""
    zone = slot.zone.zone
    seed = result_seed(slot, run)
    roots = _write_positions(draft, slot, run, outcome, seed)
    leaf = RunLeaf(
        areas=len(outcome.rules),
        areas_root=merkle.salted_root(areas_seed(seed), area_rows(outcome.rules, [*outcome.area_columns.values()])),
        as_of_height=draft.height - 1,
        contract=slot_contract.contract.contract_id,
        contract_pin=slot_contract.pin,
        points=outcome.points,
        rows=len(zone),
        rows_root=merkle.root_of_hashes(roots),
        run=run,
        slot_start_s=slot.start_s,
        totals_root=merkle.salted_root(sm3(seed + b"totals"), _total_rows(outcome.received)),
        zone=zone.name,
    )
    RUN.save(draft, leaf, slot.start_s, zone.name, run)
    RUNS.save(draft, RunsLeaf([*before.runs, (run, draft.height)]), slot.start_s, zone.name)
    results = ResultsLeaf(
        columns=outcome.area_columns,
        rules=outcome.rules,
        seed=seed,
        totals={account: money.units for account, money in outcome.received.items()},
        totals_nano={account: money.nano for account, money in outcome.received.items()},
    )
    save_results(draft, slot.start_s, zone.name, run, results)
    last = before.last if before.runs else None
    post_run(draft, zone, slot.start_s, outcome.columns["pays_nano"], results, last)


def _head_columns(slot: Slot, energy: Energy) -> tuple[Int64, ...]:
    """The columns of ``HEAD`` of every row: registers at both ends, -1 where absent or where the energy was imported, and the energy,
    0 where it is not known.
    """
    registers: list[Int64] = []
    is_read = np.ones(len(slot.zone.zone), dtype=bool)
    if slot.imported is not None:
        is_read[slot.imported.rows] = False
    for start, end in zip(slot.start.registers, slot.end.registers, strict=True):
        registers.append(np.where(slot.start.present & is_read, start, ABSENT_REGISTER))
        registers.append(np.where(slot.end.present & is_read, end, ABSENT_REGISTER))
    return (*registers, energy.import_wh, energy.export_wh)


def _settle_rows(
    draft: Draft, slot_contract: SlotContract, slot: Slot, energy: Energy, period: Period | None
) -> SettlementLike:
    """Call the contract once for all settling rows."""
    zone, order = slot.zone, slot.zone.settling
    cleared = load_cleared(draft, slot.start_s, zone.zone.name, len(zone.rules))
    fills = load_fills(draft, slot.start_s, zone.zone.name, int(cleared.orders.sum()) if cleared else 0)
    traded = deal_fills(zone, fills, energy.import_wh, energy.export_wh)
    contract = slot_contract.contract
    distinct = distinct_rules(draft, contract, zone, slot.start_s)
    rules_of_area = zone.rules.tolist()
    return contract.settle(
        SlotRows(
            group=zone.area[order],
            import_wh=energy.import_wh[order],
            export_wh=energy.export_wh[order],
            bought_wh=traded.bought_wh[order],
            sold_wh=traded.sold_wh[order],
            tariffs=Tariffs(zone.rules, zone.tariff[order], prices_by_key(distinct)),
            point_terms={name: getattr(zone, name)[order] for name in contract.point_terms},
            amounts=traded.amounts_of(order) if contract.trades_in_pairs else None,
            period=period,
            agreements=agreements_of_slot(draft, zone, slot.start_s) if contract.takes_agreements else None,
        ),
        trade_prices_micro_per_kwh=cleared.trade_prices_micro_per_kwh if cleared else [None] * len(rules_of_area),
        terms=[distinct[rules].terms for rules in rules_of_area],
    )


def result_seed(slot: Slot, run: str) -> bytes:
    """The secret from which a run's salts follow: known to members, derived from what the gateways drew."""
    parts: list[Any] = ["result-seed/2", slot.start_s, slot.zone.zone.name, run, slot.start.seeds, slot.end.seeds]
    return sm3(cbor.encode(parts))


# ------------------------------------------------------------------------------------------------------- rows and leaves


def position_rows(first_row: int, quality: UInt8, columns: Mapping[str, Int64]) -> PackedRows:
    """Rows of neighbouring points, from row ``first_row`` of the zone on; columns in their order."""
    number = np.arange(first_row, first_row + len(quality), dtype=np.int64)
    return encode_rows([("<u4", number), ("u1", quality), *(("<i8", column) for column in columns.values())])


def area_rows(rules: Digests, columns: Sequence[Int64]) -> PackedRows:
    """Rows of all areas of a zone, by number."""
    number = np.arange(len(rules), dtype=np.int64)
    return encode_rows([("<u4", number), ("32u1", rules), *(("<i8", column) for column in columns)])


def _total_rows(received: Mapping[str, Money]) -> PackedRows:
    """Rows of what each account received, by area, then by account in the contract's order."""
    units = np.stack([money.units for money in received.values()], axis=1)
    nano = np.stack([money.nano for money in received.values()], axis=1)
    area, account = np.divmod(np.arange(units.size, dtype=np.int64), len(received))
    return encode_rows([("<u4", area), ("u1", account), ("<i8", units.ravel()), ("<u4", nano.ravel())])


def _write_positions(draft: Draft, slot: Slot, run: str, outcome: Outcome, seed: bytes) -> PackedRows:
    """Write the positions of a run; returns the root of each chunk, over which the run's root stands."""
    columns, quality = outcome.columns, outcome.quality
    hashes = merkle.salted_leaf_hashes(seed, position_rows(0, quality, columns))
    roots = [merkle.root_of_hashes(hashes[start:end]) for _, start, end in chunks(len(quality))]
    for chunk, start, end in chunks(len(quality)):
        part = {name: column[start:end] for name, column in columns.items()}
        leaf = PositionsLeaf(part, quality[start:end], roots[chunk], seed)
        POSITIONS.save(draft, leaf, slot.start_s, slot.zone.zone.name, run, chunk)
    return PackedRows.of(roots)
