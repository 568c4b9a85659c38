"""Whether a dataset fits onto the ledger that it is brought to: the same points, rules and slots, without a hole between."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from gridcore.errors import GridError, broken
from gridcore.registry.point import POINT
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.rules import RULES
from gridcore.registry.zone import ZONE
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.points import keys_of
from gridledger.settling.chain.prices import scopes_of
from gridledger.settling.dataset import Dataset
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import Int64
from ledger.leaves.progress import PROGRESS
from ledger.registry.bodies import open_entity
from ledger.store.ledger import Ledger


def check_fits(ledger: Ledger, dataset: Dataset) -> None:
    """GridError naming the file and what the ledger has, where a dataset is no newer data of it."""
    _check_points(ledger, dataset)
    _check_rules(ledger, dataset)
    _check_slots(ledger, dataset)
    _check_prices(ledger, dataset)
    _check_keys(ledger, dataset)


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


def _check_prices(ledger: Ledger, dataset: Dataset) -> None:
    """The prices of the ledger are those that the dataset would make: they do not change afterwards."""
    for scope, columns in scopes_of(dataset).items():
        rules = ledger.in_force(RULES, scope.rules, int(dataset.slot_start_s[0]))
        known = None if rules is None else rules.series or {}
        for key, column in columns.items():
            name = None if known is None else known.get(key)
            before = None if name is None else _known_prices(ledger, name, dataset.slot_start_s, column)
            if before is None or (before != column).any():
                at = 0 if before is None else int(np.flatnonzero(before != column)[0])
                when = instant(int(dataset.slot_start_s[at]))
                raise GridError(
                    f"prices.csv: {key} from {when} on: the ledger has another price; prices do not change afterwards"
                )


def _known_prices(ledger: Ledger, name: str, slot_start_s: Int64, behind: Int64) -> Int64:
    """int64[slots]: what a series says, ``behind`` plus 1 where it says nothing."""
    found = open_entity(ledger, PRICE_SERIES, name) or broken(f"series {name} is registered")
    known = behind + 1
    for entry in found.leaf.entries:
        record = found.open(ledger, entry).record
        prices = np.frombuffer(record.prices, dtype="<i8")
        place = (slot_start_s - entry.from_s) // record.slot_s
        is_said = (place >= 0) & (place < len(prices))
        known[is_said] = prices[place[is_said]]
    return known


def _check_keys(ledger: Ledger, dataset: Dataset) -> None:
    for point, rows in keys_of(dataset).items():
        for row in rows:
            found = ledger.in_force(POINT, point, row.valid_from_s or 0)
            key, name = (row.share_ppm, "share_ppm") if row.priority is None else (row.priority, "priority")
            if found is None or getattr(found, name) != key:
                raise GridError(
                    f"keys.csv: point {point}: the ledger has {name} {getattr(found, name, None)}, not {key}; keys do not change afterwards"
                )
