"""A household that moves, or a supplier that changes, inside a slot: the rows of one registration (docs/registry.md, "Inside a slot")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from gridcore.errors import UsageError
from gridcore.forms import TIME_S_MAX
from gridcore.registry.area import AREA
from gridcore.registry.entity import Entity
from gridcore.registry.grid_connection import GRID_CONNECTION
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.registry.zone import ZONE
from gridledger.registering.rows_file import FileRow
from ledger.client import Client, NodeRefused


@dataclass(frozen=True)
class Move:
    """What changes at ``at_s`` (UTC seconds) inside a slot.

    installation: the meter's number until then; registers_wh: import and export as the meter showed then; number, point: of the meter and of
    its point from then on, both new; changes: fields of ``Point`` that the new one says otherwise; trades_on: who leaves has other points,
    and goes on placing orders.
    """

    installation: int
    at_s: int
    registers_wh: tuple[int, int]
    number: int
    point: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    trades_on: bool = False


@dataclass(frozen=True)
class Standing:
    """What the ledger has of a move at its instant. slot_s: length of slots; parties: who leaves and who comes, None who is not registered."""

    slot_s: int
    meter: Installation
    point: Point
    leaving: Party
    coming: Party | None
    voltage_level: str | None


async def rows_of_move(client: Client, move: Move) -> list[FileRow]:
    """The rows to register together. UsageError, one line, where the move cannot be."""
    standing = await _standing(client, move)
    where = f"move of installation {move.installation}"
    return [FileRow(where, row) for row in _rows(move, standing)]


def _rows(move: Move, standing: Standing) -> Iterator[Row]:
    start_s = move.at_s // standing.slot_s * standing.slot_s
    end_s, old, registers = start_s + standing.slot_s, standing.meter.point, list(move.registers_wh)
    new = standing.point._replace(**move.changes)
    is_leaving = new.party != standing.point.party
    yield _row(INSTALLATION, str(move.installation), move.at_s, RemovedInstallation(old, registers))
    yield _row(POINT, old, end_s, _closed(standing.point))
    if is_leaving and standing.leaving.trades and not move.trades_on:
        yield _row(PARTY, str(standing.point.party), end_s, standing.leaving._replace(trades=False))
    if standing.coming is None:
        coming = Party(standing.leaving.area, standing.leaving.organisation, trades=False)
        yield _row(PARTY, str(new.party), start_s, coming)
    # A community's shares are at most the whole at any time: this slot's stays with who was there when it began.
    yield _row(POINT, move.point, start_s, new._replace(share_ppm=None))
    if new.share_ppm is not None:
        yield _row(POINT, move.point, end_s, new)
    goes_on = standing.meter._replace(point=move.point, first_registers=registers, final_registers=None, reason=None)
    yield _row(INSTALLATION, str(move.number), move.at_s, goes_on)
    if standing.voltage_level is not None:
        yield Row(GRID_CONNECTION.key(move.point), start_s, {"voltage_level": standing.voltage_level})


def _closed(point: Point) -> Point:
    """A point at which nobody is billed any more."""
    return Point(point.area, point.role)


def _row(entity: Entity[Any], name: str, from_s: int, record: Any) -> Row:
    return Row(entity.key(name), from_s, entity.encode(record))


async def _standing(client: Client, move: Move) -> Standing:
    slot_s = (await client.status()).slot_s
    start_s = move.at_s // slot_s * slot_s
    if move.at_s == start_s:
        words = "is where a slot begins: register a row of the point from then on; the meter stays as it is"
        raise UsageError(f"--at {_iso(move.at_s)}: {words}")
    if start_s + slot_s > TIME_S_MAX:
        raise UsageError(f"--at {_iso(move.at_s)}: its slot ends after the year 9999")
    for entity, name, option in ((INSTALLATION, str(move.number), "--number"), (POINT, move.point, "--point")):
        if await _entries(client, entity, name):
            raise UsageError(f"{option} {name}: is registered already; a move takes a new one")
    meter = await _in_force(client, INSTALLATION, str(move.installation), move.at_s)
    if not isinstance(meter, Installation):
        raise UsageError(f"installation {move.installation}: its meter was taken down before {_iso(move.at_s)}")
    point = await _in_force(client, POINT, meter.point, start_s)
    if point.party is None:
        raise UsageError(f"point {meter.point}: nobody is billed there at {_iso(start_s)}")
    if all(getattr(point, name) == value for name, value in move.changes.items()):
        words = "name who comes (--party), or who supplies or answers for it from then on (--supplier, ...)"
        raise UsageError(f"point {meter.point}: nothing changes there; {words}")
    await _hold_measured(client, move, point.area, slot_s)
    coming = move.changes.get("party", point.party)
    levels = await _entries(client, GRID_CONNECTION, meter.point)
    return Standing(
        slot_s=slot_s,
        meter=meter,
        point=point,
        leaving=await _in_force(client, PARTY, point.party, start_s),
        coming=await _in_force(client, PARTY, coming, start_s) if await _entries(client, PARTY, coming) else None,
        voltage_level=next((str(value["voltage_level"]) for at_s, value in reversed(levels) if at_s <= start_s), None),
    )


async def _hold_measured(client: Client, move: Move, area: str, slot_s: int) -> None:
    """UsageError where the zone has no such slot, or estimates part slots."""
    start_s = move.at_s // slot_s * slot_s
    name = (await _in_force(client, AREA, area, start_s)).zone
    zone = await _in_force(client, ZONE, name, start_s)
    if start_s < zone.first_slot_start_s:
        begins = f"is before {_iso(zone.first_slot_start_s)}, where the first slot of zone {name} begins"
        raise UsageError(f"--at {_iso(move.at_s)}: {begins}: register rows of the point and the meter from then on")
    if not zone.part_slots_are_measured:
        words = "names no part_slots_are_measured, so a move begins where a slot does"
        raise UsageError(f"zone {name}: {words}: {_iso(start_s)} or {_iso(start_s + slot_s)}")


async def _in_force(client: Client, entity: Entity[Any], name: str, at_s: int) -> Any:
    """The record that holds at a time. UsageError where none does, or another one begins later, which a move would not know."""
    entries = await _entries(client, entity, name)
    if not entries or entries[0][0] > at_s:
        begins = f"begins at {_iso(entries[0][0])}, behind {_iso(at_s)}" if entries else "is not registered"
        raise UsageError(f"{entity.kind} {name}: {begins}")
    later = next((from_s for from_s, _ in entries if from_s > at_s), None)
    if later is not None and entity in (INSTALLATION, POINT):
        raise UsageError(
            f"{entity.kind} {name}: says something else from {_iso(later)} on; write the rows of this move yourself"
        )
    return entity.record_of([value for from_s, value in entries if from_s <= at_s][-1])


async def _entries(client: Client, entity: Entity[Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    """(from_s, value) of each entry of an entity, oldest first; none of one that is not registered."""
    try:
        found = await client.query(f"registry/{entity.kind}/{name}")
    except NodeRefused as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return []
        raise
    return [(entry["from_s"], entry["value"]) for entry in found["entries"]]


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
