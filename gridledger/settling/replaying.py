"""``gridledger settle replay``: make a settlement run again from the ledger's blocks alone, and compare."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridledger.commands import print_progress, print_result, whole_number

if TYPE_CHECKING:
    from ledger.store.rerun import Rerun

_LAST_SLOT_S = 253_402_300_799


def declare(actions: Any) -> None:
    """Declare the action."""
    replay = actions.add_parser("replay", help="make a settlement run again from the blocks alone, and compare")
    replay.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="a ledger's data directory that no node uses (OUT/ledger)",
    )
    replay.add_argument("--area", required=True, metavar="ID", help="of which area; the run is of its whole zone")
    replay.add_argument(
        "--slot", required=True, type=whole_number(0, _LAST_SLOT_S), metavar="S", help="slot start, UTC seconds"
    )
    replay.add_argument("--run", dest="run_name", metavar="NAME", help="settlement run (the last one)")
    replay.add_argument("--archive", type=Path, metavar="DIR", help="an archive with the blocks that are not in DIR")


def run(args: argparse.Namespace) -> int:
    """Print what the run came to again; 1 where it is not what the ledger keeps."""
    from ledger.store.archive import Archive
    from ledger.store.rerun import RunName, rerun
    from settlement.catalogue import CONTRACTS, pins

    again = rerun(
        args.data,
        RunName(args.area, args.slot, args.run_name),
        CONTRACTS,
        pins=pins(),
        archive=Archive(args.archive) if args.archive else None,
        progress=lambda done, of: print_progress(f"block {done} of {of}"),
    )
    print_progress("")
    print_result(args, _as_json(again), _text(again))
    return 1 if again.differing else 0


def _as_json(again: Rerun) -> dict[str, object]:
    leaf = again.leaf
    return {
        "run_id": again.run_id.hex(),
        "zone": leaf.zone,
        "slot_start_s": leaf.slot_start_s,
        "run": leaf.run,
        "height": again.height,
        "as_of_height": leaf.as_of_height,
        "state_root": again.state_root.hex(),
        "contract": leaf.contract,
        "contract_pin": leaf.contract_pin.hex(),
        "rows": leaf.rows,
        "points": leaf.points,
        "rows_root": leaf.rows_root.hex(),
        "received_nano": dict(again.received_nano),
        "compared": again.compared,
        "differing": list(again.differing),
        "same": not again.differing,
    }


def _text(again: Rerun) -> str:
    leaf = again.leaf
    lines = [
        f"run {leaf.run} of slot {leaf.slot_start_s}, zone {leaf.zone}: {leaf.points} points settled by {leaf.contract}",
        f"  run id      {again.run_id.hex()}",
        f"  made from   state {again.state_root.hex()} of height {leaf.as_of_height}, in block {again.height}",
        f"  rows root   {leaf.rows_root.hex()}",
        *(f"  {account:<11} {nano} nano" for account, nano in sorted(again.received_nano.items())),
        f"  sum of points {sum(again.received_nano.values())} nano",
    ]
    if again.differing:
        lines.append(
            f"NOT THE SAME: {', '.join(again.differing)}; the data directory was changed: gridledger node check"
        )
    else:
        lines.append(f"the same: {again.compared} leaves made again from the blocks, bit by bit")
    return "\n".join(lines)
