"""``gridledger settle``: settle energies that exist already, from a folder of files; explain lines, make runs again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridledger.commands import print_result
from gridledger.settling import explaining, replaying

if TYPE_CHECKING:
    from gridledger.settling.dataset import Dataset

EXAMPLE = "gridledger settle files examples/settle-community --check"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``files``, ``explain`` and ``replay``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    files = actions.add_parser("files", help="settle readings, points and rules of a folder (docs/settle-files.md)")
    files.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="rules.toml, points.csv, readings.csv, ...")
    files.add_argument(
        "--check", action="store_true", help="only read the folder, and say what it holds or what is wrong"
    )
    files.add_argument("--preset", metavar="NAME", help="the layout of the readings, of a meter operator's export")
    files.add_argument("--presets", action="store_true", help="list the layouts")
    explaining.declare(actions)
    replaying.declare(actions)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions."""
    status: int = {"files": _run_files, "explain": explaining.run, "replay": replaying.run}[args.action](args)
    return status


def _run_files(args: argparse.Namespace) -> int:
    """Read the folder, or list the layouts."""
    if args.presets:
        return _list_presets(args)
    if args.folder is None:
        raise UsageError(
            "gridledger settle files: DIR is missing; name the folder that holds rules.toml and points.csv"
        )
    if not args.check:
        raise UsageError("gridledger settle files: give --check")
    from gridledger.settling.files.folder import read_folder

    dataset = read_folder(args.folder, args.preset)
    print_result(args, _summary(dataset), _text(dataset))
    return 0


def _list_presets(args: argparse.Namespace) -> int:
    from gridledger.settling.files.layout import load_preset, preset_names

    layouts = {name: load_preset(name) for name in preset_names()}
    lines = [f"{name}\n  {of.title}\n  {of.notes}\n  source: {of.source}" for name, of in layouts.items()]
    shown = {name: {"title": of.title, "notes": of.notes, "source": of.source} for name, of in layouts.items()}
    print_result(args, {"presets": shown}, "\n".join(lines))
    return 0


def _summary(dataset: Dataset) -> dict[str, object]:
    return {
        "slots": len(dataset.slot_start_s),
        "points": len(dataset.points),
        "parties": len({point.party for point in dataset.points}),
        "areas": len({point.area for point in dataset.points}),
        "contract": dataset.rules.contract,
        **dataset.counts._asdict(),
        "orders": len(dataset.orders.slot),
        "inputs": {file.name: file.sm3.hex() for file in dataset.inputs},
        "notes": list(dataset.notes),
    }


def _text(dataset: Dataset) -> str:
    from gridledger.settling.files.stamps import to_iso

    starts, counts = dataset.slot_start_s, dataset.counts
    lines = [
        f"{len(starts)} slots of {dataset.slot_s} s from {to_iso(int(starts[0]))} to {to_iso(int(starts[-1]))}",
        f"{len(dataset.points)} points of {len({point.party for point in dataset.points})} parties, {dataset.rules.contract}",
        f"{counts.readings} readings; {counts.missing} missing, {counts.estimated} estimated",
        *dataset.notes,
    ]
    return "\n".join(lines)
