"""The result files of a run and their one digest (docs/spec/results_root.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from gridcore.run_names import INITIAL
from gridledger.demo.asking import answers_in_turn
from gridledger.demo.day import patiently
from gridledger.demo.run_sums import RunSums, read_run
from gridledger.settling.dataset import Dataset
from gridledger.simulating.settled import SUMS, SettledWorld
from gridledger.tables.columns import table_of
from gridledger.tables.files import write_tables
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
from settlement.catalogue import CONTRACTS
from simulators.grid.world import World


@dataclass
class Tables:
    """Rows of each result file, what each party would pay the supplier alone, and of that the charges for what it took.

    settled: what the last run of each slot says; sums: by slot and run, what the run says less the one before it.
    """

    settled: SettledWorld
    sums: dict[tuple[int, str], RunSums] = field(default_factory=lambda: defaultdict(RunSums))
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

    def add_charges(self, charges: Mapping[tuple[int, str], RunSums]) -> None:
        """Put what runs charge besides, by slot and run, into statements and postings."""
        for key, more in charges.items():
            self.sums[key].add(more)
        self.book()

    def book(self) -> None:
        """Make statements and postings of the sums."""
        self.postings = [row for (slot, run), sums in self.sums.items() for row in sums.postings(slot, run)]
        self.statements = [row for (slot, run), sums in self.sums.items() for row in sums.statements(slot, run)]

    def files(self) -> Mapping[str, Sequence[Sequence[int | str]]]:
        """The rows of each result file, as they were collected."""
        return {
            "registers.csv": self.registers,
            "orders.csv": self.orders,
            "fills.csv": self.fills,
            "postings.csv": self.postings,
            "statements.csv": self.statements,
        }


class _SlotAnswers(NamedTuple):
    """What the node says of a slot of an area. ``slot``: its place in the world; ``runs``: in their order."""

    slot: int
    slot_start_s: int
    runs: Sequence[Mapping[str, Any]]
    orders: Sequence[Mapping[str, Any]]
    positions: Mapping[str, Any]


async def fetch_tables(client: Client, world: World, terms: Dataset) -> Tables:
    """Everything that the ledger decided about ``world``, asked from the node as the utility. terms: by which it is settled."""
    contract = CONTRACTS[terms.rules.contract]
    tables = Tables(SettledWorld(world, points=terms.points), measured_slots=set(world.slot_start_s.tolist()))
    boundaries = (
        _query(client, f"areas/{area}/registers", boundary_s=boundary_s)
        for area in world.areas
        for boundary_s in world.boundary_s.tolist()
    )
    async with aclosing(answers_in_turn(boundaries)) as answers:
        async for answer in answers:
            tables.registers += [_register_row(answer["boundary_s"], entry) for entry in answer["registers"]]
    slots = (
        _ask_slot(client, area, slot, slot_start_s)
        for slot, slot_start_s in enumerate(world.slot_start_s.tolist())
        for area in world.areas
    )
    async with aclosing(answers_in_turn(slots)) as answered:
        async for slot_answers in answered:
            _note_runs(tables, slot_answers)
            _note_orders(tables, slot_answers, is_priced=not contract.trades_in_pairs)
            _note_positions(tables.settled, slot_answers)
    tables.book()
    return tables


async def _ask_slot(client: Client, area: str, slot: int, slot_start_s: int) -> _SlotAnswers:
    path = f"areas/{area}/slots/{slot_start_s}"
    runs = await _runs_of(client, path)
    orders = (await _query(client, f"{path}/orders"))["orders"]
    return _SlotAnswers(slot, slot_start_s, runs, orders, await _query(client, f"{path}/positions"))


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


def _note_orders(tables: Tables, answers: _SlotAnswers, *, is_priced: bool) -> None:
    """Orders and what they got; ``is_priced``: at the gate's price, not each trade at its own."""
    slot_start_s = answers.slot_start_s
    price_micro_per_kwh: int | Literal[""] = answers.runs[0]["result"]["price_micro_per_kwh"] if is_priced else ""
    for order in answers.orders:
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
            tables.fills.append(FillRow(slot_start_s, row.order, order["filled_wh"], price_micro_per_kwh))


def _note_positions(settled: SettledWorld, answers: _SlotAnswers) -> None:
    said = answers.positions
    at = np.array([settled.column_of_meter[meter] for meter in said["meters"]], dtype=np.int64)
    columns = {name: np.array(said[name], dtype=np.int64) for name in SUMS}
    settled.add_positions(answers.slot, at, columns, np.array(said["quality"], dtype=np.uint8))


def _note_runs(tables: Tables, answers: _SlotAnswers) -> None:
    """The runs of an area's slot."""
    runs, before = answers.runs, RunSums()
    for run in runs:
        now = read_run(run)
        tables.sums[answers.slot_start_s, run["run"]].add(now.less(before))
        before = now
    tables.corrections += len(runs) - 1
    tables.estimated_at_deadline += runs[0]["estimated"]
    tables.estimated += runs[-1]["estimated"]
    if runs[0]["estimated"]:
        tables.measured_slots.discard(answers.slot_start_s)
    for party in runs[-1]["parties"]:
        tables.supplier_only_nano[party["party"]] += party["supplier_only_nano"]
        tables.supplier_charge_nano[party["party"]] += max(0, party["supplier_only_nano"])
    for line in runs[-1]["lines"]:
        nano = line["amount_nano"]
        tables.settled.add_line(
            answers.slot, line["line_kind"], line["account"], line["energy_wh"], max(0, nano), max(0, -nano)
        )


async def _runs_of(client: Client, slot: str) -> Sequence[Any]:
    """The answers about each run of a slot, the last one at the end; most slots have the first alone."""
    last = await _query(client, f"{slot}/run")
    if last["run"] == INITIAL:
        return [last]
    listed = (await _query(client, f"{slot}/runs"))["runs"]
    return [*[await _query(client, f"{slot}/run", run=run["run"]) for run in listed[:-1]], last]


def write_results(out: Path, tables: Tables) -> bytes:
    """Make the result files, each in the order of its root; the one digest over registers, fills, postings and statements."""
    tables.settled.write(out)
    roots = {
        name: write_tables(out / name, COLUMNS[name], [table_of(COLUMNS[name], rows).sorted()])
        for name, rows in tables.files().items()
    }
    return results_root(roots)
