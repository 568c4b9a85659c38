"""The energies of a slot: the sum of its pieces, in each of which one meter's registers go on (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tests.twin.forms import Leaf
from tests.twin.metering import Registers, advance

if TYPE_CHECKING:
    from tests.twin.twin import Twin

PIECES_MAX, PRIMARY_LIMIT, CORRECTED = 4, 10**9, 2


def counts_part_slots(twin: Twin, zone: str) -> bool:
    """Whether a slot inside which a meter comes or goes is measured."""
    return "part_slots_are_measured" in twin.timeline(zone)


class Piece(NamedTuple):
    """The part of a slot in which one meter's registers go on. starts, ends: None where nobody knows them."""

    meter: Leaf
    starts: Sequence[int] | None
    ends: Sequence[int] | None
    is_approved: bool


def energies_of(
    twin: Twin, zone: str, point: str, slot: int, start: tuple[Registers, int] | None, end: tuple[Registers, int] | None
) -> list[int] | None:
    """Import and export of a slot, primary Wh; None where it does not follow from registers."""
    pieces = (part_pieces_of if counts_part_slots(twin, zone) else pieces_of)(twin, point, slot, start, end)
    if pieces is None or len(pieces) > PIECES_MAX:
        return None
    energies = [0, 0]
    for meter, starts, ends, is_approved in pieces:
        if starts is None or ends is None:
            return None
        most = meter["limit_wh"]
        if is_approved:
            most = PRIMARY_LIMIT // meter["ratio"]
            most = min(most, meter["modulus_wh"] // 2) if meter["modulus_wh"] else most
        for index in (0, 1):
            wh = advance(starts[index], ends[index], meter["modulus_wh"])
            if not 0 <= wh <= most:
                return None
            energies[index] += wh * meter["ratio"]
    return energies if max(energies) <= PRIMARY_LIMIT else None


def pieces_of(
    twin: Twin, point: str, slot: int, start: tuple[Registers, int] | None, end: tuple[Registers, int] | None
) -> list[Piece] | None:
    """The pieces of a slot in their order; None where not as many begin as end."""
    installed = twin.registry.installation_at(point, slot, twin.height - 1)
    meter = None if installed is None else installed[1]
    pieces: list[Piece] = []
    starts, is_approved = (None, False) if start is None else (start[0], start[1] % 16 == CORRECTED)
    is_open = True
    for _, value in breaks_in(twin, point, slot):
        first, final = value.get("first_registers"), value.get("final_registers")
        if final is not None or "removed" in value:
            if not is_open or meter is None:
                return None
            pieces.append(Piece(meter, starts, final, is_approved))
            is_open, is_approved = False, False
        if first is not None:
            if is_open:
                return None
            meter, starts, is_open = value, first, True
    if not is_open or meter is None or end is None:
        return None
    is_approved = is_approved or end[1] % 16 == CORRECTED
    return [*pieces, Piece(meter, starts, end[0], is_approved)]


def part_pieces_of(
    twin: Twin, point: str, slot: int, start: tuple[Registers, int] | None, end: tuple[Registers, int] | None
) -> list[Piece] | None:
    """The pieces of a slot whose part slots are measured: while a meter hangs there. None where none begins before the slot's end."""
    installed = twin.registry.installation_at(point, slot, twin.height - 1)
    meter = None if installed is None else installed[1]
    starts, is_approved = (None, False) if start is None else (start[0], start[1] % 16 == CORRECTED)
    pieces: list[Piece] = []
    is_begun = meter is not None
    for from_s, value in breaks_in(twin, point, slot):
        first, final = value.get("first_registers"), value.get("final_registers")
        if meter is not None and (final is not None or "removed" in value):
            pieces.append(Piece(meter, starts, final, is_approved))
            meter, is_approved = None, False
        if first is not None:
            meter, starts, is_approved = value, first, False
            is_begun = is_begun or from_s < slot + twin.slot_s
    if meter is not None:
        is_approved = is_approved or (end is not None and end[1] % 16 == CORRECTED)
        pieces.append(Piece(meter, starts, None if end is None else end[0], is_approved))
    return pieces if is_begun else None


def breaks_in(twin: Twin, point: str, slot: int) -> list[tuple[int, Leaf]]:
    """Entries of the installations of a point inside a slot, or at its end, at which registers break off, in their order."""
    found: list[tuple[int, int, Leaf]] = []
    for number in twin.registry.installations:
        for from_s, value in twin.registry.standing(number, twin.height - 1):
            is_break = "removed" in value or "first_registers" in value
            if value["point"] == point and is_break and slot < from_s <= slot + twin.slot_s:
                found.append((from_s, "removed" not in value, value))
    return [(from_s, value) for from_s, _, value in sorted(found, key=lambda item: item[:2])]
