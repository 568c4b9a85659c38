"""``zone/<name>``: areas of one timeline and one contract. Rows, chunks, progress and runs are the zone's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore.forms import DIGEST, INSTANT, exactly, integer, text
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.run_calendar import RUN_CALENDAR, RunCalendar, calendar_fault

SPAN_S_MAX: Final = 366 * 86_400
"""Longest span of a timeline: opening, gate, metering deadline."""
FINAL_S_MAX: Final = 10 * SPAN_S_MAX
"""Longest time until a slot is final."""
ROWS_MAX: Final = 1 << 20
"""Points of one zone."""
GAP_SLOTS_MAX: Final = 4_320
"""Slots of the longest gap that registers close: 45 days of quarters of an hour."""


class Zone(NamedTuple):
    """contract, contract_pin: id and SM3 of the code; first_slot_start_s: UTC seconds, a multiple of the slot length.

    A slot's book opens ``open_before_start_s`` and closes ``gate_before_start_s`` before the slot; its initial run falls due
    ``metering_deadline_s`` after its end. A correction run falls due ``correction_after_s`` (None: 0) after what it corrects
    became known; from ``final_after_s`` after the slot's end on nothing corrects it (None: the slot is never final).
    part_slots_are_measured: True: a slot inside which a meter is put up or taken down at a point, its registers stated, is measured there; None: it
    is estimated, as where nothing was read (docs/spec/state.md, "Part slots").
    profiles_have_conditions: True: parts of standing rules may have conditions, as bids of one slot have; None: no such rule is of a form that the
    zone knows (ADR 0161).
    run_calendar: the map of a ``RunCalendar``, which then says when corrections fall due; None: there are no final and dispute runs.
    gap_slots_max: slots of the longest gap whose energy comes to the advance of the registers around it, over exchanges of meters too;
    None: gaps are bound as before there was such a limit, up to 96 slots of one meter (docs/spec/state.md, "Estimates").
    runs_follow_points: True: a settled slot in which a point's row says somebody else by now has another run, though no number changes;
    None: it has none (docs/spec/state.md, "Points that say somebody else").
    gap_slots_from_s, runs_follow_points_from_s: the slot, UTC seconds, from which a zone that began without it has the one or the other; None: all
    of its slots have it.
    """

    contract: str
    contract_pin: bytes
    first_slot_start_s: int
    gate_before_start_s: int
    metering_deadline_s: int
    open_before_start_s: int
    correction_after_s: int | None = None
    final_after_s: int | None = None
    gap_slots_from_s: int | None = None
    gap_slots_max: int | None = None
    part_slots_are_measured: bool | None = None
    profiles_have_conditions: bool | None = None
    run_calendar: Mapping[str, Any] | None = None
    runs_follow_points: bool | None = None
    runs_follow_points_from_s: int | None = None


TAKEN_UP: Final[Mapping[str, str]] = {
    "gap_slots_max": "gap_slots_from_s",
    "runs_follow_points": "runs_follow_points_from_s",
}
"""The rules that a zone that exists may take up, once and for good, and the field that says from which slot on."""


def _fault(zone: Zone) -> str:
    if zone.gate_before_start_s >= zone.open_before_start_s:
        opens_s = zone.open_before_start_s
        return f"gate_before_start_s is less than open_before_start_s {opens_s}: a book opens before it closes"
    if zone.final_after_s is not None and zone.final_after_s < zone.metering_deadline_s:
        return (
            f"final_after_s is at least metering_deadline_s {zone.metering_deadline_s}: what is final has been settled"
        )
    for rule, from_field in TAKEN_UP.items():
        if getattr(zone, rule) is None and getattr(zone, from_field) is not None:
            return f"{from_field} stands beside {rule}, which it says the first slot of"
    return "" if zone.run_calendar is None else _calendar_fault(zone, RunCalendar.of(zone.run_calendar))


def _calendar_fault(zone: Zone, calendar: RunCalendar) -> str:
    if zone.correction_after_s is not None:
        return "correction_after_s is absent beside run_calendar, which says when corrections fall due"
    if calendar.initial_last_after_s < zone.metering_deadline_s:
        return f"run_calendar: initial_last_after_s is at least metering_deadline_s {zone.metering_deadline_s}"
    if zone.final_after_s is None or zone.final_after_s <= calendar.final_run_after_s:
        return f"final_after_s is above final_run_after_s {calendar.final_run_after_s}: until then disputes change the slot"
    return calendar_fault(calendar)


_SPAN: Final = integer(0, SPAN_S_MAX)
ZONE: Final[Entity[Zone]] = Entity(
    "zone",
    Shape(
        Zone,
        {
            "contract": text(1, 64),
            "contract_pin": DIGEST,
            "correction_after_s": _SPAN,
            "final_after_s": integer(0, FINAL_S_MAX),
            "first_slot_start_s": INSTANT,
            "gap_slots_from_s": INSTANT,
            "gap_slots_max": integer(1, GAP_SLOTS_MAX),
            "gate_before_start_s": _SPAN,
            "metering_deadline_s": _SPAN,
            "open_before_start_s": _SPAN,
            "part_slots_are_measured": exactly(True, "true, or absent"),
            "profiles_have_conditions": exactly(True, "true, or absent"),
            "run_calendar": RUN_CALENDAR,
            "runs_follow_points": exactly(True, "true, or absent"),
            "runs_follow_points_from_s": INSTANT,
        },
        optional=frozenset(
            {
                "correction_after_s",
                "final_after_s",
                "part_slots_are_measured",
                "profiles_have_conditions",
                "run_calendar",
                *TAKEN_UP.keys(),
                *TAKEN_UP.values(),
            }
        ),
        rule=_fault,
    ),
)
