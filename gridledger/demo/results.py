"""The result files of a run and their one digest (docs/spec/results_root.md)."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridcore import cbor, merkle
from gridledger.demo.day import patiently
from ledger.client import Client
from simulators.grid.world import World

Row = tuple[int | str, ...]
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "registers.csv": ("boundary_s", "meter", "import_wh", "export_wh", "quality"),
    "orders.csv": ("slot_start_s", "order", "party", "side", "quantity_wh", "price_micro_per_kwh"),
    "fills.csv": ("slot_start_s", "order", "filled_wh", "price_micro_per_kwh"),
    "postings.csv": ("slot_start_s", "account", "debit_nano", "credit_nano", "run"),
    "statements.csv": (
        "run",
        "party",
        "slot_start_s",
        "line_kind",
        "energy_wh",
        "price_micro_per_kwh",
        "amount_nano",
        "account",
    ),
}
ROOTED = ("registers.csv", "fills.csv", "postings.csv", "statements.csv")


@dataclass
class Tables:
    """Rows of each result file, what each party would pay the supplier alone, and of that the charges for what it took."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    supplier_only_nano: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    supplier_charge_nano: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def sort(self) -> None:
        """Bring every file into the order of its root."""
        for rows in self.rows.values():
            rows.sort(key=sort_key)


async def fetch_tables(client: Client, world: World) -> Tables:
    """Everything that the ledger decided about ``world``, asked from the node as the utility."""
    tables = Tables()
    for area in world.areas:
        for boundary_s in world.boundary_s.tolist():
            answer = await _query(client, f"areas/{area}/registers", boundary_s=boundary_s)
            tables.rows["registers.csv"] += [_register_row(boundary_s, entry) for entry in answer["registers"]]
    for slot_start_s in world.slot_start_s.tolist():
        postings: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for area in world.areas:
            await _fetch_market(client, tables, area, slot_start_s)
            await _fetch_run(client, tables, postings, area, slot_start_s)
        tables.rows["postings.csv"] += [
            (slot_start_s, account, debit, credit, "initial") for account, (debit, credit) in postings.items()
        ]
    tables.sort()
    return tables


async def _query(client: Client, path: str, **params: int | str) -> Any:
    return await patiently(lambda: client.query(path, **params))


def _register_row(boundary_s: int, entry: Mapping[str, Any]) -> Row:
    values = ["" if entry[key] is None else entry[key] for key in ("import_wh", "export_wh")]
    return (boundary_s, entry["meter"], *values, entry["quality"])


async def _fetch_market(client: Client, tables: Tables, area: str, slot_start_s: int) -> None:
    clearing = await _query(client, f"areas/{area}/slots/{slot_start_s}/clearing")
    answer = await _query(client, f"areas/{area}/slots/{slot_start_s}/orders")
    for order in answer["orders"]:
        terms = (order["party"], order["side"], order["quantity_wh"], order["price_micro_per_kwh"])
        tables.rows["orders.csv"].append((slot_start_s, order["order"], *terms))
        if order["filled_wh"]:
            fill = (slot_start_s, order["order"], order["filled_wh"], clearing["price_micro_per_kwh"])
            tables.rows["fills.csv"].append(fill)


async def _fetch_run(
    client: Client, tables: Tables, postings: dict[str, list[int]], area: str, slot_start_s: int
) -> None:
    answer = await _query(client, f"areas/{area}/slots/{slot_start_s}/run")
    for posting in answer["postings"]:
        sums = postings[posting["account"]]
        sums[0] += posting["debit_nano"]
        sums[1] += posting["credit_nano"]
    for line in answer["lines"]:
        price = "" if line["price_micro_per_kwh"] is None else line["price_micro_per_kwh"]
        terms = (line["line_kind"], line["energy_wh"], price, line["amount_nano"], line["account"])
        tables.rows["statements.csv"].append(("initial", line["party"], slot_start_s, *terms))
    for party in answer["parties"]:
        tables.supplier_only_nano[party["party"]] += party["supplier_only_nano"]
        tables.supplier_charge_nano[party["party"]] += max(0, party["supplier_only_nano"])


def sort_key(row: Row) -> tuple[tuple[int, int | bytes], ...]:
    """Numbers by value, texts by their UTF-8 bytes, an empty field before every number."""
    return tuple((0, item) if isinstance(item, int) else (-1 if item == "" else 1, item.encode()) for item in row)


def file_root(rows: Iterable[Row]) -> bytes:
    """Root over a file's rows; they must be in order."""
    return merkle.root(cbor.encode(list(row)) for row in rows)


def results_root(tables: Tables) -> bytes:
    """The one digest over registers, fills, postings and statements."""
    return merkle.root(file_root(tables.rows[name]) for name in ROOTED)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[int | str]]) -> None:
    """Write one CSV file: a header line, comma, newline."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_world(out: Path, world: World) -> None:
    """What the simulator knows and the ledger does not: meters.csv, truth.csv, losses.csv."""
    columns = ("meter", "area", "party", "role", "ratio", "resolution_wh", "modulus_wh", "limit_wh")
    starts = ("start_import_wh", "start_export_wh")
    meters = [[getattr(meter, name) for name in (*columns, *starts)] for meter in world.meters]
    write_csv(out / "meters.csv", (*columns, *starts), meters)
    slots = world.slot_start_s.tolist()
    truth = [
        (slot, meter.meter, int(world.import_wh[row, at]), int(world.export_wh[row, at]))
        for row, slot in enumerate(slots)
        for at, meter in enumerate(world.meters)
    ]
    write_csv(out / "truth.csv", ("slot_start_s", "meter", "import_wh", "export_wh"), truth)
    losses = [
        (slot, area, int(world.loss_wh[row, at]))
        for row, slot in enumerate(slots)
        for at, area in enumerate(world.areas)
    ]
    write_csv(out / "losses.csv", ("slot_start_s", "area", "loss_wh"), losses)
