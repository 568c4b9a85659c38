"""``zone/<name>``: areas of one timeline and one contract. Rows, chunks, progress and runs are the zone's."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import DIGEST, INSTANT, integer, text
from gridcore.registry.entity import Entity, Shape

SPAN_S_MAX: Final = 366 * 86_400
"""Longest span of a timeline: opening, gate, metering deadline."""
ROWS_MAX: Final = 1 << 20
"""Points of one zone."""


class Zone(NamedTuple):
    """contract, contract_pin: id and SM3 of the code; first_slot_start_s: UTC seconds, a multiple of the slot length.

    A slot's book opens ``open_before_start_s`` and closes ``gate_before_start_s`` before the slot; its run falls due
    ``metering_deadline_s`` after its end.
    """

    contract: str
    contract_pin: bytes
    first_slot_start_s: int
    gate_before_start_s: int
    metering_deadline_s: int
    open_before_start_s: int


def _fault(zone: Zone) -> str:
    if zone.gate_before_start_s < zone.open_before_start_s:
        return ""
    return f"gate_before_start_s is less than open_before_start_s {zone.open_before_start_s}: a book opens before it closes"


_SPAN: Final = integer(0, SPAN_S_MAX)
ZONE: Final[Entity[Zone]] = Entity(
    "zone",
    Shape(
        Zone,
        {
            "contract": text(1, 64),
            "contract_pin": DIGEST,
            "first_slot_start_s": INSTANT,
            "gate_before_start_s": _SPAN,
            "metering_deadline_s": _SPAN,
            "open_before_start_s": _SPAN,
        },
        rule=_fault,
    ),
)
