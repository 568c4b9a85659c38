"""A world fed to a ledger as columns, without meters and agents: the ledger of ``settle files`` imports and settles it."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np

from gridledger.beside import Beside, done_beside, made_in_two
from gridledger.demo.prepare import prepare
from gridledger.founding.folder import write_new
from gridledger.freed_memory import give_back_memory
from gridledger.settling.chain import read_slots, settled_ledger
from gridledger.settling.dataset import Dataset, FileRules
from gridledger.settling.run_columns import SlotColumns
from gridledger.settling.settled_folder import LEDGER, Progress, check_disk, made_whole, nearest_folder, settle_in
from gridledger.simulating.begun import BEGUN, SETTLEMENT, can_go_on, decided_by, note_begun
from gridledger.simulating.dataset import dataset_of
from gridledger.simulating.manifest import copy_tables, digests_of, write_manifest
from gridledger.simulating.own_traders import Traders
from gridledger.simulating.report import Money, write_report
from gridledger.simulating.settled import SettledWorld
from gridledger.simulating.terms import rules_option, write_rules
from gridledger.simulating.world_files import write_world
from ledger.store.offline import reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from settlement.contract_kit_1.columns import exact_sum
from simulators.grid.households import orders_of_slot
from simulators.grid.large_arrays import LargeArrays
from simulators.grid.world import World
from simulators.scenarios.gallery import Found

T = TypeVar("T")
_NANO: Final = 10**9
BESIDE_VALUES_MIN: Final = 1 << 22
"""Energies of a world whose tables are written while it is settled."""


@dataclass(frozen=True)
class DirectPlan:
    """``out``: absent or empty; ``has_bills``: with statements, invoices and a sample bundle.

    ``orders``: what homes want in a slot, in place of the scenario's own traders; ``goes_on``: with what a killed process has left of the same run, where it has.
    """

    out: Path
    found: Found
    has_parquet: bool = False
    has_bills: bool = True
    orders: Traders = orders_of_slot
    goes_on: bool = False

    @property
    def options(self) -> str | None:
        """Options of the command that makes this run again, written into its report; None where its traders or its size have no option."""
        if self.orders is not orders_of_slot or not self.found.is_whole:
            return None
        return f" --direct{rules_option(self.found.scenario.tariff)}{'' if self.has_bills else ' --no-bills'}"


@dataclass(frozen=True)
class DirectOutcome:
    """What it came to; energies in Wh, money in nano of the currency."""

    slots: int
    meters: int
    contract: str
    energy_wh: int
    traded_wh: int
    pays_nano: int
    supplier_only_nano: int
    currency: str
    wall_s: float
    out: str

    def text(self) -> str:
        """For people."""
        traded, energy = self.traded_wh / 1000, self.energy_wh / 1000
        pays, alone = self.pays_nano / _NANO, self.supplier_only_nano / _NANO
        return (
            f"{self.slots} slots, {self.meters} meters, {self.contract}; SIMULATED, illustrative prices\n"
            f"{traded:,.1f} kWh traded between neighbours, {energy:,.1f} kWh taken\n"
            f"together they pay {pays:,.2f} {self.currency}; with the supplier alone {alone:,.2f} {self.currency}\n"
            f"{self.wall_s} s; files in {self.out}"
        )


class Directed(NamedTuple):
    """A run that has ended: what it came to, and every number of it as columns; ``settled.world`` is the world."""

    outcome: DirectOutcome
    settled: SettledWorld


def run_direct(plan: DirectPlan, progress: Callable[[str], None]) -> Directed:
    """Build, settle, write; there is nothing in ``out`` after a fault, and what Ctrl-C stopped can go on as what was killed. UsageError as ``dataset_of`` says."""
    begun = time.monotonic()
    progress("building the world")
    arrays = LargeArrays(nearest_folder(plan.out.absolute()))
    world, terms = prepare(plan.found, arrays, lambda work, count: _in_parts(arrays, work, count))
    world = world.with_right_clocks()  # nothing is read at a meter here
    identity = _identity(plan)
    give_back_memory()  # what building needed, before there is a copy of this process
    gc.freeze()  # records of a million meters stay until the end: the collector need not walk them again and again
    with made_whole(plan.out.absolute(), lambda work: plan.goes_on and can_go_on(plan.out, work, identity)) as work:
        note_begun(work, identity)
        # before there is a dataset: what writes beside has no use for it
        with _written(work, plan, world, arrays) as inputs:
            dataset = dataset_of(world, terms, plan.found.path, plan.orders, arrays)
            check_disk([dataset], plan.out)
            gc.freeze()
            arrays.forget()
            # it begins when the ledger is founded: that takes more memory than anything else does
            settled = _settle(plan, work / SETTLEMENT, _Run(world, dataset, arrays, progress), inputs.begin)
        give_back_memory()
        progress("writing")
        settled.write(work)
        arrays.forget()
        rules_of = dataset.rules
        currency, later = rules_of.invoice.currency, rules_of.later_prices
        write_report(work, settled, Money(rules_of.contract, currency, rules_of.prices, plan.options, later))
        copies = copy_tables(work) if plan.has_parquet else []
        write_manifest(
            work,
            world,
            contract=rules_of.contract,
            currency=rules_of.invoice.currency,
            copies=copies,
            known=inputs.result,
            direct=True,
        )
        (work / BEGUN).unlink()
    wall_s = round(time.monotonic() - begun, 1)
    return Directed(_outcome(settled, rules_of, wall_s, plan.out.absolute()), settled)


def _identity(plan: DirectPlan) -> bytes:
    """What decides the files of a run: another one does not go on with them."""
    said = {
        **decided_by(plan.found),
        "has_own_orders": plan.orders is not orders_of_slot,
        "has_bills": plan.has_bills,
    }
    return json.dumps(said).encode()


def _outcome(settled: SettledWorld, rules: FileRules, wall_s: float, out: Path) -> DirectOutcome:
    world, sums = settled.world, settled.sums
    return DirectOutcome(
        slots=world.slots,
        meters=len(world.meters),
        contract=rules.contract,
        energy_wh=sums["import_wh"],
        traded_wh=sums["bought_wh"],
        pays_nano=sums["pays_nano"],
        supplier_only_nano=sums["supplier_only_nano"],
        currency=rules.invoice.currency,
        wall_s=wall_s,
        out=str(out),
    )


def _in_parts(arrays: LargeArrays, work: Callable[[range], list[T]], count: int) -> list[T]:
    """Areas of a world: of one so large that its arrays are in files, half of them beside this process."""
    return made_in_two(work, count) if arrays.are_shared else work(range(count))


def _written(
    work: Path, plan: DirectPlan, world: World, arrays: LargeArrays
) -> AbstractContextManager[Beside[Mapping[str, str]]]:
    """The world's files, which are there when the block is left, and their digests; of a large world they are written beside it, from ``begin`` on."""
    if world.import_wh.size > BESIDE_VALUES_MIN:
        return done_beside(lambda: _write_inputs(work, plan, world, arrays), can_wait=True)
    written = Beside[Mapping[str, str]]()
    written.tell(_write_inputs(work, plan, world, arrays))
    return nullcontext(written)


