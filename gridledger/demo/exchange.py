"""A meter is exchanged in the middle of a slot: what the utility registers of it, and what hangs there from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import require
from gridcore.files import replace_file
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.row import Row
from gridledger.demo.genesis import gateway_of
from gridledger.registering.rows_file import FileRow
from simulators.grid.world import World
from simulators.scenarios.schema import EXCHANGED, SLOT_S

NUMBERS_FROM: Final = 1_000_000
"""Installations that come later have the number of the one before, and this more."""


class Exchange(NamedTuple):
    """The meter in a place gives way to ``meter``, which counts from 0. row: the place's column in the world; slot: in which it happens.

    import_wh, export_wh: what the old one had counted by then, primary Wh.
    """

    row: int
    slot: int
    meter: str
    import_wh: int
    export_wh: int

    @property
    def number(self) -> int:
        """The new installation's."""
        return self.row + NUMBERS_FROM


def exchanges_of(world: World) -> tuple[Exchange, ...]:
    """All exchanges of a world, as its events say."""
    row_of = {meter.meter: row for row, meter in enumerate(world.meters)}
    found = []
    for event in world.scenario.events:
        if event.kind == EXCHANGED:
            row, slot = row_of[event.target], event.from_slot
            begin, end = world.counted_registers(slot), world.counted_registers(slot + 1)
            half_wh = [(int(before[row]) + int(after[row])) // 2 for before, after in zip(begin, end, strict=True)]
            found.append(Exchange(row, slot, event.other, half_wh[0], half_wh[1]))
    return tuple(found)


def rows_of_exchange(world: World, exchange: Exchange) -> list[FileRow]:
    """What the utility registers: one installation ends with what its meter showed, another begins at 0."""
    old = world.meters[exchange.row]
    from_s = int(world.boundary_s[exchange.slot]) + SLOT_S // 2
    step_wh = old.resolution_wh // old.ratio
    final = [
        (energy_wh % old.modulus_wh if old.modulus_wh else energy_wh) // old.ratio // step_wh * step_wh
        for energy_wh in (exchange.import_wh, exchange.export_wh)
    ]
    point = f"P-{old.meter.removeprefix('M-')}"
    removed = RemovedInstallation(point, final_registers=final)
    new = Installation(
        gateway=gateway_of(1 + world.areas.index(old.area)),
        limit_wh=old.limit_wh // old.ratio,
        meter=exchange.meter,
        modulus_wh=old.modulus_wh // old.ratio,
        point=point,
        profile=old.profile,
        ratio=old.ratio,
        first_registers=[0, 0],
    )
    return [
        FileRow(f"exchange of {old.meter}", Row(INSTALLATION.key(str(number)), from_s, INSTALLATION.encode(record)))
        for number, record in ((exchange.row, removed), (exchange.number, new))
    ]


def write_exchange(config: Path, world: World, exchange: Exchange) -> None:
    """Name the new meter in place of the old one in the configuration of its gateway."""
    old = world.meters[exchange.row].meter
    before, after = (
        f'number = {number}\nmeter = "{meter}"\n'
        for number, meter in ((exchange.row, old), (exchange.number, exchange.meter))
    )
    text = config.read_text()
    require(text.count(before) == 1, "a gateway's configuration names each of its meters once")
    replace_file(config, text.replace(before, after).encode())
