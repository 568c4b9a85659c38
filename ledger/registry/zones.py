"""One zone: what never changes of it, and what is in force in it at a time, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from gridcore.registry.run_calendar import RunCalendar
from gridcore.registry.zone import Zone as ZoneRecord
from ledger.leaves.columns import Int64

NEVER: Final = -1


class Timeline(NamedTuple):
    """When the slots of a zone are due and by which rules: the last row of gridcore.registry.zone.Zone, without the contract.

    final_after_s: ``NEVER`` for a zone whose slots are never final; run_calendar: None for a zone without final and dispute runs;
    gap_slots_max: 0 for a zone that names none; runs_follow_points, part_slots_are_measured, profiles_have_conditions: False for one that does not;
    gap_slots_from_s, runs_follow_points_from_s: from which slot on, 0 for all slots of the zone.
    """

    first_slot_start_s: int
    gate_before_start_s: int
    metering_deadline_s: int
    open_before_start_s: int
    correction_after_s: int = 0
    final_after_s: int = NEVER
    gap_slots_max: int = 0
    gap_slots_from_s: int = 0
    runs_follow_points: bool = False
    runs_follow_points_from_s: int = 0
    part_slots_are_measured: bool = False
    profiles_have_conditions: bool = False
    run_calendar: RunCalendar | None = None

    @classmethod
    def of(cls, zone: ZoneRecord) -> Timeline:
        """What a zone's row says of it."""
        return cls(
            zone.first_slot_start_s,
            zone.gate_before_start_s,
            zone.metering_deadline_s,
            zone.open_before_start_s,
            zone.correction_after_s or 0,
            NEVER if zone.final_after_s is None else zone.final_after_s,
            zone.gap_slots_max or 0,
            _taken_up_s(zone, zone.gap_slots_from_s),
            zone.runs_follow_points or False,
            _taken_up_s(zone, zone.runs_follow_points_from_s),
            zone.part_slots_are_measured or False,
            zone.profiles_have_conditions or False,
            None if zone.run_calendar is None else RunCalendar.of(zone.run_calendar),
        )

    @property
    def dispute_material_nano(self) -> int:
        """The least change for which a dispute run is made."""
        return 0 if self.run_calendar is None else self.run_calendar.dispute_material_nano

    def gap_slots_in(self, slot_start_s: int) -> int:
        """Slots of the longest gap that is bound part by part in a slot, 0 where gaps are bound by the older rule."""
        return self.gap_slots_max if slot_start_s >= self.gap_slots_from_s else 0

    def follows_points_in(self, slot_start_s: int) -> bool:
        """Whether a slot is settled again because a point says somebody else."""
        return self.runs_follow_points and slot_start_s >= self.runs_follow_points_from_s

    def is_final(self, slot_end_s: int, now_s: int) -> bool:
        """Whether a slot that ended at ``slot_end_s`` is final: no transaction and no run reads or writes it any more."""
        return self.final_after_s != NEVER and now_s >= slot_end_s + self.final_after_s


def _taken_up_s(zone: ZoneRecord, from_s: int | None) -> int:
    """From which slot on a zone has a rule, 0 where all of its slots have it."""
    return 0 if from_s is None or from_s <= zone.first_slot_start_s else from_s


@dataclass(frozen=True)
class Zone:
    """A zone at any time. place: among the zones by name; areas: names by number; points: names by row."""

    place: int
    name: str
    timeline: Timeline
    areas: Sequence[str]
    points: Sequence[str]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.points)


class AgreementInForce(NamedTuple):
    """An agreement of two points of a zone. seller, buyer: rows; digest: of the entry in force."""

    name: str
    seller: int
    buyer: int
    digest: bytes


@dataclass(frozen=True)
class ZoneInForce:
    """A zone as it is at one time, as of one height.

    Columns int64[rows]: area (number in the zone); party (number in the chain, -1 where nobody is billed); profile (which
    of ``profile_digests``, entry digests of standing profiles, -1 for none); installation (place among all, -1 where there
    is no meter), own_rules (which of ``rules_digests`` its point has instead of its area's, -1 for none), share_ppm, priority and energy_kind (of
    its point, -1 for none; a kind by its place in ``ENERGY_KINDS``), grid_place (its number in the area's grid, 0 for none), and of that meter modulus_wh (0: none), limit_wh and ratio (0 where there is no meter). Columns
    int64[areas]: rules (which of ``rules_digests``, entry digests, empty for an area that is newer) and calendar (place among the registry's calendars).
    """

    zone: Zone
    area: Int64
    party: Int64
    profile: Int64
    installation: Int64
    modulus_wh: Int64
    limit_wh: Int64
    ratio: Int64
    rules: Int64
    rules_digests: Sequence[bytes]
    own_rules: Int64
    share_ppm: Int64
    priority: Int64
    energy_kind: Int64
    grid_place: Int64
    profile_digests: Sequence[bytes]
    calendar: Int64
    agreements: Sequence[AgreementInForce]
    """Ascending by the bytes of their names."""

    @cached_property
    def tariff(self) -> Int64:
        """int64[rows]: whose prices hold for each row, a place in ``rules_digests``."""
        of_area = self.rules[self.area]
        return np.where(self.own_rules >= 0, self.own_rules, of_area) if (self.own_rules >= 0).any() else of_area

    @cached_property
    def settling(self) -> Int64:
        """int64[settling rows]: the rows whose point has a party, ascending."""
        return np.flatnonzero(self.party >= 0)

    @cached_property
    def rows_by_area(self) -> tuple[Int64, Int64]:
        """All rows ordered by area number, then row, and int64[areas + 1]: where each area's begin in them."""
        order = np.argsort(self.area, kind="stable")
        return order, np.searchsorted(self.area[order], np.arange(len(self.zone.areas) + 1))

    @cached_property
    def settling_by_party(self) -> tuple[Int64, Int64]:
        """The settling rows ordered by party number, and the party of each."""
        order = self.settling[np.argsort(self.party[self.settling], kind="stable")]
        return order, self.party[order]

    def in_common(self, parties: Int64, of_row: Int64, none: int) -> Int64:
        """int64[n]: the value that a column of rows has at all settling points of each of some party numbers; ``none``, below every value, where
        they have several.
        """
        rows, place = self.rows_billed_to(parties)
        lowest, highest = np.full_like(parties, np.iinfo(np.int64).max), np.full_like(parties, none)
        np.minimum.at(lowest, place, of_row[rows])
        np.maximum.at(highest, place, of_row[rows])
        return np.where(lowest == highest, highest, none)

    def rows_billed_to(self, parties: Int64) -> tuple[Int64, Int64]:
        """The settling rows of some party numbers, and which of the parties each is of: int64[n] both; a party may have none."""
        order, known = self.settling_by_party
        first = np.searchsorted(known, parties, side="left")
        counts = np.searchsorted(known, parties, side="right") - first
        place = np.repeat(np.arange(len(parties)), counts)
        within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return order[first[place] + within], place

    def deliverable_wh(self, parties: Int64) -> Int64:
        """int64[n]: the most that the meters of some party numbers can show in a slot, 0 without a meter."""
        rows, place = self.rows_billed_to(parties)
        most_wh = np.zeros_like(parties)
        np.add.at(most_wh, place, self.limit_wh[rows] * self.ratio[rows])
        return most_wh
