"""Settlement runs: registers and fills of one slot of a zone become positions, results and postings (docs/spec/state.md, "Settle")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from gridcore import cbor, merkle
from gridcore.errors import require
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from ledger.contract import Contract, SettlementLike
from ledger.leaves.accounts import ACCOUNTS, NO_ACCOUNTS
from ledger.leaves.balance import BALANCE, no_balance
from ledger.leaves.cleared import load_cleared
from ledger.leaves.columns import Digests, Int64, UInt8, chunks, digests
from ledger.leaves.fills import load_fills
from ledger.leaves.money import NANO, Money
from ledger.leaves.positions import HEAD, POSITIONS, PositionsLeaf
from ledger.leaves.results import ResultsLeaf, save_results
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS, RunsLeaf
from ledger.registry.zones import Zone
from ledger.state.clear import areas_seed
from ledger.state.columns import encode_rows
from ledger.state.contracts import SlotContract, contract_of_slot, rules_of_areas
from ledger.state.draft import Draft
from ledger.state.held import release_settled
from ledger.state.pieces import energy_of_slot
from ledger.state.slot import Slot, load_slot

INITIAL: Final = "initial"
ABSENT_REGISTER: Final = -1
"""A register that was not read, in a position."""


def settle_slot(draft: Draft, zone: Zone, slot_start_s: int) -> bool:
    """Settle one slot as the initial run. False, and nothing written, while a register of a settling row is absent.

    A zone without settling rows is settled without a run.
    """
    in_force = draft.at(slot_start_s).zone(zone)
    if not len(in_force.settling):
        return True
    slot = load_slot(draft, zone, slot_start_s)
    if not (slot.start.present & slot.end.present)[in_force.settling].all():
        return False
    write_run(draft, contract_of_slot(draft, zone, slot_start_s), slot, INITIAL)
    release_settled(draft, zone, slot_start_s, result_seed(slot, INITIAL))
    return True


def write_run(draft: Draft, by_contract: SlotContract, slot: Slot, run: str) -> None:
    """Compute a run and write its leaves."""
    head = head_columns(draft, slot)
    settled = _settle(draft, by_contract.contract, slot, head)
    zone, order = slot.zone, slot.zone.settling
    columns = dict(zip(HEAD, head, strict=True))
    for name in by_contract.contract.position_columns:
        columns[name] = np.zeros(len(zone.zone), dtype=np.int64)
        columns[name][order] = settled.columns[name]
    seed = result_seed(slot, run)
    rules = digests(zone.rules_digests)[zone.rules]
    area_columns = {name: np.array(values, dtype=np.int64) for name, values in settled.area_columns.items()}
    received = {account: Money.of(settled.received_nano[account]) for account in by_contract.contract.accounts}
    roots = _write_positions(draft, slot, run, columns, seed)
    leaf = RunLeaf(
        areas=len(zone.rules),
        areas_root=merkle.salted_root(areas_seed(seed), area_rows(rules, [*area_columns.values()])),
        as_of_height=draft.height - 1,
        contract=by_contract.contract.contract_id,
        contract_pin=by_contract.pin,
        points=len(order),
        rows=len(zone.zone),
        rows_root=merkle.root_of_hashes(roots),
        run=run,
        slot_start_s=slot.start_s,
        totals_root=merkle.salted_root(sm3(seed + b"totals"), _total_rows(received)),
        zone=zone.zone.name,
    )
    RUN.save(draft, leaf, slot.start_s, zone.zone.name, run)
    before = RUNS.load(draft, slot.start_s, zone.zone.name) or RunsLeaf([])
    RUNS.save(draft, RunsLeaf([*before.runs, (run, draft.height)]), slot.start_s, zone.zone.name)
    results = ResultsLeaf(
        columns=area_columns,
        rules=rules,
        seed=seed,
        totals={account: money.units for account, money in received.items()},
        totals_nano={account: money.nano for account, money in received.items()},
    )
    save_results(draft, slot.start_s, zone.zone.name, run, results)
    _post(draft, zone.zone, columns["pays_nano"], results)


def head_columns(draft: Draft, slot: Slot) -> tuple[Int64, ...]:
    """The columns of ``HEAD`` of every row: registers at both ends, -1 where absent, and the energy, 0 where it is not known."""
    energy = energy_of_slot(draft, slot)
    registers: list[Int64] = []
    for start, end in zip(slot.start.registers, slot.end.registers, strict=True):
        registers.append(np.where(slot.start.present, start, ABSENT_REGISTER))
        registers.append(np.where(slot.end.present, end, ABSENT_REGISTER))
    return (*registers, energy.import_wh, energy.export_wh)


def _settle(draft: Draft, contract: Contract, slot: Slot, head: Sequence[Int64]) -> SettlementLike:
    """Call the contract once for all settling rows."""
    zone, order = slot.zone, slot.zone.settling
    import_wh, export_wh = head[-2:]
    cleared = load_cleared(draft, slot.start_s, zone.zone.name, len(zone.rules))
    bought_wh, sold_wh = traded_energy(draft, slot, int(cleared.orders.sum()) if cleared else 0)
    return contract.settle(
        zone.area[order],
        import_wh[order],
        export_wh[order],
        bought_wh[order],
        sold_wh[order],
        trade_prices_micro_per_kwh=cleared.trade_prices_micro_per_kwh if cleared else [None] * len(zone.rules),
        prices=[rules.prices for rules in rules_of_areas(draft, zone)],
    )


def traded_energy(draft: Draft, slot: Slot, orders: int) -> tuple[Int64, Int64]:
    """bought_wh, sold_wh of each row: the sums of its party's fills."""
    fills = load_fills(draft, slot.start_s, slot.zone.zone.name, orders)
    traded = np.zeros((2, len(slot.zone.zone)), dtype=np.int64)
    if orders:
        np.add.at(traded, (fills.side, slot.zone.rows_of_parties(fills.party)), fills.filled_wh)
    return traded[0], traded[1]


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


