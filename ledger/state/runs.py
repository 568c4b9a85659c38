"""Settlement runs: registers and fills of one slot become positions, lines, postings and their roots (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from gridcore import cbor
from gridcore.errors import require
from gridcore.quality import ABSENT_QUALITY
from gridcore.sm3 import sm3
from gridevidence.layout import PRICE_ABSENT
from ledger.contract import Contract, LineLike
from ledger.leaves.account import ACCOUNT, AccountLeaf
from ledger.leaves.balance import BALANCE, no_balance
from ledger.leaves.clearing import CLEARING
from ledger.leaves.columns import Int64, UInt8, chunks
from ledger.leaves.fills import load_fills
from ledger.leaves.positions import POSITIONS, PositionsLeaf
from ledger.leaves.registers import REGISTERS, no_registers
from ledger.leaves.rules import rules_of
from ledger.leaves.run import RUN, RunLeaf
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft
from ledger.state.energy import advance_of
from ledger.state.market import salted_root
from ledger.state.postings import difference_posting
from ledger.state.registry import Area

INITIAL: Final = "initial"
KEPT_COLUMNS: Final = ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
"""The position columns that the ledger keeps of every contract; another one of a contract's follows from these."""


@dataclass(frozen=True)
class Snapshot:
    """An area's registers at one boundary: quality uint8[rows], registers 2 x int64[rows], one seed a chunk."""

    quality: UInt8
    registers: tuple[Int64, Int64]
    seeds: tuple[bytes, ...]


def settle_slot(draft: Draft, contracts: Mapping[str, Contract], area: Area, slot_start_s: int) -> bool:
    """Settle one slot as the initial run. False, and nothing written, while a register is absent."""
    start = load_snapshot(draft, area, slot_start_s)
    end = load_snapshot(draft, area, slot_start_s + draft.slot_s)
    absent = (start.quality[area.settling] == ABSENT_QUALITY) | (end.quality[area.settling] == ABSENT_QUALITY)
    if absent.any():
        return False
    contract = contract_of_slot(draft, contracts, area.id, slot_start_s)
    write_run(draft, contract, area, slot_start_s, INITIAL, start, end)
    return True


def load_snapshot(draft: Draft, area: Area, boundary_s: int) -> Snapshot:
    """The registers of all rows of an area at a boundary."""
    parts = [
        REGISTERS.load(draft, area.id, boundary_s, chunk) or no_registers(end - start)
        for chunk, start, end in chunks(len(area.numbers))
    ]
    registers = (
        np.concatenate([part.import_wh for part in parts]),
        np.concatenate([part.export_wh for part in parts]),
    )
    quality = np.concatenate([part.quality for part in parts])
    return Snapshot(quality, registers, tuple(part.seed for part in parts))


def write_run(
    draft: Draft, contract: Contract, area: Area, slot_start_s: int, run: str, start: Snapshot, end: Snapshot
) -> None:
    """Compute a run and write its leaves: run, positions, accounts, balances."""
    rows = area.settling
    start_import_wh, start_export_wh = (column[rows] for column in start.registers)
    end_import_wh, end_export_wh = (column[rows] for column in end.registers)
    # No range to check: that was done when a register was taken.
    import_wh = advance_of(start_import_wh, end_import_wh, area.modulus_wh) * area.ratio
    export_wh = advance_of(start_export_wh, end_export_wh, area.modulus_wh) * area.ratio
    clearing = CLEARING.must(draft, area.id, slot_start_s)
    bought_wh, sold_wh = positions_from_fills(draft, area, slot_start_s, clearing.orders)
    prices = rules_of(draft, area.id).prices
    settled = contract.settle(
        np.zeros(len(rows), dtype=np.int64),
        import_wh,
        export_wh,
        bought_wh,
        sold_wh,
        trade_prices_micro_per_kwh=[clearing.price_micro_per_kwh],
        prices=[prices],
    )
    seed = result_seed(area.id, slot_start_s, run, (start.seeds, end.seeds))
    positions = PositionsLeaf(
        quality=end.quality[rows],
        seed=seed,
        start_import_wh=start_import_wh,
        end_import_wh=end_import_wh,
        start_export_wh=start_export_wh,
        end_export_wh=end_export_wh,
        **{name: settled.columns[name] for name in KEPT_COLUMNS},
    )
    lines = contract.lines(
        import_wh, export_wh, settled.columns, trade_price_micro_per_kwh=clearing.price_micro_per_kwh, prices=prices
    )
    volume_wh = sum(settled.columns["bought_wh"].tolist())
    leaf = RunLeaf(
        accounts_nano={name: settled.received_nano[name][0] for name in contract.accounts},
        area=area.id,
        as_of_height=draft.height - 1,
        contract=contract.contract_id,
        **run_roots(area, positions, lines)._asdict(),
        points=len(rows),
        rules=clearing.rules,
        run=run,
        slot_start_s=slot_start_s,
        volume_wh=volume_wh,
        price_micro_per_kwh=clearing.price_micro_per_kwh if volume_wh else None,
        totals_wh={name: values[0] for name, values in settled.area_columns.items()} or None,
    )
    RUN.save(draft, leaf, area.id, slot_start_s, run)
    for chunk, first, last in chunks(len(rows)):
        POSITIONS.save(draft, positions.rows(first, last), area.id, slot_start_s, run, chunk)
    _post(draft, area, leaf.accounts_nano, positions.pays_nano, seed)


