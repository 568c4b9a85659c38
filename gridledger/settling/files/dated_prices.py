"""``[prices]`` of ``rules.toml``: one table, or entries ``[[prices]]`` that hold from one local day to before another, without a gap or an overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridcore.forms import integer
from gridledger.settling.files.fault import fault
from gridledger.settling.files.stamps import DAY_S, Zone, to_iso
from ledger.registry.entries import ENTRIES_MAX

RULES: Final = "rules.toml"
ENTRIES_OF_PRICES_MAX: Final = ENTRIES_MAX - 4
"""An entity keeps ``ENTRIES_MAX`` entries; a few are left for newer files."""
_FROM, _UNTIL = "valid_from", "valid_until"
_PRICE: Final = integer(-(1 << 63), (1 << 63) - 1)
_EPOCH: Final = date(1970, 1, 1).toordinal()


class PricesFrom(NamedTuple):
    """Prices by the contract's names, and the validity of them: UTC seconds, the end excluded, None without one."""

    prices: Mapping[str, int]
    from_s: int | None
    until_s: int | None


def read_dated(value: object, zone: Zone) -> Sequence[PricesFrom]:
    """The entries by when they hold. ``value``: of the key ``prices``; FilesError naming entry and key at the first fault."""
    if isinstance(value, dict):
        for key in (_FROM, _UNTIL):
            if key in value:
                raise fault(
                    RULES, f"[prices] {key}: one table has no validity", "write each entry as a table [[prices]]"
                )
        return [PricesFrom(_prices("[prices]", value), None, None)]
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise fault(RULES, "[prices] is no table", "give one table [prices], or entries [[prices]] with their validity")
    if len(value) > ENTRIES_OF_PRICES_MAX:
        what = f"[[prices]]: {len(value)} entries"
        raise fault(
            RULES, what, f"give at most {ENTRIES_OF_PRICES_MAX}; prices that vary more often stand in prices.csv"
        )
    entries = [(number, _entry(number, item, zone)) for number, item in enumerate(value, 1)]
    entries.sort(key=lambda entry: -(1 << 63) if entry[1].from_s is None else entry[1].from_s)
    first = entries[0][1].prices
    for (earlier, before), (later, after) in pairwise(entries):
        _check_neighbours(earlier, before, later, after)
    for number, entry in entries[1:]:
        for key in sorted(first.keys() ^ entry.prices.keys()):
            where = number if key in first else entries[0][0]
            raise fault(RULES, f"[[prices]] {where}, {key}: missing", "every entry has all prices that another one has")
    return [entry for _, entry in entries]


def check_covered(entries: Sequence[PricesFrom], first_slot_s: int, end_s: int) -> None:
    """FilesError where the entries leave slots at one end of the data without prices."""
    from_s, until_s = entries[0].from_s, entries[-1].until_s
    if from_s is not None and from_s > first_slot_s:
        what = f"[[prices]] {_FROM}: none holds before {to_iso(from_s)}, and the first slot is {to_iso(first_slot_s)}"
        raise fault(RULES, what, f"begin the first entry there, or leave out its {_FROM}")
    if until_s is not None and until_s < end_s:
        what = f"[[prices]] {_UNTIL}: none holds from {to_iso(until_s)} on, and the last slot ends at {to_iso(end_s)}"
        raise fault(RULES, what, f"give an entry from then on, or leave out the last one's {_UNTIL}")


def _entry(number: int, table: Mapping[str, Any], zone: Zone) -> PricesFrom:
    from_s, until_s = (local_day(f"[[prices]] {number}, {key}", table.get(key), zone) for key in (_FROM, _UNTIL))
    if from_s is not None and until_s is not None and from_s >= until_s:
        raise fault(RULES, f"[[prices]] {number}, {_UNTIL}: is not after {_FROM}", "an entry holds for a day at least")
    prices = {key: price for key, price in table.items() if key not in (_FROM, _UNTIL)}
    return PricesFrom(_prices(f"[[prices]] {number}", prices), from_s, until_s)


def _prices(place: str, table: Mapping[str, Any]) -> Mapping[str, int]:
    for key, price in table.items():
        if not _PRICE.holds(price):
            what = f"{place} {key} = {excerpt(str(price))} is no price"
            raise fault(RULES, what, "give a whole number, in 1e-6 of the currency per kWh")
    return dict(table)


def local_day(place: str, value: object, zone: Zone) -> int | None:
    """The first instant of the local day that a key says, UTC seconds; None where it is not there. ``place``: how a message names the key."""
    if value is None:
        return None
    if type(value) is not date:
        what = f"{place} = {excerpt(str(value))} is no day"
        raise fault(RULES, what, "give a local day as 2026-07-01, without quotes and without a time")
    return int(zone.first_instants(np.array([(value.toordinal() - _EPOCH) * DAY_S], dtype=np.int64))[0])


def _check_neighbours(earlier: int, before: PricesFrom, later: int, after: PricesFrom) -> None:
    if before.until_s == after.from_s and after.from_s is not None:
        return
    is_overlap = before.until_s is None or after.from_s is None or after.from_s < before.until_s
    word = "overlaps" if is_overlap else "leaves a gap behind"
    raise fault(
        RULES,
        f"[[prices]] {later}, {_FROM}: the entry {word} entry {earlier}",
        f"begin it ({_FROM}) on the day on which entry {earlier} ends ({_UNTIL})",
    )
