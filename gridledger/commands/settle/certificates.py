"""``gridledger settle certificates``: green certificates of each party of an area, month by month, with what is carried on."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gridcore.errors import UsageError
from gridledger.commands import Actions, print_result
from gridledger.settling.certificates import RegisterRow, given_in, register_rows


class PartyLine(NamedTuple):
    """A line of ``settlement.certificates`` with its party; months by their begin, UTC seconds, 0 before the calendar's first one."""

    party: str
    known_month_s: int
    month_s: int
    energy_wh: int
    issued: int
    cancelled: int
    carry_wh: int


def declare(actions: Actions) -> None:
    """Declare the action."""
    certificates = actions.add_parser("certificates", help="green certificates by party and month, with carry")
    certificates.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    certificates.add_argument("--area", required=True, metavar="ID")
    certificates.add_argument("--out", type=Path, metavar="FILE", help="a CSV file to make: a line a party and month")
    certificates.add_argument(
        "--register", type=Path, metavar="FILE", help="a CSV file to make: every certificate and what its energy is of"
    )


def run(args: argparse.Namespace) -> int:
    """Print a line for each party and month, or all of it as JSON."""
    from gridledger.tables.files import write_rows
    from ledger.store.offline import reading
    from settlement.catalogue import CONTRACTS
    from settlement.certificates import OnGridEnergy, certificate_lines

    with reading(args.data, CONTRACTS) as reader:
        given = given_in(reader, args.area)
    lines, register = list[PartyLine](), list[RegisterRow]()
    for party in sorted(given.of_party, key=str.encode):
        own = given.of_party[party]
        energies = (OnGridEnergy(one.month_s, one.known_month_s, one.energy_wh) for one in own)
        lines += [PartyLine(party, *line) for line in certificate_lines(energies)]
        register += register_rows(given, args.area, party)
    for option, path, fields, rows in (
        ("--out", args.out, PartyLine._fields, lines),
        ("--register", args.register, RegisterRow._fields, register),
    ):
        if path is not None:
            try:
                write_rows(path, fields, rows)
            except FileExistsError:
                raise UsageError(f"{option} {path}: is there already; name a file that is not") from None
    shown = {"certificates": [line._asdict() for line in lines], "register": [row._asdict() for row in register]}
    print_result(args, shown, _text(lines))
    return 0


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
