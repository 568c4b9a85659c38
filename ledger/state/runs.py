"""Settlement runs: registers and fills of one slot become positions, lines, postings and their roots (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gridcore import cbor
from gridcore.batch import ABSENT_QUALITY
from gridcore.errors import require
from gridcore.sm3 import sm3
from ledger.contract import Contract, SlotSettlementLike
from ledger.state.columns import Int64, UInt8, chunks, pack, unpack
from ledger.state.draft import Draft
from ledger.state.energy import advance_of
from ledger.state.market import load_fills, salted_root
from ledger.state.metering import NO_SEED, load_registers
from ledger.state.postings import difference_posting
from ledger.state.registry import Area

INITIAL: Final = "initial"
ACCOUNTS: Final = ("balance", "clearing", "levy", "network", "offtaker", "supplier")
LINE_KINDS: Final = (
    "trade_buy",
    "trade_sell",
    "residual_import",
    "surplus",
    "residual_export",
    "shortfall",
    "network_traded",
    "network_residual",
    "levy",
)
_NANO: Final = 10**9


@dataclass(frozen=True)
class Snapshot:
    """An area's registers at one boundary: quality uint8[rows], registers 2 x int64[rows], one seed a chunk."""

    quality: UInt8
    registers: tuple[Int64, Int64]
    seeds: tuple[bytes, ...]


def settle_slot(draft: Draft, contract: Contract, area: Area, slot_start_s: int) -> bool:
    """Settle one slot as the initial run. False, and nothing written, while a register is absent."""
    start = load_snapshot(draft, area, slot_start_s)
    end = load_snapshot(draft, area, slot_start_s + draft.chain()["slot_s"])
    absent = (start.quality[area.settling] == ABSENT_QUALITY) | (end.quality[area.settling] == ABSENT_QUALITY)
    if absent.any():
        return False
    write_run(draft, contract, area, slot_start_s, INITIAL, start, end)
    return True


def load_snapshot(draft: Draft, area: Area, boundary_s: int) -> Snapshot:
    """The registers of all rows of an area at a boundary."""
    parts = [
        load_registers(draft.get(f"registers/{area.id}/{boundary_s}/{chunk}"), end - start)
        for chunk, start, end in chunks(len(area.numbers))
    ]
    first, second = (np.concatenate([registers[index] for _, registers, _ in parts]) for index in range(2))
    return Snapshot(
        np.concatenate([quality for quality, _, _ in parts]), (first, second), tuple(seed for *_, seed in parts)
    )


def write_run(
    draft: Draft, contract: Contract, area: Area, slot_start_s: int, run: str, start: Snapshot, end: Snapshot
) -> None:
    """Compute a run and write its leaves: run, positions, accounts, balances."""
    rows = area.settling
    shown = [snapshot.registers[index][rows] for index in range(2) for snapshot in (start, end)]
    import_wh = (
        advance_of(shown[0], shown[1], area.modulus_wh) * area.ratio
    )  # range was checked when a register was taken
    export_wh = advance_of(shown[2], shown[3], area.modulus_wh) * area.ratio
    clearing = draft.must(f"clearing/{area.id}/{slot_start_s}")
    bought_wh, sold_wh = positions_from_fills(draft, area, slot_start_s)
    settled = contract.settle(
        import_wh,
        export_wh,
        bought_wh,
        sold_wh,
        trade_price_micro_per_kwh=clearing.get("price_micro_per_kwh"),
        prices=draft.rules_of(area.id)["prices"],
    )
    quality = end.quality[rows]
    columns = [*shown, bought_wh, sold_wh, settled.pays_nano, settled.supplier_only_nano]
    seed = result_seed(area.id, slot_start_s, run, (start.seeds, end.seeds))
    roots = run_roots(area, seed, columns, quality, settled)
    value = {
        "accounts": {name: two_limbs(settled.accounts_nano.get(name, 0)) for name in ACCOUNTS},
        "area": area.id,
        "as_of_height": draft.height - 1,
        "contract": contract.contract_id,
        **roots,
        "points": len(rows),
        "rules": clearing["rules"],
        "run": run,
        "slot_start_s": slot_start_s,
        "volume_wh": clearing["volume_wh"],
    }
    if "price_micro_per_kwh" in clearing:
        value["price_micro_per_kwh"] = clearing["price_micro_per_kwh"]
    draft.put(f"run/{area.id}/{slot_start_s}/{run}", value)
    for chunk, first, last in chunks(len(rows)):
        part = [pack(column[first:last]) for column in columns]
        positions = {"columns": part, "quality": quality[first:last].tobytes(), "seed": seed}
        draft.put(f"positions/{area.id}/{slot_start_s}/{run}/{chunk}", positions)
    _post(draft, area, settled, seed)


