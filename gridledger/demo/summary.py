"""What a demonstration came to: numbers for programs, a few lines for people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from gridcore.headline import Headline
from gridledger.demo.results import Tables
from gridledger.demo.samples import Sample
from gridledger.demo.troubles import Troubles
from simulators.grid.world import World

NANO = 10**9


@dataclass(frozen=True)
class Summary:
    """The object that ``gridledger demo --json`` prints (INTERFACE.md)."""

    slots: int
    meters: int
    readings_expected: int
    readings_committed: int
    readings_missing: int
    orders: int
    fills: int
    energy_traded_wh: int
    postings: int
    postings_sum_nano: int
    height: int
    state_root: str
    results_root: str
    wall_s: float
    out: str


@dataclass(frozen=True)
class Losses:
    """What became of readings that were lost on purpose; energies of parties in slots.

    estimated_at_deadline: by initial runs; estimated: in the last runs; corrections: runs after the initial one.
    """

    readings_dropped: int
    estimated_at_deadline: int
    estimated: int
    corrections: int


def summarise(
    world: World,
    tables: Tables,
    *,
    height: int,
    state_root: bytes,
    root: bytes,
    wall_s: float,
    out: Path,
) -> Summary:
    """Count what the tables hold."""
    expected = len(world.meters) * len(world.boundary_s)
    committed = sum(1 for row in tables.registers if row.import_wh != "")
    return Summary(
        slots=world.slots,
        meters=len(world.meters),
        readings_expected=expected,
        readings_committed=committed,
        readings_missing=expected - committed,
        orders=len(tables.orders),
        fills=len(tables.fills),
        energy_traded_wh=tables.settled.sums["bought_wh"],
        postings=len(tables.postings),
        postings_sum_nano=sum(posting.debit_nano - posting.credit_nano for posting in tables.postings),
        height=height,
        state_root=state_root.hex(),
        results_root=root.hex(),
        wall_s=round(wall_s, 1),
        out=str(out),
    )


def losses_of(tables: Tables, troubles: Troubles) -> Losses:
    """Count what was lost, and what stood in its place."""
    return Losses(troubles.lost(), tables.estimated_at_deadline, tables.estimated, tables.corrections)


def to_json(summary: Summary, losses: Losses | None) -> dict[str, object]:
    """The summary as a JSON object; with what was lost where readings were lost on purpose."""
    return asdict(summary) | ({} if losses is None else asdict(losses))


def to_text(summary: Summary, losses: Losses | None, world: World, tables: Tables, sample: Sample) -> str:
    """A dozen lines that a person understands at a glance."""
    paid: dict[str, int] = defaultdict(int)
    for line in tables.statements:
        paid[line.party] += line.amount_nano
    traders = world.traders
    pays = sum(paid[party] for party in traders)
    alone = sum(tables.supplier_only_nano[party] for party in traders)
    charge = sum(tables.supplier_charge_nano[party] for party in traders)
    headline = Headline(len(traders), summary.energy_traded_wh, pays, alone, charge)
    price = tables.settled.mean_price("trade_buy", slice(None))
    return "\n".join(
        [
            "",
            f"GridLedger: {world.scenario.title} - SIMULATED time and meters, illustrative prices",
            "",
            f"  {headline.in_english('CNY')}",
            f"  {compare(pays, alone)}",
            f"  {summary.slots} slots" + (f", {price:.3f} CNY per traded kWh on average" if price is not None else ""),
            f"  {summary.readings_committed:,} of {summary.readings_expected:,} signed readings of {summary.meters} meters",
            *_estimates(losses),
            f"  {summary.orders:,} signed orders, {summary.fills:,} fills",
            f"  {summary.postings:,} postings, debits minus credits = {summary.postings_sum_nano} nano-CNY",
            *_agreed(world),
            f"  {summary.height} blocks, state root {summary.state_root[:16]}..., results root {summary.results_root[:16]}...",
            "",
            f"  proof of one bill line ({sample.claim}):",
            f"    cd {summary.out}",
            f"    python3 -I -S verify.py {sample.arguments}",
            "",
            f"  {summary.wall_s:.0f} s; files in {summary.out}",
        ]
    )


def _estimates(losses: Losses | None) -> list[str]:
    """What was lost on purpose and estimated."""
    if losses is None:
        return []
    at_first = f"{losses.readings_dropped:,} readings lost: {losses.estimated_at_deadline:,} energies estimated at the deadline"
    return [f"  {at_first}, {losses.estimated:,} in the end; {losses.corrections:,} correction runs"]


def _agreed(world: World) -> list[str]:
    """Who holds the ledger, where it is more than one node alone."""
    consortium = world.scenario.consortium
    return [] if consortium is None else [f"  validators: {consortium.validators}, at the end all with one state root"]


def compare(pays_nano: int, alone_nano: int) -> str:
    """What all traders together pay or are paid, beside the supplier alone; also when trading cost them more."""

    def flow(nano: int) -> str:
        return f"pay {nano / NANO:,.2f} CNY" if nano >= 0 else f"are paid {-nano / NANO:,.2f} CNY"

    return f"together they {flow(pays_nano)}; with the supplier alone they would {flow(alone_nano).replace('are', 'be', 1)}"