def _write_positions(draft: Draft, slot: Slot, run: str, columns: Mapping[str, Int64], seed: bytes) -> PackedRows:
    """Write the positions of a run; returns the root of each chunk, over which the run's root stands."""
    quality = slot.end.quality
    hashes = merkle.salted_leaf_hashes(seed, position_rows(0, quality, columns))
    roots = [merkle.root_of_hashes(hashes[start:end]) for _, start, end in chunks(len(quality))]
    for chunk, start, end in chunks(len(quality)):
        part = {name: column[start:end] for name, column in columns.items()}
        leaf = PositionsLeaf(part, quality[start:end], roots[chunk], seed)
        POSITIONS.save(draft, leaf, slot.start_s, slot.zone.zone.name, run, chunk)
    return PackedRows.of(roots)


def _post(draft: Draft, zone: Zone, pays_nano: Int64, results: ResultsLeaf) -> None:
    """Double entry: what the points owe is what the accounts receive, to the nano. The first run posts against nothing."""
    received = sum(_sum_nano(units, results.totals_nano[account]) for account, units in results.totals.items())
    require(_sum_nano(pays_nano // NANO, pays_nano % NANO) == received, f"debits equal credits in zone {zone.name}")
    for chunk, first, last in chunks(len(zone)):
        balance = BALANCE.load(draft, zone.name, chunk) or no_balance(last - first)
        BALANCE.save(draft, balance.add(pays_nano[first:last], sm3(balance.seed + results.seed)), zone.name, chunk)
    for chunk, first, last in chunks(len(zone.areas)):
        part = results.take(slice(first, last))
        accounts = ACCOUNTS.load(draft, zone.name, chunk) or NO_ACCOUNTS
        after = accounts.add(part.totals, part.totals_nano, sm3(accounts.seed + results.seed))
        ACCOUNTS.save(draft, after, zone.name, chunk)


def _sum_nano(units: Int64, nano: Int64) -> int:
    """The sum of amounts in two limbs."""
    whole: int = sum(units.tolist())
    return whole * NANO + int(nano.sum())
