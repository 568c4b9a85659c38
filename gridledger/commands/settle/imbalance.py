"""``gridledger settle imbalance``: schedule, exchange and imbalance of the balance groups of an area, slot by slot."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridcore.errors import UsageError
from gridledger.commands import Actions, print_result, whole_number

if TYPE_CHECKING:
    from ledger.store.reader import LedgerReader
    from settlement.balance_groups import BalanceReport, SlotGroups

_PRICE_MAX: Final = 10**9
_TIME_S_MAX: Final = 253_402_300_799
_NOBODY: Final = "(no party named)"


def declare(actions: Actions) -> None:
    """Declare the action."""
    imbalance = actions.add_parser("imbalance", help="schedule, exchange and imbalance by balance group")
    imbalance.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    imbalance.add_argument("--area", required=True, metavar="ID")
    for name, words in (("--from", "the first slot, its start in UTC seconds"), ("--until", "behind the last slot")):
        imbalance.add_argument(
            name, dest=name[2:] + "_s", required=True, type=whole_number(0, _TIME_S_MAX), metavar="S", help=words
        )
    imbalance.add_argument("--run", dest="run_name", metavar="NAME", help="settlement run (the last one of each slot)")
    for name, words in (("--surplus-price", "received for a surplus"), ("--shortfall-price", "paid for a shortfall")):
        imbalance.add_argument(
            name, type=whole_number(-_PRICE_MAX, _PRICE_MAX), metavar="P", help=f"1e-6 of the currency per kWh {words}"
        )
    imbalance.add_argument("--out", type=Path, metavar="FOLDER", help="a folder to make: groups.csv and exchanges.csv")


def run(args: argparse.Namespace) -> int:
    """Print the totals, or all of it as JSON."""
    from ledger.store.offline import reading
    from settlement.balance_groups import ExchangeLine, GroupLine, ImbalancePrices, balance_report
    from settlement.catalogue import CONTRACTS

    if (args.surplus_price is None) != (args.shortfall_price is None):
        raise UsageError("--surplus-price and --shortfall-price: give both, or neither")
    prices = None if args.surplus_price is None else ImbalancePrices(args.surplus_price, args.shortfall_price)
    with reading(args.data, CONTRACTS) as reader:
        report = balance_report(_slots(reader, args), prices)
    if not report.lines:
        raise UsageError(f"--from {args.from_s} --until {args.until_s}: area {args.area} has no settled slot there")
    if args.out is not None:
        _write(args.out, {"groups.csv": (GroupLine, report.lines), "exchanges.csv": (ExchangeLine, report.exchanges)})
    print_result(args, _as_json(report), _text(report))
    return 0


def _slots(reader: LedgerReader, args: argparse.Namespace) -> Iterator[SlotGroups]:
    from ledger.balance_groups import sums_by_group
    from ledger.leaves.chain import CHAIN
    from ledger.registry.areas import Area
    from ledger.runs import find_runs
    from settlement.balance_groups import GroupEnergy, SlotGroups

    found = reader.registry.zone_of_area(args.area)
    if found is None:
        raise UsageError(f"--area {args.area}: is no area of this chain")
    zone, number = found
    now = Area(args.area, number, reader.zone_at(zone, reader.ledger_time_s, reader.height), reader.registry)
    slot_s = CHAIN.must(reader).slot_s
    first_s = max(-(-args.from_s // slot_s) * slot_s, zone.timeline.first_slot_start_s)
    leaves = find_runs(reader, now, range(first_s, min(args.until_s, reader.ledger_time_s), slot_s), args.run_name)
    of_slots = (
        (Area(args.area, number, reader.zone_at(zone, leaf.slot_start_s, leaf.as_of_height), reader.registry), leaf)
        for leaf in leaves
    )
    for leaf, groups in zip(leaves, sums_by_group(reader, of_slots), strict=True):
        yield SlotGroups(leaf.slot_start_s, [GroupEnergy(*sums) for sums in groups])


def _write(folder: Path, tables: dict[str, tuple[Any, Any]]) -> None:
    from gridledger.tables.files import write_rows

    try:
        folder.mkdir()
    except OSError as error:
        raise UsageError(f"--out {folder}: {error.strerror}; name a folder that is not there yet") from None
    for name, (record, rows) in tables.items():
        shown = [["" if value is None else value for value in row] for row in rows]
        write_rows(folder / name, record._fields, shown)


def _as_json(report: BalanceReport) -> dict[str, object]:
    return {
        "totals": [total._asdict() for total in report.totals],
        "slots": [line._asdict() for line in report.lines],
        "exchanges": [line._asdict() for line in report.exchanges],
    }


def _text(report: BalanceReport) -> str:
    lines = ["balance group              schedule kWh   metered kWh   surplus kWh  shortfall kWh     amount"]
    for total in report.totals:
        metered_wh = total.export_wh - total.import_wh
        energies = (total.schedule_wh, metered_wh, total.surplus_wh, total.shortfall_wh)
        shown = " ".join(f"{energy_wh / 1000:>13,.3f}" for energy_wh in energies)
        amount = "-" if total.imbalance_nano is None else f"{total.imbalance_nano / 10**9:,.2f}"
        lines.append(f"{total.group or _NOBODY:<24} {shown} {amount:>12}")
    moved_wh = sum(line.energy_wh for line in report.exchanges)
    return "\n".join([*lines, f"{moved_wh / 1000:,.3f} kWh exchanged between groups, positive: given"])