def _write_inputs(work: Path, plan: DirectPlan, world: World, arrays: LargeArrays) -> Mapping[str, str]:
    write_world(work, world, arrays.forget)
    write_new(work / "scenario.toml", plan.found.data)
    write_rules(work, world.scenario)
    if world.scenario.grid.table is not None:
        write_new(work / "grid.csv", world.scenario.grid.table.read_bytes())
    return digests_of(work)


class _Run(NamedTuple):
    """What is settled, and who is told of it; ``arrays`` made what is large of it."""

    world: World
    dataset: Dataset
    arrays: LargeArrays
    progress: Callable[[str], None]

    def told(self, done: int, of: int) -> None:
        """So many slots are settled: what was imported is read no more, or not soon."""
        self.arrays.forget()
        self.progress(f"settled {done} of {of} slots")


def _settle(plan: DirectPlan, home: Path, run: _Run, when_founded: Callable[[], None]) -> SettledWorld:
    home.mkdir(exist_ok=True)
    if plan.has_bills:
        settle_in(run.dataset, home, home, Progress(run.told, lambda *_: None), when_founded)
        with reading(home / LEDGER, CONTRACTS) as reader:
            return _settled(reader, run)
    with settled_ledger(run.dataset, home, run.told, when_founded) as ledger:
        return _settled(ledger, run)


def _settled(reader: LedgerReader, run: _Run) -> SettledWorld:
    run.progress("reading what was settled")
    settled = SettledWorld(run.world, run.arrays, run.dataset.points)
    points = [point._replace(party=party, later=()) for point in run.dataset.points for party in point.parties]
    dataset = run.dataset._replace(points=points)
    column = np.array([settled.column_of_meter[point.point] for point in dataset.points], dtype=np.int64)
    for of in read_slots(reader, dataset):
        slot = (of.slot_start_s - int(dataset.slot_start_s[0])) // dataset.slot_s
        settled.add_positions(slot, column[of.places], of.columns, of.quality)
        _add_lines(settled, slot, of)
        run.arrays.forget()
    return settled


def _add_lines(settled: SettledWorld, slot: int, of: SlotColumns) -> None:
    """What the lines of a slot come to: kinds of the first areas before those that only later ones have."""
    contract = CONTRACTS[of.contract_id]
    kept = {name: of.columns[name] for name in contract.position_columns}
    found = contract.lines(of.rows, kept, trade_prices_micro_per_kwh=of.trade_prices_micro_per_kwh, terms=of.terms)
    lines = [line for line in found if line.energy_wh.any()]
    for line in sorted(lines, key=lambda line: int(of.rows.group[line.energy_wh > 0].min())):
        amount = np.asarray(line.amount_nano)
        owed, owing = exact_sum(np.maximum(amount, 0)), -exact_sum(np.minimum(amount, 0))
        settled.add_line(slot, line.kind, line.account, exact_sum(line.energy_wh), owed, owing)
