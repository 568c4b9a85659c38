"""Whether a dataset fits onto the ledger that it is brought to: the same points, rules and slots, without a hole between."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from gridcore.errors import GridError, broken
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridcore.registry.zone import ZONE
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import Int64
from ledger.leaves.progress import PROGRESS
from ledger.store.ledger import Ledger


def check_fits(ledger: Ledger, dataset: Dataset) -> None:
    """GridError naming the file and what the ledger has, where a dataset is no newer data of it."""
    _check_points(ledger, dataset)
    _check_rules(ledger, dataset)
    _check_slots(ledger, dataset)


def rows_of(ledger: Ledger, dataset: Dataset) -> Int64:
    """int64[points]: the row in the zone of each of the dataset's points."""
    place = {name: row for row, name in enumerate(ledger.registry.zone(ZONE_NAME).points)}
    return np.array([place[point.point] for point in dataset.points], dtype=np.int64)


def numbers_of(ledger: Ledger, rows: Int64) -> Int64:
    """int64[rows]: the number of the installation of each of some rows."""
    number = np.zeros(len(ledger.registry.zone(ZONE_NAME)), dtype=np.int64)
    number[ledger.registry.installation_row] = ledger.registry.numbers
    return number[rows]


def instant(time_s: int) -> str:
    """UTC seconds for people."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_points(ledger: Ledger, dataset: Dataset) -> None:
    first_s = int(dataset.slot_start_s[0])
    for point in dataset.points:
        found = ledger.in_force(POINT, point.point, max(first_s, 0))
        if found is None:
            raise GridError(
                f"points.csv: point {point.point}: the ledger has none; it takes newer data of its own points"
            )
        if (found.party, found.area) != (point.party, point.area):
            has = f"party {found.party} and area {found.area}"
            raise GridError(
                f"points.csv: point {point.point}: the ledger has {has}, not {point.party} and {point.area}"
            )
    left_out = set(ledger.registry.zone(ZONE_NAME).points) - {point.point for point in dataset.points}
    if left_out:
        raise GridError(f"points.csv: point {min(left_out)} is missing: the ledger has it")


def _check_rules(ledger: Ledger, dataset: Dataset) -> None:
    first_s = int(dataset.slot_start_s[0])
    rules = ledger.in_force(RULES, ZONE_NAME, first_s) or broken("the rules of the files are in force")
    zone = ledger.in_force(ZONE, ZONE_NAME, first_s) or broken("the zone of the files is in force")
    slot_s = CHAIN.must(ledger).slot_s
    if dataset.slot_s != slot_s:
        raise GridError(f"rules.toml: [timeline] slot_s: the ledger has {slot_s}, not {dataset.slot_s}")
    if dataset.rules.contract != zone.contract:
        raise GridError(f"rules.toml: [market] contract: the ledger has {zone.contract}, not {dataset.rules.contract}")
    for name, ours, theirs in (
        ("prices", rules.prices, dataset.rules.prices),
        ("market", rules.terms, dataset.rules.terms),
    ):
        changed = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
        if changed:
            key = changed[0]
            raise GridError(f"rules.toml: [{name}] {key}: the ledger has {ours.get(key)!r}, not {theirs.get(key)!r}")


def _check_slots(ledger: Ledger, dataset: Dataset) -> None:
    """Slots that would be left out between would be settled without energies."""
    first_s, slot_s = int(dataset.slot_start_s[0]), dataset.slot_s
    begin_s = ledger.registry.zone(ZONE_NAME).timeline.first_slot_start_s
    next_s = PROGRESS.must(ledger, ZONE_NAME).run_slot_start_s
    if not begin_s <= first_s <= next_s or (first_s - begin_s) % slot_s:
        words = f"the ledger has slots of {slot_s} s from {instant(begin_s)} to {instant(next_s)}: begin within, or right behind"
        raise GridError(f"readings.csv: begins at {instant(first_s)}; {words}")
