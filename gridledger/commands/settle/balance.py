"""``gridledger settle balance``: what crossed the borders of an area, what its grid lost, and what losses and imbalances come to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridcore.errors import UsageError
from gridledger.commands import Actions, print_result, whole_number
from gridledger.settling.balance import BASIS, BalanceBasis, write_balances

if TYPE_CHECKING:
    from settlement.area_balance import AreaBalance

_TIME_S_MAX: Final = 253_402_300_799


def declare(actions: Actions) -> None:
    """Declare the action."""
    balance = actions.add_parser("balance", help="borders, losses and imbalances of an area, with their double entry")
    balance.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a ledger's data directory that no node uses"
    )
    balance.add_argument("--area", required=True, metavar="ID")
    for name, words in (("--from", "the first slot, its start in UTC seconds"), ("--until", "behind the last slot")):
        balance.add_argument(
            name, dest=name[2:] + "_s", required=True, type=whole_number(0, _TIME_S_MAX), metavar="S", help=words
        )
    balance.add_argument("--out", type=Path, metavar="FOLDER", help="a folder to make: balance.csv, borders.csv, ...")


def run(args: argparse.Namespace) -> int:
    """Print the sums, or all of it as JSON."""
    from gridledger.settling.area_slots import slot_histories
    from gridledger.tables.files import write_rows
    from ledger.store.offline import reading
    from settlement.area_balance import area_balance
    from settlement.catalogue import CONTRACTS

    with reading(args.data, CONTRACTS) as reader:
        balance = area_balance(args.area, slot_histories(reader, args.area, args.from_s, args.until_s))
        height = reader.height
        basis = BalanceBasis(reader.chain, args.area, args.from_s, args.until_s, height, reader.digest(height).hex())
    if not balance.lines:
        raise UsageError(f"--from {args.from_s} --until {args.until_s}: area {args.area} has no settled slot there")
    if args.out is not None:
        try:
            args.out.mkdir()
        except OSError as error:
            raise UsageError(f"--out {args.out}: {error.strerror}; name a folder that is not there yet") from None
        write_balances(args.out, {args.area: balance})
        write_rows(args.out / BASIS, BalanceBasis._fields, [basis])
    print_result(args, _as_json(balance), _text(balance))
    return 0


def _as_json(balance: AreaBalance) -> dict[str, object]:
    return {
        "slots": [line._asdict() for line in balance.lines],
        "borders": [line._asdict() for line in balance.crossings],
        "entries": [entry._asdict() for entry in balance.entries],
        "accounts": [total._asdict() for total in balance.accounts],
    }


def _text(balance: AreaBalance) -> str:
    """Sums of the slots of which all borders are known, so that they balance; where there is no such slot, what points say alone."""
    whole = [line for line in balance.lines if line.loss_wh is not None]
    unknown = len(balance.lines) - len(whole)
    of_unknown = f", of {unknown} of them a border is not known, or the area has none: they are not in these sums"
    words = [f"{len(balance.lines)} slots" + (of_unknown if unknown and whole else "")]
    if not whole:
        words.append("what crossed the borders is not known in any of them, or the area has none: so no losses are")
    for name, label in (
        ("in_wh", "came in over borders"),
        ("produced_wh", "produced"),
        ("consumed_wh", "consumed"),
        ("out_wh", "went out over borders"),
        ("loss_wh", "lost"),
        ("gain_wh", "more came out than went in"),
    ):
        known = [wh for line in whole or balance.lines if (wh := getattr(line, name)) is not None]
        words += [_energy_text(label, sum(known))] if known else []
    others: dict[str, list[int]] = {}
    for line in balance.crossings:
        own = others.setdefault(line.other_area, [])
        own += [] if line.net_wh is None else [line.net_wh]
    for other in sorted(others, key=str.encode):
        label = f"from {other}, less to it"
        words.append(_energy_text(label, sum(others[other])) if others[other] else f"{label:<28} {'not known':>14}")
    words += [f"{total.account:<28} {total.balance_nano / 10**9:>14,.2f} owed" for total in balance.accounts]
    return "\n".join(words)


def _energy_text(label: str, wh: int) -> str:
    return f"{label:<28} {wh / 1000:>14,.3f} kWh"
