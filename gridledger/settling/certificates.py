"""Green certificates of an area: what points of each party gave that has some, and every certificate with the energy that it is of."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from gridcore.errors import UsageError, broken
from gridcore.registry.point import ENERGY_KINDS, RENEWABLE_KINDS

if TYPE_CHECKING:
    from ledger.store.reader import LedgerReader
    from settlement.certificates import GivenEnergy

_RENEWABLE: Final = [ENERGY_KINDS.index(kind) for kind in RENEWABLE_KINDS]
"""Whose energy has certificates: storage has no kind, and gets none."""
_HALF_MONTH_S: Final = 15 * 86_400


class RegisterRow(NamedTuple):
    """Energy of one certificate; a certificate has a row for each slot and point that its energy is of.

    certificate: CHAIN/AREA/PARTY/NUMBER, never given twice; month: of its newest energy, issued, cancelled: when it became known, valid_through: the
    last month in which it holds, local months; state: valid, expired or cancelled as of ledger time.
    """

    certificate: str
    party: str
    state: str
    month: str
    issued: str
    cancelled: str
    valid_through: str
    slot_start_s: int
    point: str
    energy_wh: int


class GivenByParty(NamedTuple):
    """What the eligible points of each party have given, the chain's name, and ledger time in local months."""

    of_party: dict[str, list[GivenEnergy]]
    chain: str
    now_month_s: int


def register_rows(given: GivenByParty, area: str, party: str) -> Iterator[RegisterRow]:
    """The certificates of a party, origin by origin."""
    from settlement.certificates import VALID_MONTHS, certificates_of

    now = _month_number(given.now_month_s)
    for one in certificates_of(given.of_party[party]):
        last = _month_number(one.month_s) + VALID_MONTHS
        state = "cancelled" if one.cancelled_month_s is not None else "expired" if now > last else "valid"
        months = (month_text(one.month_s), month_text(one.issued_month_s), month_text(one.cancelled_month_s or 0))
        for origin in one.origins:
            name = f"{given.chain}/{area}/{party}/{one.number}"
            yield RegisterRow(name, party, state, *months, f"{last // 12:04}-{last % 12 + 1:02}", *origin)


def given_in(reader: LedgerReader, area_id: str, *, slots_max: int | None = None) -> GivenByParty:
    """What points of renewable kinds of energy have given: by the first run of a slot, then what each later one says more.

    UsageError for no area, and for more than ``slots_max`` settled slots.
    """
    import numpy as np

    from gridcore.registry.area import AREA
    from ledger.leaves.chain import CHAIN
    from ledger.leaves.progress import PROGRESS
    from ledger.leaves.run import RUN
    from ledger.leaves.runs import RUNS
    from ledger.registry.areas import Area
    from ledger.registry.bodies import newest
    from ledger.registry.calendars import must_calendar
    from ledger.runs import load_rows
    from settlement.certificates import GivenEnergy

    found, registered = reader.registry.zone_of_area(area_id), newest(reader, AREA, area_id)
    if found is None or registered is None:
        raise UsageError(f"--area {area_id}: is no area of this chain")
    zone, number = found
    months = must_calendar(reader, registered.record.calendar, reader.height).months

    def month_of(time_s: int) -> int:
        at = bisect_right(months, time_s)
        return months[at - 1] if at else 0

    of_party: dict[str, list[GivenEnergy]] = defaultdict(list)
    next_s = PROGRESS.must(reader, zone.name).run_slot_start_s
    slots = range(zone.timeline.first_slot_start_s, next_s, CHAIN.must(reader).slot_s)
    if slots_max is not None and len(slots) > slots_max:
        raise UsageError(
            f"area {area_id} has {len(slots)} settled slots, more than {slots_max}: gridledger settle certificates counts them"
        )
    for slot_start_s in slots:
        said: dict[tuple[str, str], int] = {}
        runs = RUNS.load(reader, slot_start_s, zone.name)
        for place, (name, height) in enumerate(() if runs is None else runs.runs):
            leaf = RUN.load(reader, slot_start_s, zone.name, name) or broken(f"run {name} of a slot is kept")
            area = Area(area_id, number, reader.zone_at(zone, slot_start_s, leaf.as_of_height), reader.registry)
            rows = area.settling[np.isin(area.in_force.energy_kind[area.settling], _RENEWABLE)]
            given_wh = load_rows(reader, leaf, rows).columns["export_wh"].tolist()
            now = {
                (billed.party, billed.point): wh for billed, wh in zip(area.billed(rows), given_wh, strict=True) if wh
            }
            month_s = month_of(slot_start_s)
            known_s = month_s if place == 0 else max(month_s, month_of(reader.header(height).ledger_time_s))
            for party, point in sorted({*said, *now}):
                more_wh = now.get((party, point), 0) - said.get((party, point), 0)
                if more_wh:
                    of_party[party].append(GivenEnergy(known_s, month_s, slot_start_s, point, more_wh))
            said = now
    return GivenByParty(of_party, reader.chain, month_of(reader.ledger_time_s))


def _month_number(month_s: int) -> int:
    """Months since year 0 of a local month by its begin: half a month later it is the same one in UTC."""
    middle = datetime.fromtimestamp(month_s + _HALF_MONTH_S, UTC)
    return middle.year * 12 + middle.month - 1


def month_text(month_s: int) -> str:
    """A local month by its begin, as 2026-07; "" for none."""
    number = _month_number(month_s)
    return f"{number // 12:04}-{number % 12 + 1:02}" if month_s else ""