def positions_from_fills(draft: Draft, area: Area, slot_start_s: int) -> tuple[Int64, Int64]:
    """bought_wh, sold_wh of each settling row: the sums of its party's fills."""
    bought, sold = np.zeros(len(area.settling), dtype=np.int64), np.zeros(len(area.settling), dtype=np.int64)
    for party, _, side, _, _, filled_wh in load_fills(draft, area.id, slot_start_s):
        (bought if side == "buy" else sold)[area.settling_row_of[party]] += filled_wh
    return bought, sold


def result_seed(area: str, slot_start_s: int, run: str, seeds: tuple[tuple[bytes, ...], tuple[bytes, ...]]) -> bytes:
    """The secret from which a run's salts follow: known to members, derived from what the gateways drew."""
    return sm3(cbor.encode(["result-seed/1", area, slot_start_s, run, list(seeds[0]), list(seeds[1])]))


def row_fields(area: Area, columns: list[Int64], quality: UInt8) -> dict[str, list[tuple[str, Int64]]]:
    """Input and position rows of a run as fields of ``columns.encode_rows``; ``columns`` as in a ``positions`` leaf."""
    meter = ("<u4", area.settling_numbers)
    wide = [("<i8", column) for column in columns]
    return {
        "input": [meter, *wide[:4], ("u1", quality.astype(np.int64))],
        "position": [meter, *wide[4:]],
    }


def line_fields(area: Area, settled: SlotSettlementLike) -> list[tuple[str, Int64]]:
    """Line rows of a run, by point, then kind, as fields of ``columns.encode_rows``; only lines with energy."""
    energy = np.stack([line.energy_wh for line in settled.lines], axis=1)
    amount = np.stack([line.amount_nano for line in settled.lines], axis=1)
    price = np.array([line.price_micro_per_kwh for line in settled.lines], dtype=np.int64)
    kind = np.array([LINE_KINDS.index(line.kind) for line in settled.lines], dtype=np.int64)
    point, at = np.nonzero(energy)
    return [
        ("<u4", area.settling_numbers[point]),
        ("u1", kind[at]),
        ("<i8", energy[point, at]),
        ("<i8", price[at]),
        ("<i8", amount[point, at]),
    ]


def run_roots(
    area: Area, seed: bytes, columns: list[Int64], quality: UInt8, settled: SlotSettlementLike
) -> dict[str, Any]:
    """input_root, position_root, line_root and the number of lines."""
    fields = row_fields(area, columns, quality)
    lines = line_fields(area, settled)
    return {
        "input_root": salted_root(sm3(seed + b"input"), fields["input"]),
        "line_root": salted_root(sm3(seed + b"line"), lines),
        "lines": len(lines[0][1]),
        "position_root": salted_root(sm3(seed + b"position"), fields["position"]),
    }


def two_limbs(amount_nano: int) -> list[int]:
    """[units, nano] with 0 <= nano < 10^9."""
    return list(divmod(amount_nano, _NANO))


def _post(draft: Draft, area: Area, settled: SlotSettlementLike, seed: bytes) -> None:
    """Double entry: what the parties owe is what the accounts receive, to the nano. The first run posts against nothing."""
    owed = sum(int(amount) for amount in settled.pays_nano)
    require(owed == sum(settled.accounts_nano.values()), f"debits equal credits in area {area.id}")
    posting = difference_posting({}, settled.accounts_nano)
    for name in ACCOUNTS:
        key = f"account/{area.id}/{name}"
        account: Mapping[str, int] = draft.get(key) or {"nano": 0, "units": 0}
        total = account["units"] * _NANO + account["nano"] + posting.get(name, 0)
        units, nano = two_limbs(total)
        draft.put(key, {"nano": nano, "units": units})
    for chunk, first, last in chunks(len(area.settling)):
        key = f"balance/{area.id}/{chunk}"
        balance = draft.get(key)
        pays = settled.pays_nano[first:last]
        units_due, nano_due = pays // _NANO, pays % _NANO
        seed_before = NO_SEED
        if balance is not None:
            units_due, nano_due = units_due + unpack(balance["units"]), nano_due + unpack(balance["nano"])
            seed_before = balance["seed"]
        limbs = {"nano": pack(nano_due % _NANO), "units": pack(units_due + nano_due // _NANO)}
        draft.put(key, {**limbs, "seed": sm3(seed_before + seed)})