def positions_from_fills(draft: Draft, area: Area, slot_start_s: int, orders: int) -> tuple[Int64, Int64]:
    """bought_wh, sold_wh of each settling row: the sums of its party's fills."""
    bought, sold = np.zeros(len(area.settling), dtype=np.int64), np.zeros(len(area.settling), dtype=np.int64)
    for fill in load_fills(draft, area.id, slot_start_s, orders).fills:
        (bought if fill.side == "buy" else sold)[area.settling_row_of[fill.party]] += fill.filled_wh
    return bought, sold


def result_seed(area: str, slot_start_s: int, run: str, seeds: tuple[tuple[bytes, ...], tuple[bytes, ...]]) -> bytes:
    """The secret from which a run's salts follow: known to members, derived from what the gateways drew."""
    return sm3(cbor.encode(["result-seed/1", area, slot_start_s, run, list(seeds[0]), list(seeds[1])]))


def row_fields(area: Area, positions: PositionsLeaf) -> dict[str, list[tuple[str, Int64]]]:
    """Input and position rows of a run as fields of ``columns.encode_rows``."""
    meter = ("<u4", area.settling_numbers)
    wide = [("<i8", column) for column in positions.columns]
    return {
        "input": [meter, *wide[:4], ("u1", positions.quality.astype(np.int64))],
        "position": [meter, *wide[4:]],
    }


def line_fields(area: Area, lines: Sequence[LineLike]) -> list[tuple[str, Int64]]:
    """Line rows of a run, by point, then kind, as fields of ``columns.encode_rows``; only lines with energy.

    A kind's number is its place among the contract's; ``lines`` come in that order.
    """
    energy = np.stack([line.energy_wh for line in lines], axis=1)
    amount = np.stack([line.amount_nano for line in lines], axis=1)
    prices = [line.price_micro_per_kwh for line in lines]
    price = np.array([PRICE_ABSENT if value is None else value for value in prices], dtype=np.int64)
    kind = np.arange(len(lines), dtype=np.int64)
    point, at = np.nonzero(energy)
    return [
        ("<u4", area.settling_numbers[point]),
        ("u1", kind[at]),
        ("<i8", energy[point, at]),
        ("<i8", price[at]),
        ("<i8", amount[point, at]),
    ]


class RunRoots(NamedTuple):
    """Roots over the salted rows of a run, and the number of its lines."""

    input_root: bytes
    line_root: bytes
    lines: int
    position_root: bytes


def run_roots(area: Area, positions: PositionsLeaf, lines: Sequence[LineLike]) -> RunRoots:
    """The roots of a run's rows; salts follow from the seed of the positions."""
    fields, seed = row_fields(area, positions), positions.seed
    rows = line_fields(area, lines)
    return RunRoots(
        input_root=salted_root(sm3(seed + b"input"), fields["input"]),
        line_root=salted_root(sm3(seed + b"line"), rows),
        lines=len(rows[0][1]),
        position_root=salted_root(sm3(seed + b"position"), fields["position"]),
    )


def _post(draft: Draft, area: Area, received_nano: Mapping[str, int], pays_nano: Int64, seed: bytes) -> None:
    """Double entry: what the parties owe is what the accounts receive, to the nano. The first run posts against nothing."""
    require(sum(pays_nano.tolist()) == sum(received_nano.values()), f"debits equal credits in area {area.id}")
    posting = difference_posting({}, received_nano)
    for name in received_nano:
        before = ACCOUNT.load(draft, area.id, name) or AccountLeaf(0)
        ACCOUNT.save(draft, AccountLeaf(before.received_nano + posting.get(name, 0)), area.id, name)
    for chunk, first, last in chunks(len(area.settling)):
        balance = BALANCE.load(draft, area.id, chunk) or no_balance(last - first)
        after = balance.add(pays_nano[first:last], sm3(balance.seed + seed))
        BALANCE.save(draft, after, area.id, chunk)
