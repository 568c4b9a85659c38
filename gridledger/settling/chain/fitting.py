"""Whether a dataset fits onto the ledger that it is brought to: the same points, slots and contract, without a hole between."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from gridcore.errors import GridError, broken
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridcore.registry.zone import ZONE
from gridledger.settling.chain.agreements import check_agreements
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.points import named_of
from gridledger.settling.chain.tariffs import check_tariff
from gridledger.settling.dataset import Dataset, PointRow
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import Int64
from ledger.leaves.progress import PROGRESS
from ledger.registry.bodies import open_entity
from ledger.registry.calendars import must_calendar
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS


def check_fits(ledger: Ledger, dataset: Dataset) -> None:
    """GridError naming the file and what the ledger has, where a dataset is no newer data of it."""
    _check_points(ledger, dataset)
    _check_rules(ledger, dataset)
    check_tariff(ledger, dataset)
    _check_slots(ledger, dataset)
    check_agreements(ledger, dataset)


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
    is_followed = ledger.registry.zone(ZONE_NAME).timeline.runs_follow_points
    for point in dataset.points:
        found = ledger.in_force(POINT, point.point, max(first_s, 0))
        if found is None:
            raise GridError(
                f"points.csv: point {point.point}: the ledger has none; it takes newer data of its own points"
            )
        if found.area != point.area:
            raise GridError(f"points.csv: point {point.point}: the ledger has area {found.area}, not {point.area}")
        stays = {name: getattr(point, name) for name in ("grid_place", "role", "exchange_area")}
        for column, stated in {**stays, **named_of(point)}.items():
            has = getattr(found, column)
            # a run that follows points takes whom one names anew; of nobody a file says nothing
            if has != stated and (column in stays or stated is None or not is_followed):
                ours, theirs = (_word(column, value) for value in (has, stated))
                what = f"the ledger has {column} {ours}, not {theirs}; slots were settled by it"
                raise GridError(f"points.csv: point {point.point}: {what}")
        _check_parties(ledger, point, first_s, is_followed=is_followed)
        _check_moves(ledger, dataset, point)
    left_out = set(ledger.registry.zone(ZONE_NAME).points) - {point.point for point in dataset.points}
    if left_out:
        raise GridError(f"points.csv: point {min(left_out)} is missing: the ledger has it")


def _check_parties(ledger: Ledger, point: PointRow, first_s: int, *, is_followed: bool) -> None:
    """Who is billed in slots that are settled does not change, or where runs follow points in those before the dataset's first one, ``first_s``."""
    next_s = first_s if is_followed else PROGRESS.must(ledger, ZONE_NAME).run_slot_start_s
    changes = [from_s for from_s, _ in point.later if first_s <= from_s < next_s]
    for at_s in (max(first_s - 1, 0), *changes, *([first_s] if first_s < next_s else [])):
        found = ledger.in_force(POINT, point.point, at_s) or broken("points of files are in force from the beginning")
        stated = point.party_at(at_s)
        if (found.party or "") != stated:
            has = f"from {instant(at_s)} on the ledger bills {found.party}, not {stated}"
            where = "the first slot of readings.csv" if is_followed else "where nothing is settled yet"
            right = f"who is billed may change from {instant(next_s)} on, {where}: give a row with valid_from"
            raise GridError(f"points.csv: point {point.point}: {has}; {right}")


def _word(column: str, value: int | str | None) -> int | str:
    """What a column of a point says, for people."""
    if value is not None:
        return value
    return "none" if column in ("grid_place", "exchange_area", "energy_kind") else "nobody"


def _check_moves(ledger: Ledger, dataset: Dataset, point: PointRow) -> None:
    """A move that the ledger has in the dataset's slots is not left out: it is in the dataset too, or a row of its point says who is billed instead."""
    first_s, last_s = int(dataset.slot_start_s[0]), int(dataset.slot_start_s[-1])
    opened = open_entity(ledger, POINT, point.point)
    if opened is None or any(from_s >= first_s for from_s, _ in point.later):
        return
    stated = point.party_at(first_s)
    for at_s in sorted(entry.from_s for entry in opened.leaf.entries if first_s <= entry.from_s <= last_s):
        found = ledger.in_force(POINT, point.point, at_s) or broken("points of files are in force from the beginning")
        billed = found.party or ""
        if billed != stated:
            has = f"from {instant(at_s)} on the ledger bills {billed or 'nobody'}, not {stated}"
            right = f"give the row of {billed} with that valid_from too; if {billed} did not move in, one of {stated} with it"
            raise GridError(f"points.csv: point {point.point}: {has}; {right}")


def _check_rules(ledger: Ledger, dataset: Dataset) -> None:
    """What does not change: slots, contract, calendar, currency, and under a contract with orders the terms by which gates were cleared."""
    first_s = int(dataset.slot_start_s[0])
    rules = ledger.in_force(RULES, ZONE_NAME, first_s) or broken("the rules of the files are in force")
    zone = ledger.in_force(ZONE, ZONE_NAME, first_s) or broken("the zone of the files is in force")
    runs = dataset.rules.runs
    chain, calendar = CHAIN.must(ledger), must_calendar(ledger, ZONE_NAME, ledger.height)
    for key, ours, theirs in (
        ("[timeline] slot_s", chain.slot_s, dataset.slot_s),
        ("[market] contract", zone.contract, dataset.rules.contract),
        ("[timeline] timezone", calendar.tz, dataset.timezone),
        ("[invoice] currency", chain.currency, dataset.rules.invoice.currency),
        ("[timeline] final_after_s", zone.final_after_s, None if runs is None else runs.final_after_s),
        ("[runs]", zone.run_calendar, None if runs is None else runs.calendar.encode()),
    ):
        if ours != theirs:
            raise GridError(f"rules.toml: {key}: the ledger has {ours}, not {theirs}; it does not change afterwards")
    if CONTRACTS[zone.contract].takes_orders:
        terms = {**rules.terms, **dataset.rules.terms}
        changed = sorted(key for key in terms if rules.terms.get(key) != dataset.rules.terms.get(key))
        if changed:
            key = changed[0]
            has = f"the ledger has {rules.terms.get(key)!r}, not {dataset.rules.terms.get(key)!r}"
            raise GridError(f"rules.toml: [market] {key}: {has}; gates were cleared by it")


def _check_slots(ledger: Ledger, dataset: Dataset) -> None:
    """Slots that would be left out between would be settled without energies."""
    first_s, slot_s = int(dataset.slot_start_s[0]), dataset.slot_s
    begin_s = ledger.registry.zone(ZONE_NAME).timeline.first_slot_start_s
    next_s = PROGRESS.must(ledger, ZONE_NAME).run_slot_start_s
    if not begin_s <= first_s <= next_s or (first_s - begin_s) % slot_s:
        words = f"the ledger has slots of {slot_s} s from {instant(begin_s)} to {instant(next_s)}: begin within, or right behind"
        raise GridError(f"readings.csv: begins at {instant(first_s)}; {words}")
