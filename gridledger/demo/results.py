"""The result files of a run and their one digest (docs/spec/results_root.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gridcore.run_names import INITIAL
from gridledger.demo.day import patiently
from gridledger.demo.run_sums import RunSums, read_run
from gridledger.simulating.settled import SUMS, Settled
from gridledger.tables.columns import in_order
from gridledger.tables.files import write_rows
from gridledger.tables.results import (
    COLUMNS,
    FillRow,
    OrderRow,
    PostingRow,
    RegisterRow,
    StatementRow,
    results_root,
)
from ledger.client import Client
from ledger.contract import Contract
from simulators.grid.world import World


@dataclass
class Tables:
    """Rows of each result file, what each party would pay the supplier alone, and of that the charges for what it took.

    settled: what the last run of each slot says.
    """

    settled: Settled
    registers: list[RegisterRow] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    fills: list[FillRow] = field(default_factory=list)
    postings: list[PostingRow] = field(default_factory=list)
    statements: list[StatementRow] = field(default_factory=list)
    supplier_only_nano: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    supplier_charge_nano: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    corrections: int = 0
    """Correction runs, counted in each area."""
    estimated_at_deadline: int = 0
    """Energies of parties that initial runs estimated."""
    estimated: int = 0
    """Those that the last runs estimate."""
    measured_slots: set[int] = field(default_factory=set)
    """Slots whose initial runs estimated nothing."""

    def sort(self) -> None:
        """Bring every file into the order of its root."""
        self.registers = in_order(self.registers)
        self.orders = in_order(self.orders)
        self.fills = in_order(self.fills)
        self.postings = in_order(self.postings)
        self.statements = in_order(self.statements)

    def files(self) -> Mapping[str, Sequence[Sequence[int | str]]]:
        """The rows of each result file."""
        return {
            "registers.csv": self.registers,
            "orders.csv": self.orders,
            "fills.csv": self.fills,
            "postings.csv": self.postings,
            "statements.csv": self.statements,
        }


async def fetch_tables(client: Client, world: World, contract: Contract) -> Tables:
    """Everything that the ledger decided about ``world``, asked from the node as the utility. contract: by which its areas are settled."""
    tables = Tables(Settled(world))
    for area in world.areas:
        for boundary_s in world.boundary_s.tolist():
            answer = await _query(client, f"areas/{area}/registers", boundary_s=boundary_s)
            tables.registers += [_register_row(boundary_s, entry) for entry in answer["registers"]]
    for slot, slot_start_s in enumerate(world.slot_start_s.tolist()):
        said: dict[str, RunSums] = defaultdict(RunSums)
        tables.measured_slots.add(slot_start_s)
        for area in world.areas:
            runs = await _fetch_runs(client, tables, said, area, slot_start_s)
            price = runs[0]["result"]["price_micro_per_kwh"]
            await _fetch_orders(client, tables, area, slot_start_s, "" if contract.trades_in_pairs else price)
            _note_lines(tables.settled, slot, runs[-1])
            await _fetch_positions(client, tables.settled, area, slot)
        for run, sums in said.items():
            tables.postings += sums.postings(slot_start_s, run)
            tables.statements += sums.statements(slot_start_s, run)
    tables.sort()
    return tables


async def _query(client: Client, path: str, **params: int | str) -> Any:
    return await patiently(lambda: client.query(path, **params))


def _register_row(boundary_s: int, entry: Mapping[str, Any]) -> RegisterRow:
    return RegisterRow(
        boundary_s=boundary_s,
        meter=entry["meter"],
        import_wh="" if entry["import_wh"] is None else entry["import_wh"],
        export_wh="" if entry["export_wh"] is None else entry["export_wh"],
        quality=entry["quality"],
    )


async def _fetch_orders(
    client: Client, tables: Tables, area: str, slot_start_s: int, gate_price_micro_per_kwh: int | Literal[""]
) -> None:
    answer = await _query(client, f"areas/{area}/slots/{slot_start_s}/orders")
    for order in answer["orders"]:
        row = OrderRow(
            slot_start_s=slot_start_s,
            order=order["order"],
            party=order["party"],
            side=order["side"],
            quantity_wh=order["quantity_wh"],
            price_micro_per_kwh=order["price_micro_per_kwh"],
        )
        tables.orders.append(row)
        if order["filled_wh"]:
            tables.fills.append(FillRow(slot_start_s, row.order, order["filled_wh"], gate_price_micro_per_kwh))


def _note_lines(settled: Settled, slot: int, run: Mapping[str, Any]) -> None:
    for line in run["lines"]:
        nano = line["amount_nano"]
        settled.add_line(slot, line["line_kind"], line["account"], line["energy_wh"], max(0, nano), max(0, -nano))


async def _fetch_positions(client: Client, settled: Settled, area: str, slot: int) -> None:
    slot_start_s = int(settled.world.slot_start_s[slot])
    answer = await _query(client, f"areas/{area}/slots/{slot_start_s}/positions")
    at = np.array([settled.column_of_meter[meter] for meter in answer["meters"]], dtype=np.int64)
    columns = {name: np.array(answer[name], dtype=np.int64) for name in SUMS}
    settled.add_positions(slot, at, columns, np.array(answer["quality"], dtype=np.uint8))


async def _fetch_runs(
    client: Client, tables: Tables, said: dict[str, RunSums], area: str, slot_start_s: int
) -> Sequence[Any]:
    """What the node says of the runs of an area's slot, in their order; into ``said`` what each says less the one before it."""
    runs = await _runs_of(client, f"areas/{area}/slots/{slot_start_s}")
    before = RunSums()
    for run in runs:
        now = read_run(run)
        said[run["run"]].add(now.less(before))
        before = now
    tables.corrections += len(runs) - 1
    tables.estimated_at_deadline += runs[0]["estimated"]
    tables.estimated += runs[-1]["estimated"]
    if runs[0]["estimated"]:
        tables.measured_slots.discard(slot_start_s)
    for party in runs[-1]["parties"]:
        tables.supplier_only_nano[party["party"]] += party["supplier_only_nano"]
        tables.supplier_charge_nano[party["party"]] += max(0, party["supplier_only_nano"])
    return runs


async def _runs_of(client: Client, slot: str) -> Sequence[Any]:
    """The answers about each run of a slot, the last one at the end; most slots have the first alone."""
    last = await _query(client, f"{slot}/run")
    if last["run"] == INITIAL:
        return [last]
    listed = (await _query(client, f"{slot}/runs"))["runs"]
    return [*[await _query(client, f"{slot}/run", run=run["run"]) for run in listed[:-1]], last]


def write_results(out: Path, tables: Tables) -> bytes:
    """Make the result files; the one digest over registers, fills, postings and statements."""
    tables.settled.write(out)
    return results_root({name: write_rows(out / name, COLUMNS[name], rows) for name, rows in tables.files().items()})
