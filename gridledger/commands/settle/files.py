"""``gridledger settle files``: settle energies that exist already, from a folder of files."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridcore.errors import UsageError
from gridledger.commands import Actions, print_progress, print_result

if TYPE_CHECKING:
    from gridledger.settling.dataset import Dataset

_COMMAND: Final = "gridledger settle files"


def declare(actions: Actions) -> None:
    """Declare the action."""
    files = actions.add_parser("files", help="settle readings, points and rules of a folder (docs/settle-files.md)")
    files.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="rules.toml, points.csv, readings.csv, ...")
    target = files.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, metavar="OUT", help="an absent or empty folder for statements and ledger")
    target.add_argument(
        "--onto", type=Path, metavar="OUT", help="a settled folder: newer data become corrections of it"
    )
    target.add_argument("--check", action="store_true", help="only read DIR, and say what it holds or what is wrong")
    target.add_argument("--presets", action="store_true", help="list the layouts of readings that --preset takes")
    files.add_argument("--preset", metavar="NAME", help="the layout of the readings, of a meter operator's export")


def run(args: argparse.Namespace) -> int:
    """Settle the folder, read it alone, or list the layouts; 1 where the books do not balance."""
    if args.presets:
        return _list_presets(args)
    if args.folder is None:
        raise UsageError(f"{_COMMAND}: DIR is missing; name the folder that holds rules.toml, points.csv, readings.csv")
    if not (args.check or args.out or args.onto):
        raise UsageError(f"{_COMMAND}: --out is missing; name a folder for the results, or give --check")
    from gridledger.settling.chain.founding import check_rows
    from gridledger.settling.files.folder import read_folder
    from gridledger.settling.settled_folder import check_out
    from gridledger.settling.validation_marks import counts_by_rule, marked_in_files

    begun = time.monotonic()
    if args.out is not None:
        check_out(args.out)
    print_progress("reading ...")
    dataset = read_folder(args.folder, args.preset)
    print_progress("")
    if args.check:
        check_rows(dataset)
        marked = counts_by_rule(marked_in_files(dataset))
        print_result(args, held(dataset, marked), held_text(dataset, marked))
        return 0
    return _settle(args, dataset, begun)


def _settle(args: argparse.Namespace, dataset: Dataset, begun: float) -> int:
    from gridledger.settling import settled_folder
    from gridledger.settling.dataset import parties_of
    from gridledger.settling.validation_marks import counts_by_rule

    out: Path = (args.out or args.onto).absolute()
    needed = settled_folder.check_disk([dataset], out)
    print(f"{out}: needs about {settled_folder.megabytes(needed)} of disk", file=sys.stderr, flush=True)
    for note in dataset.notes:
        print(note, file=sys.stderr, flush=True)
    progress = settled_folder.Progress(
        settled=lambda done, of: print_progress(f"settled {done} of {of} slots"),
        written=lambda done, of: print_progress(f"written {100 * done // max(of, 1)} %"),
    )
    settle = settled_folder.settle if args.onto is None else settled_folder.settle_onto
    settled = settle(dataset, out, progress)
    print_progress("")
    results, frame = settled.results, settled.dataset
    for note in (uncharged := [one.words for one in results.uncharged]):
        print(note, file=sys.stderr, flush=True)
    notes = [*dataset.notes, *uncharged]
    wall_s = round(time.monotonic() - begun, 2)
    summary = {
        "slots": len(frame.slot_start_s),
        "points": len({point.point for point in frame.points}),
        "parties": len(parties_of(frame.points)),
        **dataset.counts._asdict(),
        "marked": counts_by_rule(results.marked),
        "energy_shared_wh": results.energy_shared_wh,
        "postings": results.postings,
        "postings_sum_nano": results.postings_sum_nano,
        "results_root": results.results_root.hex(),
        "wall_s": wall_s,
        "out": str(out),
        **({"notes": notes} if notes else {}),
    }
    text = (
        f"{held_text(frame._replace(counts=dataset.counts, notes=()), counts_by_rule(results.marked))}\n"
        f"{results.energy_shared_wh / 1000:,.3f} kWh shared; {results.statements} lines, {results.documents} invoices; "
        f"debits equal credits\n{out / 'report.html'}\n{wall_s} s"
    )
    print_result(args, summary, text)
    return 0 if results.postings_sum_nano == 0 else 1


def _list_presets(args: argparse.Namespace) -> int:
    from gridledger.settling.files.layout import load_preset, preset_names

    layouts = {name: load_preset(name) for name in preset_names()}
    lines = [f"{name}\n  {of.title}\n  {of.notes}\n  source: {of.source}" for name, of in layouts.items()]
    shown = {name: {"title": of.title, "notes": of.notes, "source": of.source} for name, of in layouts.items()}
    print_result(args, {"presets": shown}, "\n".join(lines))
    return 0


def held(dataset: Dataset, marked: Mapping[str, int]) -> dict[str, object]:
    """What a dataset holds, by names; ``marked``: how many energies are hardly meant, by rule."""
    from gridledger.settling.dataset import parties_of

    return {
        "slots": len(dataset.slot_start_s),
        "points": len(dataset.points),
        "parties": len(parties_of(dataset.points)),
        "areas": len({point.area for point in dataset.points}),
        "contract": dataset.rules.contract,
        **dataset.counts._asdict(),
        "marked": marked,
        "orders": dataset.orders.how_many,
        "inputs": {file.name: file.sm3.hex() for file in dataset.inputs},
        "notes": list(dataset.notes),
    }


def held_text(dataset: Dataset, marked: Mapping[str, int]) -> str:
    """The same for people."""
    from gridledger.settling.dataset import parties_of
    from gridledger.settling.files.stamps import to_iso

    starts, counts = dataset.slot_start_s, dataset.counts
    lines = [
        f"{len(starts)} slots of {dataset.slot_s} s from {to_iso(int(starts[0]))} to {to_iso(int(starts[-1]))}",
        f"{len({point.point for point in dataset.points})} points of {len(parties_of(dataset.points))} parties, {dataset.rules.contract}",
        f"{counts.readings} readings; {counts.missing} missing, {counts.estimated} estimated",
        *([f"to look at: {_marked_text(marked)}"] if any(marked.values()) else []),
        *dataset.notes,
    ]
    return "\n".join(lines)


def _marked_text(marked: Mapping[str, int]) -> str:
    """Counts by rule in words."""
    words = {"spike": "spikes", "zero_run": "runs of zeros", "new_direction": "new directions"}
    return ", ".join(f"{words[rule]} {count}" for rule, count in marked.items() if count)
