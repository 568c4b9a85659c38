"""``gridledger settle certificates``: green certificates of each party of an area, month by month, with what is carried on."""

from __future__ import annotations

import argparse
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gridcore.errors import UsageError, broken
from gridledger.commands import print_result

if TYPE_CHECKING:
    from ledger.store.reader import LedgerReader
    from settlement.certificates import OnGridEnergy


class PartyLine(NamedTuple):
    """A line of ``settlement.certificates`` with its party; months by their begin, UTC seconds, 0 before the calendar's first one."""

    party: str
    known_month_s: int
    month_s: int
    energy_wh: int
    issued: int
    cancelled: int
    carry_wh: int


def declare(actions: Any) -> None:
    """Declare the action."""
    certificates = actions.add_parser("certificates", help="green certificates by party and month, with carry")
    certificates.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    certificates.add_argument("--area", required=True, metavar="ID")
    certificates.add_argument("--out", type=Path, metavar="FILE", help="a CSV file to make")


def run(args: argparse.Namespace) -> int:
    """Print a line for each party and month, or all of it as JSON."""
    from gridledger.tables.files import write_rows
    from ledger.store.offline import reading
    from settlement.catalogue import CONTRACTS
    from settlement.certificates import certificate_lines

    given: dict[str, list[OnGridEnergy]] = defaultdict(list)
    with reading(args.data, CONTRACTS) as reader:
        for party, energy in _given(reader, args.area):
            given[party].append(energy)
    parties = sorted(given, key=str.encode)
    lines = [PartyLine(party, *line) for party in parties for line in certificate_lines(given[party])]
    if args.out is not None:
        try:
            write_rows(args.out, PartyLine._fields, lines)
        except FileExistsError:
            raise UsageError(f"--out {args.out}: is there already; name a file that is not") from None
    print_result(args, {"certificates": [line._asdict() for line in lines]}, _text(lines))
    return 0


def _given(reader: LedgerReader, area_id: str) -> Iterator[tuple[str, OnGridEnergy]]:
    """What the settled points of an area have given: by the first run of a slot, then what each later one says more."""
    from gridcore.registry.area import AREA
    from ledger.leaves.chain import CHAIN
    from ledger.leaves.progress import PROGRESS
    from ledger.leaves.run import RUN
    from ledger.leaves.runs import RUNS
    from ledger.registry.areas import Area
    from ledger.registry.bodies import newest
    from ledger.registry.calendars import must_calendar
    from ledger.runs import load_rows
    from settlement.certificates import OnGridEnergy

    found, registered = reader.registry.zone_of_area(area_id), newest(reader, AREA, area_id)
    if found is None or registered is None:
        raise UsageError(f"--area {area_id}: is no area of this chain")
    zone, number = found
    months = must_calendar(reader, registered.record.calendar, reader.height).months

    def month_of(time_s: int) -> int:
        at = bisect_right(months, time_s)
        return months[at - 1] if at else 0

    next_s = PROGRESS.must(reader, zone.name).run_slot_start_s
    for slot_start_s in range(zone.timeline.first_slot_start_s, next_s, CHAIN.must(reader).slot_s):
        said: dict[str, int] = defaultdict(int)
        runs = RUNS.load(reader, slot_start_s, zone.name)
        for place, (name, height) in enumerate(() if runs is None else runs.runs):
            leaf = RUN.load(reader, slot_start_s, zone.name, name) or broken(f"run {name} of a slot is kept")
            area = Area(area_id, number, reader.zone_at(zone, slot_start_s, leaf.as_of_height), reader.registry)
            now: dict[str, int] = defaultdict(int)
            given_wh = load_rows(reader, leaf, area.settling).columns["export_wh"].tolist()
            for billed, energy_wh in zip(area.billed(area.settling), given_wh, strict=True):
                now[billed.party] += energy_wh
            month_s = month_of(slot_start_s)
            known_s = month_s if place == 0 else max(month_s, month_of(reader.header(height).ledger_time_s))
            for party in sorted({*said, *now}):
                if now[party] != said[party]:
                    yield party, OnGridEnergy(month_s, known_s, now[party] - said[party])
            said = now


def _text(lines: list[PartyLine]) -> str:
    head = "party                    known in     month          energy kWh   issued cancelled   carry kWh"
    shown = [
        f"{line.party:<24} {_day(line.known_month_s):<12} {_day(line.month_s):<12} {line.energy_wh / 1000:>12,.3f} "
        f"{line.issued:>8} {line.cancelled:>9} {line.carry_wh / 1000:>11,.3f}"
        for line in lines
    ]
    return "\n".join([head, *shown, f"{sum(line.issued - line.cancelled for line in lines)} certificates of 1 MWh"])


def _day(month_s: int) -> str:
    return datetime.fromtimestamp(month_s, UTC).date().isoformat() if month_s else "-"
