"""From a folder of files to a folder of results: read, imported into a ledger, settled, written, proved.

All of it is made in a work folder beside the results and takes their place at the end: a fault, or the power, leaves nothing half
behind. Newer data of a folder that has been settled go onto its ledger; then only the files beside the ledger are replaced.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import UsageError
from gridcore.files import locked
from gridcore.registry.balance_terms import BALANCE_TERMS
from gridledger.settling.area_slots import slot_histories
from gridledger.settling.balance import write_balances
from gridledger.settling.chain import (
    PartnersOfRuns,
    billed_points,
    files_scope,
    read_runs,
    settled_ledger,
    settled_slots,
    tariffs_of_ledger,
    with_ways,
    write_proof,
)
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset
from gridledger.settling.partners import NOBODY, Partners
from gridledger.settling.results import Results, write_results
from gridledger.settling.results.balance_book import balance_days
from gridledger.settling.run_columns import RunColumns
from ledger.store.ledger import Ledger
from settlement.area_balance import AreaBalance, area_balance

WORK: Final = ".unfinished"
"""Ends the name of the folder in which results are made."""
LEDGER: Final = "ledger"
BYTES_PER_ENERGY: Final = 500
"""Disk for a slot of a point, ledger and tables: measured, rounded up (docs/settle-files.md)."""
_BYTES_AT_LEAST: Final = 64 * 1024 * 1024


class Progress(NamedTuple):
    """Told how much is settled, and how much is written, of how much."""

    settled: Callable[[int, int], None]
    written: Callable[[int, int], None]


class Settled(NamedTuple):
    """What was settled, all slots of the ledger, and what came out."""

    dataset: Dataset
    results: Results


def check_out(out: Path) -> None:
    """UsageError unless ``out`` is absent or an empty folder; nothing is made."""
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(f"--out {out}: is not empty; name an absent or an empty folder")


def disk_needed_bytes(dataset: Dataset) -> int:
    """About how much disk the results of a dataset take."""
    return _BYTES_AT_LEAST + BYTES_PER_ENERGY * dataset.import_wh.size


def check_disk(datasets: Sequence[Dataset], out: Path) -> int:
    """About how many bytes the results take; UsageError where the disk of ``out`` has no room for them."""
    needed, free = sum(map(disk_needed_bytes, datasets)), shutil.disk_usage(nearest_folder(out)).free
    if needed > free:
        raise UsageError(f"{out}: needs about {megabytes(needed)}, the disk has {megabytes(free)}; choose another disk")
    return needed


def settle(dataset: Dataset, out: Path, progress: Progress) -> Settled:
    """Settle a dataset into ``out``, which is absent or an empty folder; there is none of it after a fault."""
    with made_whole(out) as work:
        return settle_in(dataset, work, work, progress)


def settle_onto(dataset: Dataset, out: Path, progress: Progress) -> Settled:
    """Bring newer data onto what has been settled in ``out``: what differs becomes correction runs, and its files are made anew."""
    if not (out / LEDGER).is_dir():
        raise UsageError(f"{out}: holds no ledger; name a folder that settle files has made")
    with _work_folder(out) as work:
        settled = settle_in(dataset, out, work, progress)
        for made in sorted(work.iterdir()):
            made.replace(out / made.name)
    return settled


def settle_in(
    dataset: Dataset, home: Path, work: Path, progress: Progress, when_founded: Callable[[], None] | None = None
) -> Settled:
    """``home`` has the ledger, its keys and what proves a line, or nothing yet; ``work`` gets the tables. Whoever asks sees to it that it is all made or
    nothing. when_founded: see ``settled_ledger``.
    """
    with settled_ledger(dataset, home, progress.settled, when_founded) as ledger:
        frame = _all_slots(dataset, ledger)
        is_named = any(point.partners != Partners() for point in frame.points)
        partners = PartnersOfRuns(ledger) if is_named else None
        runs = _noting_quality(read_runs(ledger, frame, partners=partners), frame)
        named = NOBODY if partners is None else partners.named
        balances = _balances(ledger, frame)
        days = [day for area, of in balances.items() for day in balance_days(area, of.entries, frame.timezone)]
        tariffs = with_ways(ledger, frame, tariffs_of_ledger(ledger, frame))
        results = write_results(work, frame, runs, tariffs, progress.written, named, days)
        if balances:
            write_balances(work, balances)
        write_proof(ledger, home, results.sample)
    return Settled(frame, results)


def _balances(ledger: Ledger, frame: Dataset) -> dict[str, AreaBalance]:
    """Borders, losses and imbalances of all areas, where one has terms of its balance or a border that the files measure."""
    areas = ledger.registry.zone(ZONE_NAME).areas
    first_s, end_s = int(frame.slot_start_s[0]), int(frame.slot_start_s[-1]) + frame.slot_s
    if ledger.leaf_keys(f"{BALANCE_TERMS.kind}/", limit=1) or len(ledger.registry.zone(ZONE_NAME)) > len(
        {point.point for point in frame.points}
    ):
        return {area: area_balance(area, slot_histories(ledger, area, first_s, end_s)) for area in areas}
    return {}


def _all_slots(dataset: Dataset, ledger: Ledger) -> Dataset:
    """The dataset with every slot that the ledger has settled of it and of what was brought before, and a point for each who is ever billed there; energies are those of its runs, and are not here."""
    starts = settled_slots(ledger, files_scope(ledger))
    points = billed_points(ledger, dataset.points)
    shape = len(starts), len(points)
    energies = np.zeros(shape, dtype=np.int64)
    quality = np.zeros(shape, dtype=np.uint8)
    return dataset._replace(points=points, slot_start_s=starts, import_wh=energies, export_wh=energies, quality=quality)


def _noting_quality(runs: Iterable[RunColumns], frame: Dataset) -> Iterator[RunColumns]:
    """The runs as they come; the frame is told of each slot the quality that its last run settled with."""
    first_s = int(frame.slot_start_s[0])
    for run in runs:
        frame.quality[(run.slot_start_s - first_s) // frame.slot_s, run.rows] = run.quality
        yield run


def work_of(out: Path) -> Path:
    """The folder in which the results of ``out`` are made."""
    return out.with_name(f".{out.name}{WORK}")


@contextmanager
def made_whole(out: Path, goes_on: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """A folder to work in that becomes ``out``, absent or an empty folder; after a fault there is none of it.

    goes_on: whether what a process that was killed or stopped (Ctrl-C) has left there is to be gone on with; it takes away what is not.
    None: nobody ever goes on, and Ctrl-C leaves nothing.
    """
    with _work_folder(out, goes_on) as work:
        yield work
        if out.exists():
            out.rmdir()
        work.rename(out)


@contextmanager
def _work_folder(out: Path, goes_on: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """A folder beside ``out``, empty unless ``goes_on`` says otherwise of what was left; nobody else makes one meanwhile.

    It is gone afterwards, unless it has another name by then, or Ctrl-C stopped what can go on.
    """
    is_kept = False
    work = work_of(out)
    if work.is_symlink():
        raise UsageError(f"{work}: is a link; take it away")
    work.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = work.with_name(f"{work.name}.lock")
    with locked(lock, f"{out}: another call makes it just now; wait until it has ended"):
        if goes_on is None or not goes_on(work):
            shutil.rmtree(work)  # what a run that was killed has left: the name is ours alone
            work.mkdir(mode=0o755)
        try:
            yield work
        except KeyboardInterrupt:
            is_kept = goes_on is not None
            raise
        finally:
            if work.exists() and not is_kept:
                shutil.rmtree(work)
            lock.unlink()


def nearest_folder(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(above for above in (path, *path.parents) if above.exists())


def megabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 10**9:.1f} GB" if count >= 10**9 else f"{max(count // 10**6, 1)} MB"
